"""`axon halt`: stop trading and cancel everything that is open."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from axon_quant.cli.control import socket_of, which_run

_SECONDS = click.FloatRange(0.1, 600.0)


@click.command()
@which_run
@click.option("--reason", default="", help="Why; it is journaled.")
@click.option(
    "--timeout",
    default=20.0,
    show_default=True,
    type=click.FloatRange(0.1, 600.0),
    help="Seconds to wait for the answer.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def command(config_file: Path | None, socket: Path | None, reason: str, timeout: float, as_json: bool) -> None:
    """Halt a running `axon run`: every open order is cancelled, and no new one is sent until `axon resume`.

    Waits until the orders are cancelled. A restart comes up halted as well. Exit code 1 when an order is open still, or
    when the run does not answer: what is open is then to be cancelled at the venue. One that hangs or has died is
    marked halted all the same (with -c): it sends nothing if it goes on, and its next start is halted.
    """
    from axon_quant.control import ask
    from axon_quant.errors import NoAnswerError, NotRunningError

    path = socket_of(config_file, socket)
    try:
        answer = ask(path, "halt", reason=reason, timeout=timeout)
    except (NoAnswerError, NotRunningError) as error:
        if config_file is not None and path.exists():  # an orderly end would have removed it
            _leave_halt_file(config_file, reason, error)
        raise
    if as_json:
        click.echo(json.dumps(answer))
    else:
        orders, left = int(str(answer["orders"])), int(str(answer["left"]))
        again = " already" if answer["was"] == "halted" else ""
        click.echo(f"halted{again}: {answer['reason']}")
        click.echo(f"{orders - left} open orders cancelled in {float(str(answer['ms'])):.0f} ms")
        if left:
            click.echo(f"error: {left} orders are open still: {answer['why_left']}", err=True)
    if answer["left"]:
        sys.exit(1)


def _leave_halt_file(config_file: Path, reason: str, error: Exception) -> None:
    from axon_quant.clock import LiveClock
    from axon_quant.config.paths import control_paths
    from axon_quant.control import HaltFile, Peer, Standing

    file = HaltFile(control_paths(config_file).halt_file)
    who = str(Peer(os.getpid(), os.getuid()))
    file.write(Standing("halted", reason or f"an operator halted it: {error}", who, LiveClock().now()))
    click.echo(f"marked halted for when it goes on or starts again ({file.path}); nothing was cancelled", err=True)
