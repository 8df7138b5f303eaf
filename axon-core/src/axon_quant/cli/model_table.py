"""What `axon models list` shows."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from axon_quant.errors import AxonError
from axon_quant.inference.store import ModelStore

_WIDTH = 120  # of a pipe
_MARKS = {"production": "bold", "previous": ""}


class ModelRow(Struct, frozen=True, kw_only=True):
    """One version of one model. `state` is `production`, `previous` or empty; `added` is in UTC.

    A version whose record is damaged has only a name, a number, a SHA-256, and an `error`.
    """

    name: str
    number: int
    sha256: str
    state: str
    backend: str | None = None
    added: str | None = None
    size: int | None = None
    source: str | None = None
    file: str | None = None
    schema_sha256: str | None = None
    golden: int | None = None
    background: bool | None = None
    plans: list[dict[str, str]] = []
    error: str | None = None


def rows(store: ModelStore, name: str | None) -> list[ModelRow]:
    """Those of one name, or of all. Raises AxonError for a history that cannot be read."""
    return [
        _row(store, one, number, sha256)
        for one in ([name] if name is not None else store.names())
        for number, sha256 in enumerate(store.versions(one), 1)
    ]


def _row(store: ModelStore, name: str, number: int, sha256: str) -> ModelRow:
    marks = dict(zip(reversed(store.production(name)[-2:]), _MARKS, strict=False))
    row = ModelRow(name=name, number=number, sha256=sha256, state=marks.get(sha256, ""))
    try:
        stored = store.get(sha256)
        schema, golden = stored.schema, stored.golden
        return msgspec.structs.replace(
            row,
            backend=stored.backend,
            added=datetime.fromtimestamp(stored.added // 10**9, UTC).isoformat().replace("+00:00", "Z"),
            size=stored.size,
            source=stored.source,
            file=str(stored.path),
            schema_sha256=None if schema is None else schema.sha256,
            golden=0 if golden is None else len(golden),
            background=stored.background is not None,
            plans=[plan.plan for plan in stored.plans],
        )
    except AxonError as error:
        return msgspec.structs.replace(row, error=str(error))


def to_json(found: list[ModelRow]) -> bytes:
    """As a list of objects."""
    return msgspec.json.format(msgspec.json.encode(found), indent=2)


def print_table(found: list[ModelRow], folder: Path) -> None:
    """As a table on stdout."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    if not found:
        console.print(f"no versions in {folder}", highlight=False, markup=False, soft_wrap=True)
        return
    table = Table(box=box.SIMPLE)
    for column in ("version", "sha256", "backend", "added", "state", "schema", "golden"):
        table.add_column(column, justify="right" if column == "golden" else "left", overflow="fold")
    for row in found:
        cells = [f"{row.name}@{row.number}", row.sha256[:12], row.backend or "–", (row.added or "–")[:16]]
        cells += ["damaged" if row.error else row.state, (row.schema_sha256 or "–")[:8]]
        cells += ["–" if not row.golden else str(row.golden)]
        table.add_row(*map(Text, cells), style="red" if row.error else _MARKS.get(row.state, ""))
    console.print(table)
    for row in found:
        if row.error:
            console.print(f"{row.name}@{row.number}: {row.error}", highlight=False, markup=False, soft_wrap=True)
