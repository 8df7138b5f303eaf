"""`axon preflight`: the deployment checklist, one row per item."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from axon_quant.cli import FAILED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from axon_quant.preflight import Row

_FILE = click.Path(path_type=Path)


@click.command("preflight")
@click.option("-c", "--config", "file", required=True, metavar="FILE", type=_FILE, help="The TOML file to deploy.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--strict", is_flag=True, help="What is unknown fails, too.")
@click.option("--stamp", metavar="FILE", type=_FILE, help="The build's record; default: build-stamp.json beside -c.")
@click.option("--backup", metavar="DIR", type=_FILE, help="The newest backup.")
@click.option("--prometheus", metavar="URL", help="The Prometheus that is to have the rules.")
@click.option(
    "--patience",
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    type=click.FloatRange(0.1, 600.0),
    help="How many seconds to wait for the venue at most.",
)
@click.pass_context
def command(
    ctx: click.Context,
    file: Path,
    as_json: bool,
    strict: bool,
    stamp: Path | None,
    backup: Path | None,
    prometheus: str | None,
    patience: float,
) -> None:
    """Go through the deployment checklist: pass, fail or unknown, with the evidence and what to do.

    It only reads: the venue over a connection of its own, the run that may be going, the disk. Nothing is ordered,
    cancelled or kept. Exits with 1 when something fails; what is unknown is shown, and fails with --strict.

    \b
    axon preflight -c run.toml
    axon preflight -c run.toml --backup backups/first --strict --json
    """
    from axon_quant.preflight import CHECKS, Facts, check_all

    facts = Facts(file, stamp=stamp, backup=backup, prometheus=prometheus, patience=patience)
    rows: list[Row] = []
    watched = sys.stderr.isatty()
    for check, row in zip(CHECKS, check_all(facts), strict=True):
        rows.append(row)
        if watched:
            click.echo(f"\r\x1b[K{len(rows)}/{len(CHECKS)} {check.name}", err=True, nl=False)
    if watched:
        click.echo("\r\x1b[K", err=True, nl=False)
    counts = {status: sum(row.status.value == status for row in rows) for status in ("pass", "fail", "unknown")}
    ok = not counts["fail"] and not (strict and counts["unknown"])
    if as_json:
        click.echo(_json(file, rows, ok, counts))
    else:
        _print(rows)
        click.echo(", ".join(f"{count} {status}" for status, count in counts.items()))
    if not ok:
        ctx.exit(FAILED)


def _json(file: Path, rows: Sequence[Row], ok: bool, counts: dict[str, int]) -> str:
    import msgspec

    told = [
        {
            "check": row.check,
            "line": row.line.value,
            "text": row.text,
            "status": row.status.value,
            "evidence": row.evidence,
            "fix": row.fix,
        }
        for row in rows
    ]
    return msgspec.json.format(
        msgspec.json.encode({"ok": ok, "file": str(file), "counts": counts, "rows": told}), indent=2
    ).decode()


def _print(rows: Sequence[Row]) -> None:
    styles = {"pass": "green", "fail": "red", "unknown": "yellow"}
    width = max(len(row.check) for row in rows)
    line = None
    for row in rows:
        if row.line is not line:
            line = row.line
            click.echo(click.style(row.text, bold=True))
        status = click.style(f"{row.status.value:<7}", fg=styles[row.status.value])
        evidence = row.evidence.replace("\n", f"\n{'':<{width + 13}}")
        click.echo(f"  {status}  {row.check:<{width}}  {evidence}")
        if row.fix:
            click.echo(f"  {'':<7}  {'':<{width}}  → {row.fix}")
