"""What commands show in a terminal: progress while they go, the table of a run when it is done."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from axon_quant.runtime.summary import RunSummary
    from axon_quant.runtime.wiring import Pipeline


class Progress:
    """Events, decisions, orders, PnL and the decision p99, refreshed on a TTY; silent elsewhere."""

    def __init__(self, title: str, *, shown: bool) -> None:
        self._progress = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn(
                "{task.fields[events]:,} events  {task.fields[decisions]:,} decisions  {task.fields[orders]:,} orders  "
                "PnL {task.fields[pnl]:+,.2f}  p99 {task.fields[p99]:.0f} µs"
            ),
            console=Console(stderr=True),
            disable=not shown,
            transient=True,
        )
        self._shown = shown
        self._task = self._progress.add_task(title, total=None, events=0, decisions=0, orders=0, pnl=0.0, p99=0.0)

    def update(self, built: Pipeline, share: float | None = None) -> None:
        """Show where the run stands; `share` of it is done, where that is known."""
        if not self._shown:
            return
        engine = built.engine
        p99 = built.stages.decision.estimate(0.99) / 1e3 if engine.decisions else 0.0
        self._progress.update(
            self._task,
            total=None if share is None else 1.0,
            completed=share,
            events=engine.messages,
            decisions=engine.decisions,
            orders=engine.orders,
            pnl=float(built.portfolio.pnl),
            p99=p99,
        )

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, traceback)


class StepProgress:
    """How many of so many steps are done, on a TTY; silent elsewhere.

    It is drawn between steps only: a thread that refreshes it would disturb what a step measures.
    """

    def __init__(self, title: str, steps: int, *, shown: bool) -> None:
        self._progress = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            auto_refresh=False,
            disable=not shown,
            transient=True,
        )
        self._task = self._progress.add_task(title, total=steps)

    def describe(self, text: str) -> None:
        """Say what the next steps are about."""
        self._progress.update(self._task, description=text, refresh=True)

    def advance(self) -> None:
        """One step is done."""
        self._progress.update(self._task, advance=1, refresh=True)

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, traceback)


class ByteProgress:
    """How many bytes of how many are done, and what is at hand, on a TTY; silent elsewhere."""

    def __init__(self, title: str, *, shown: bool) -> None:
        self._progress = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[what]}"),
            console=Console(stderr=True),
            disable=not shown,
            transient=True,
        )
        self._task = self._progress.add_task(title, total=None, what="")

    def update(self, what: str, done: int, total: int) -> None:
        """So much is done."""
        self._progress.update(self._task, completed=done, total=total, what=what)

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, traceback)


def print_summary(summary: RunSummary, console: Console | None = None) -> None:
    """The summary of a run as a table on the terminal."""
    console = console or Console()
    for notice in summary.notices:
        console.print(Text.assemble(("note:", "yellow"), f" {notice}"))
    console.print(_facts(summary))
    if summary.latency_us:
        console.print(_latencies(summary))


def _facts(summary: RunSummary) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2), title=f"run {summary.run}: {summary.outcome}")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    positions = ", ".join(f"{symbol} {quantity}" for symbol, quantity in summary.positions.items())
    models = ", ".join(f"{model.name} v{model.number} {model.sha256[:12]}" for model in summary.models)
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in summary.weights.items())
    rejects = ", ".join(f"{control} {count}" for control, count in summary.rejects_by_control.items())
    for name, value in (
        ("messages", f"{summary.messages:,} in {summary.seconds:.2f} s ({summary.messages_per_second:,}/s)"),
        ("left out", f"{summary.malformed} malformed, {summary.ignored} of other symbols, {summary.gaps} gaps"),
        ("decisions", f"{summary.decisions:,}"),
        ("orders", f"{summary.orders:,} placed, {summary.fills:,} fills, {summary.cancels:,} cancelled"),
        ("rejects", f"{summary.rejects:,}" + (f" ({rejects})" if rejects else "")),
        ("PnL", f"{summary.pnl} (realised {summary.realised}, unrealised {summary.unrealised}, fees {summary.fees})"),
        ("equity", f"{summary.equity}, cash {summary.cash}, positions {positions}"),
        ("models", models),
        ("weights", weights),
        *(() if summary.rollout is None else (("rollout", str(summary.rollout)),)),
        ("risk", summary.risk_state),
        ("journal", f"{summary.journal} ({summary.journal_records:,} records)"),
        ("head", summary.journal_head),
    ):
        table.add_row(name, Text(value))
    return table


def _latencies(summary: RunSummary) -> Table:
    table = Table(title="latency, µs", box=None, padding=(0, 2))
    table.add_column("stage", style="bold")
    table.add_column("p50", justify="right")
    table.add_column("p99", justify="right")
    for stage, quantiles in summary.latency_us.items():
        table.add_row(stage, *("too few" if value is None else f"{value:,.1f}" for value in quantiles.values()))
    return table
