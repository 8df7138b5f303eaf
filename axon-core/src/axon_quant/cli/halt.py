"""`axon halt`: stop trading and cancel everything that is open."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from axon_quant.cli.control import socket_of, which_run

_PATIENCE = 20.0


@click.command()
@which_run
@click.option("--reason", default="", help="Why; it is journaled.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def command(config_file: Path | None, socket: Path | None, reason: str, as_json: bool) -> None:
    """Halt a running `axon run`: every open order is cancelled, and no new one is sent until `axon resume`.

    Waits until the orders are cancelled. A restart comes up halted as well. Exit code 1 when an order is open still, or
    when the run does not answer: what is open is then to be cancelled at the venue.
    """
    from axon_quant.control import ask

    answer = ask(socket_of(config_file, socket), "halt", reason=reason, timeout=_PATIENCE)
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
