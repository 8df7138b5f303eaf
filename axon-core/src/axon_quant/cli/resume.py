"""`axon resume`: a human takes responsibility for trading again."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from axon_quant.cli.control import socket_of, which_run


@click.command()
@which_run
@click.option("--reason", required=True, help="What was found and done; it is journaled.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def command(config_file: Path | None, socket: Path | None, reason: str, yes: bool) -> None:
    """Let a halted or reducing `axon run` trade again, with loss and drawdown counted from its present equity.

    Shows why it does not trade and what it holds, and asks. It is not resumed when that has changed meanwhile.
    """
    from axon_quant.control import ask

    path = socket_of(config_file, socket)
    found = ask(path, "status")
    state, suspended = str(found["state"]), found.get("suspended")
    if state == "active" and not suspended:
        click.echo("active already; nothing was changed")
        return
    click.echo(f"{state}: {found['reason']}" if state != "active" else f"suspended strategies: {suspended}")
    held = found["positions"]
    positions = ", ".join(f"{symbol} {amount}" for symbol, amount in held.items()) if isinstance(held, dict) else held
    click.echo(f"equity {found['equity']}, positions {positions or 'none'}, {found['open_orders']} open orders")
    if not yes and not click.confirm("Trade again?"):
        click.echo("nothing was changed")
        sys.exit(1)
    answer = ask(path, "resume", reason=reason, seen=found["reason"])
    click.echo(f"{answer['state']}, after it was {answer['was']}")
