"""`axon plugins`: what is installed, what of it can be used, and why the rest cannot."""

from __future__ import annotations

import click

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
        from rich import box
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table("kind", "name", "distribution", "version", "status", "capabilities", "reason", box=box.SIMPLE)
        for row in rows:
            capabilities = ", ".join(row.capabilities)
            cells = (row.kind, row.name, row.distribution, row.version, row.status, capabilities, row.reason)
            table.add_row(*map(escape, cells), style=_STYLES.get(row.status, "yellow"))
        Console().print(table)
    if registry.strict and registry.failures():
        raise SystemExit(1)
