"""`axon reduce`: take only orders that lower a position."""

from __future__ import annotations

from pathlib import Path

import click

from axon_quant.cli.control import socket_of, which_run


@click.command()
@which_run
@click.option("--reason", default="", help="Why; it is journaled.")
def command(config_file: Path | None, socket: Path | None, reason: str) -> None:
    """Let a running `axon run` only lower its positions, until `axon resume`. Open orders stay open.

    A restart comes up reducing as well.
    """
    from axon_quant.control import ask

    answer = ask(socket_of(config_file, socket), "reduce", reason=reason)
    click.echo(f"{answer['state']}: {answer['reason']}")
