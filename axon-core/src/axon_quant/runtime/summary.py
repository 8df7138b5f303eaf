"""What a run did, in one structure: the terminal's table and `axon run --json` both show it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from axon_quant.clock import NANOSECONDS
from axon_quant.events import ModelIdentity
from axon_quant.journal.storage import RunInfo
from axon_quant.runtime.rollout import RolloutStatus

if TYPE_CHECKING:
    from axon_quant.runtime.wiring import Pipeline


class Counted(Protocol):
    """A market, as far as the summary needs it."""

    @property
    def messages(self) -> int: ...

    @property
    def malformed(self) -> int: ...


class BookSummary(Struct, frozen=True):
    """The life of one book. `whole_after_s` is the market time until it first was whole, or None if it never was."""

    whole: bool
    whole_after_s: float | None
    gaps: int
    crossings: int


class RunSummary(Struct, frozen=True):
    """The outcome of a run. Money is in the quote asset; latencies are wall time in microseconds.

    `rollout` is None where the configuration has none.
    """

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
    rollout: RolloutStatus | None = None


def money(value: Decimal) -> str:
    """A Decimal as plain digits, never in exponent form."""
    return format(value, "f")


def killed_before(info: RunInfo) -> list[str]:
    """What to tell about a run before this one that never ended."""
    previous = info.previous
    if previous is None or previous.outcome is not None:
        return []
    killed = f"run {previous.number} ({previous.mode}) was killed before it ended; what it journaled is kept"
    return [f"{killed}, and this is a new run, number {info.number}"]


def happened(built: Pipeline) -> list[str]:
    """What to tell about models that were replaced and streams that were lost while the run went on."""
    bus, notices = built.bus, []
    numbers = {backend.model.identity.name: backend.model.identity.number for backend in built.backends}
    for name, times in bus.replaced.items():
        serves = f"; version {numbers[name]} serves" if name in numbers else ""
        notices.append(f"model {name} was replaced {_times(times)} while the run went on{serves}")
    for stream, times in bus.lost.items():
        now = "it is still down" if stream in bus.down else "it came back"
        notices.append(f"the {stream} stream was lost {_times(times)}; {now}")
    return notices


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def summarise(built: Pipeline, market: Counted, outcome: str, seconds: float, notices: Iterable[str]) -> RunSummary:
    """What the run did, read off its parts."""
    engine, portfolio, bus = built.engine, built.portfolio, built.bus
    more = [*notices, *happened(built)]
    if built.memory is not None and built.memory.notice:
        more.append(built.memory.notice)
    if built.archive is not None:
        more += built.archive.notices
    books = {}
    for symbol, lane in engine.lanes.items():
        became = bus.became_whole.get(symbol)
        after = None if became is None else round((became - engine.started) / NANOSECONDS, 3)
        books[symbol] = BookSummary(lane.book.whole, after, lane.book.gaps, lane.book.crossings)
        if not lane.received:
            more.append(f"{symbol}: no market data for this symbol; is it the right recording?")
        elif not lane.book.whole:
            more.append(f"{symbol}: the book is not whole; the run went on with quotes and trades")
    if engine.ignored:
        more.append(f"{engine.ignored} messages of symbols that are not traded were left out")
    return RunSummary(
        outcome=outcome,
        mode=built.mode,
        run=built.info.number,
        seed=built.config.run.seed,
        messages=market.messages,
        malformed=market.malformed,
        ignored=engine.ignored,
        gaps=bus.gaps,
        decisions=engine.decisions,
        orders=engine.orders,
        fills=engine.fills,
        cancels=engine.cancels,
        rejects=engine.rejects,
        rejects_by_control=dict(bus.rejects),
        pnl=money(portfolio.pnl),
        cash=money(portfolio.cash(portfolio.quote_asset)),
        equity=money(portfolio.equity),
        fees=money(portfolio.fees),
        realised=money(portfolio.realised),
        unrealised=money(portfolio.unrealised),
        positions={symbol: money(portfolio.position(symbol)) for symbol in engine.lanes},
        risk_state=built.risk.state.name,
        books=books,
        window_resets=bus.window_resets,
        models=tuple(backend.model.identity for backend in built.backends),
        weights=dict(zip(built.ensemble.names, built.ensemble.weights, strict=True)),
        latency_us=built.stages.summary(),
        seconds=round(seconds, 3),
        messages_per_second=round(market.messages / seconds) if seconds > 0 else 0,
        journal=str(built.journal.path),
        journal_records=built.journal.durable_sequence,
        journal_head=built.journal.head,
        notices=tuple(more),
        rollout=None if built.rollout is None else built.rollout.status,
    )
