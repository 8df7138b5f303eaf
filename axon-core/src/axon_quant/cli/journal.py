"""`axon journal`: check the record of past runs."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from axon_quant.errors import JournalError, JournalTamperedError
from axon_quant.journal import RunReport, verify


@click.group(name="journal", help="Check the record of past runs.")
def command() -> None:
    """`axon journal`."""


@command.command(name="verify", short_help="Recompute the hash chain of every run.")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--head", "heads", multiple=True, metavar="HEX", help="A head from a log; it must be in the journal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify_command(path: Path, heads: tuple[str, ...], as_json: bool) -> None:
    """Recompute the hash chain of every run in PATH and name the first record that does not hold.

    A run without an end is unfinished: it goes on, or was killed. Exits with 1 if a record does not hold or a head is
    not there, with 2 if PATH is no journal.
    """
    try:
        reports = verify(path, logged=heads)
    except JournalTamperedError as error:
        _print_error(str(error), run=error.run, sequence=error.sequence, as_json=as_json)
        raise SystemExit(1) from None
    except JournalError as error:
        _print_error(str(error), run=None, sequence=None, as_json=as_json)
        raise SystemExit(2) from None
    if as_json:
        click.echo(msgspec.json.encode({"ok": True, "runs": reports}).decode())
    else:
        for line in _table(reports):
            click.echo(line)


def _print_error(text: str, *, run: int | None, sequence: int | None, as_json: bool) -> None:
    if as_json:
        found = {"ok": False, "run": run, "sequence": sequence, "error": text}
        click.echo(msgspec.json.encode(found).decode())
    else:
        click.echo(text, err=True)


def _table(reports: list[RunReport]) -> list[str]:
    lines = [f"{'run':>4}  {'mode':<8}{'outcome':<13}{'records':>9}  {'decisions':>9}  {'placed':>7}  head"]
    for report in reports:
        decisions, placed = report.by_kind.get("decision", 0), report.by_kind.get("order-placed", 0)
        lines.append(
            f"{report.number:>4}  {report.mode:<8}{report.outcome or 'unfinished':<13}{report.records:>9}"
            f"  {decisions:>9}  {placed:>7}  {report.head}"
        )
    return lines
