"""`axon watchdog`: halts a run that has stopped answering."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from axon_quant.exchange import ExchangeAdapter


@click.command()
@click.option(
    "-c",
    "--config",
    "config_file",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The run's TOML file.",
)
@click.option("--until-end", is_flag=True, help="End when the run ends, instead of waiting for the next one.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="Of stderr; default: the configuration's.")
def command(config_file: Path, until_end: bool, log_format: str | None) -> None:
    """Watch the `axon run` of a configuration from a process of its own.

    It asks the run for a sign of life over the control socket. One that is stopped, hangs or dies has its open orders
    cancelled at the venue, over a connection of the watchdog's own, and is marked halted: neither its next start nor
    the process itself, if it goes on, trades until `axon resume`. The run's keys must be in the environment here, too.
    """
    from axon_quant.cli.logged import logged_as
    from axon_quant.config import load_config
    from axon_quant.runtime.live import build_adapter
    from axon_quant.runtime.operations.watchdog import Watchdog

    logging.basicConfig(level=logging.INFO, format="%(asctime)s watchdog %(levelname)s %(message)s")
    with logged_as(log_format) as begin_json:
        config = load_config(config_file)
        if (log_format or config.logging.format) == "json":
            begin_json()
        if config.exchange.name == "paper":
            raise click.UsageError("the paper venue lives in the run itself; there is nothing to watch over")

        async def watch() -> None:
            def make_adapter() -> ExchangeAdapter:
                return build_adapter(load_config(config_file), follow_others=False)  # its keys may have changed

            watchdog = Watchdog(config, make_adapter, until_end=until_end)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, watchdog.stop)
            await watchdog.run()

        asyncio.run(watch())
