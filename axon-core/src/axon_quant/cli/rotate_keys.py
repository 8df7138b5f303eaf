"""`axon rotate-keys`: other keys for a running process."""

from __future__ import annotations

from pathlib import Path

import click

from axon_quant.cli.control import socket_of, which_run


@click.command(name="rotate-keys")
@which_run
@click.option("--reason", default="", help="Why; it is journaled.")
def command(config_file: Path | None, socket: Path | None, reason: str) -> None:
    """Have a running `axon run` read its keys again, and go on with them without a restart.

    Replace the files that `file:` names in [exchange] first. The new keys are tried out on a connection of their own;
    if the venue does not take them, or they may do what they should not, the run goes on with the old ones. Revoke
    those at the venue afterwards. Keys from the environment (`env:`) cannot change while a process runs.
    """
    from axon_quant.control import ask

    answer = ask(socket_of(config_file, socket), "rotate-keys", reason=reason, timeout=60.0)
    click.echo(f"the run signs with the new {answer['venue']} keys; revoke the old ones at the venue")
