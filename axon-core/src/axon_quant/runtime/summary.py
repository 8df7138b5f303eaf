"""What a run did, in one structure: the terminal's table and `axon run --json` both show it."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from axon_quant.events import ModelIdentity


class BookSummary(Struct, frozen=True):
    """The life of one book. `whole_after_s` is the market time until it first was whole, or None if it never was."""

    whole: bool
    whole_after_s: float | None
    gaps: int
    crossings: int


class RunSummary(Struct, frozen=True):
    """The outcome of a run. Money is in the quote asset; latencies are wall time in microseconds."""

    outcome: str
    mode: str
    run: int
    seed: int
    messages: int
    malformed: int
    ignored: int
    gaps: int
    decisions: int
    orders: int
    fills: int
    cancels: int
    rejects: int
    rejects_by_control: dict[str, int]
    pnl: str
    cash: str
    equity: str
    fees: str
    realised: str
    unrealised: str
    positions: dict[str, str]
    risk_state: str
    books: dict[str, BookSummary]
    window_resets: int
    models: tuple[ModelIdentity, ...]
    weights: dict[str, float]
    latency_us: dict[str, dict[str, float | None]]
    seconds: float
    messages_per_second: int
    journal: str
    journal_records: int
    journal_head: str
    notices: tuple[str, ...]


def money(value: Decimal) -> str:
    """A Decimal as plain digits, never in exponent form."""
    return format(value, "f")
