"""`axon status`: what a running process is doing."""

from __future__ import annotations

import json
from pathlib import Path

import click

from axon_quant.cli.control import socket_of, which_run


@click.command()
@which_run
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(config_file: Path | None, socket: Path | None, as_json: bool) -> None:
    """Show what a running `axon run` is doing: its state and why, what it holds, how fresh its market is."""
    from axon_quant.control import ask

    found = ask(socket_of(config_file, socket), "status")
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    width = max(map(len, found))
    for name, value in found.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {item}" for key, item in value.items()) or "-"
        click.echo(f"{name.replace('_', ' '):<{width}}  {'-' if value in (None, '', []) else value}")
