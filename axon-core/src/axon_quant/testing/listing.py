"""The table of all tests: `--axon-list`, and the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from axon_quant.testing.backend import BackendConformance
from axon_quant.testing.cases import Case, Conformance
from axon_quant.testing.ensemble import EnsembleConformance
from axon_quant.testing.exchange import ExchangeConformance
from axon_quant.testing.explainer import ExplainerConformance

SUITES: tuple[type[Conformance], ...] = (
    BackendConformance,
    EnsembleConformance,
    ExplainerConformance,
    ExchangeConformance,
)
HEADER = ("ID", "kind", "capability", "skip when", "what must hold")


def cases() -> Iterator[Case]:
    """Every test of every suite."""
    for suite in SUITES:
        yield from suite.cases()


def _rows() -> Iterator[tuple[str, ...]]:
    for item in cases():
        yield (item.id, item.kind, item.capability.value if item.capability else "", item.skip_when, item.says)


def plain() -> str:
    """The table for a terminal."""
    rows = [HEADER, *_rows()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER) - 1)]
    return "\n".join(_aligned(row, widths) for row in rows)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
    return "  ".join([*cells, row[-1]])


def markdown() -> str:
    """The table for the documentation."""
    lines = ["| " + " | ".join(HEADER) + " |", "|---" * len(HEADER) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in _rows())])
