"""`axon plugins`: what is installed, what of it can be used, and why the rest cannot."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from axon_quant.plugins.registry import PluginRow

_WIDTH = 120  # of a pipe

_STYLES = {"ok": "", "blocked": "dim"}
"""By status; whatever somebody should repair stands out."""


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of a table.")
def command(as_json: bool) -> None:
    """List the plugins with their status.

    Exits with 1 if AXON_STRICT_PLUGINS=1 and one of them cannot be used.
    """
    from axon_quant.plugins import installed

    registry = installed()
    rows = registry.rows()
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
    else:
        _print(rows)
    if registry.strict and registry.failures():
        raise SystemExit(1)


def _print(rows: tuple[PluginRow, ...]) -> None:
    """A table of what can be read at this width, and below it the reasons, which are sentences."""
    from rich.console import Console
    from rich.measure import Measurement
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() or os.environ.get("COLUMNS") else _WIDTH)
    table = _table(rows, capabilities=True)
    if Measurement.get(console, console.options.update(max_width=10_000), table).minimum <= console.width:
        console.print(table)
    else:
        console.print(_table(rows, capabilities=False))
        click.echo("note: what each of them can do is shown in a wider window, and with --json", err=True)
    for row in rows:
        if row.reason:
            line = Text(f"{row.kind} {row.name}: {row.reason}", style=_STYLES.get(row.status, "yellow"))
            console.print(line, soft_wrap=True)


def _table(rows: tuple[PluginRow, ...], *, capabilities: bool) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE)
    for column in ("kind", "name", "distribution", "version", "status"):
        table.add_column(column, no_wrap=True, overflow="fold")
    if capabilities:
        table.add_column("capabilities")
    for row in rows:
        cells = [row.kind, row.name, row.distribution, row.version, row.status]
        cells += [", ".join(row.capabilities)] if capabilities else []
        table.add_row(*map(Text, cells), style=_STYLES.get(row.status, "yellow"))
    return table
