"""`axon simulate`: a venue of one's own, on loopback."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from axon_quant.exchange.simulator import Simulator

_FILE = click.Path(path_type=Path)
_LARGEST_DRIFT = 86_400_000.0


def _number(_: click.Context, parameter: click.Parameter, value: float) -> float:
    if not isfinite(value):  # which a FloatRange lets through
        raise click.BadParameter(f"{value} is no number", param=parameter)
    return value


@click.command()
@click.argument("venue")
@click.option(
    "--port", default=0, show_default=True, type=click.IntRange(0, 65_535), help="On 127.0.0.1; 0 takes a free one."
)
@click.option("--faults", "faults_file", type=_FILE, help="What goes wrong: a TOML file of [[fault]] tables, or JSON.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the made-up market and of the faults."
)
@click.option(
    "--drift-ms",
    default=0.0,
    show_default=True,
    type=click.FloatRange(-_LARGEST_DRIFT, _LARGEST_DRIFT),
    callback=_number,
    help="How far the venue's clock is ahead.",
)
@click.option("--recording", type=_FILE, help="Play this recording as the market, instead of a made-up one.")
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.0, 1_000.0, min_open=True),
    callback=_number,
    help="How fast market time passes.",
)
@click.option(
    "--symbol", "symbols", multiple=True, help="One that has a market, instead of all; may be given several times."
)
def command(
    venue: str,
    port: int,
    faults_file: Path | None,
    seed: int,
    drift_ms: float,
    recording: Path | None,
    speed: float,
    symbols: tuple[str, ...],
) -> None:
    """Serve the wire protocol of VENUE until Ctrl-C or SIGTERM, and print its roots as one line of JSON.

    It knows the key pairs YOUR_API_KEY / YOUR_API_SECRET (passphrase YOUR_PASSPHRASE) and OTHER_API_KEY /
    OTHER_API_SECRET, which trade the same market on accounts of their own. GET /simulator/truth returns its ledger,
    POST /simulator/faults replaces its plan of faults. Adapters find it through AXON_{VENUE}_REST_URL and
    AXON_{VENUE}_WS_URL, in capitals and with underscores.

    \b
        [[fault]]
        kind = "lose-response"         # the order is accepted, and the connection breaks
        where = "request:order.place"
        probability = 0.01
    """
    from axon_quant.exchange.simulator import FaultPlan
    from axon_quant.plugins import load_simulator

    faults = FaultPlan(seed=seed) if faults_file is None else FaultPlan.read(faults_file, seed=seed)
    options: dict[str, object] = {"faults": faults, "seed": seed, "drift_ms": drift_ms, "speed": speed}
    if recording is not None:
        options["recording"] = recording
    if symbols:
        options["symbols"] = symbols
    asyncio.run(_serve(load_simulator(venue)(**options), port))


async def _serve(simulator: Simulator, port: int) -> None:
    from axon_quant.exchange.urls import variable

    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    roots = await simulator.start(port)
    click.echo(json.dumps({"venue": simulator.name, **roots}))
    if sys.stdout.isatty():
        for name, root in roots.items():
            click.echo(f"export {variable(simulator.name, name)}={root}", err=True)
        click.echo("Ctrl-C ends it", err=True)
    await stopped.wait()
    await simulator.stop()
