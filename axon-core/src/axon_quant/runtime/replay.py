"""A recorded market through the pipeline, as fast as it goes, in the recording's own time.

The paper venue lives in the same process and in the same simulated time, so nothing leaves the process: an order is
journaled before the venue sees it, but the loop does not wait for the disk, because a crash would lose the venue with
the order. `strict = true` under [journal] waits all the same, as a live venue does.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Protocol

from axon_quant.clock import MILLISECOND
from axon_quant.config import Config
from axon_quant.errors import ConfigError
from axon_quant.exchange.paper import PaperVenue
from axon_quant.inference.collector import quiet_collector
from axon_quant.journal import Ticket
from axon_quant.market import MarketEvent
from axon_quant.market.recordings import Malformed, open_recording
from axon_quant.orders import Order, OrderUpdate
from axon_quant.runtime.engine import Engine, Handlers
from axon_quant.runtime.summary import RunSummary, killed_before, summarise
from axon_quant.runtime.wiring import Pipeline, Surroundings, pipeline

logger = logging.getLogger("axon_quant.replay")
_REPORT_EVERY = 512
_KEPT_NOTICES = 20


class Market(Protocol):
    """Anything that yields market events and counts them: a recording, a generated market."""

    @property
    def messages(self) -> int: ...

    @property
    def malformed(self) -> int: ...

    def __iter__(self) -> Iterator[MarketEvent]: ...


class EmbeddedRouter:
    """Orders to the paper venue in this process, synchronously and in simulated time."""

    def __init__(self, surroundings: Surroundings) -> None:
        config = surroundings.config
        self._stages = surroundings.stages
        self._strict = config.journal.strict
        self._engine: Engine | None = None
        self.venue = PaperVenue(
            surroundings.instruments,
            config.exchange.balances,
            latency_ns=int(config.exchange.latency_ms * MILLISECOND),
            maker_fee=config.exchange.maker_fee,
            taker_fee=config.exchange.taker_fee,
            seed=config.run.seed,
            on_update=self._on_update,
        )
        self._matching = {symbol: self.venue.watch(symbol, book) for symbol, book in surroundings.books.items()}
        self.advance = self.venue.advance

    def bind(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def next_due(self) -> int:
        return self.venue.next_due

    def handlers(self, symbol: str) -> Handlers:
        """The matching engine's own, without a look-up in between."""
        return {kind: (handler,) for kind, handler in self._matching[symbol].handlers.items()}

    def send(self, order: Order, ticket: Ticket, at: int) -> None:
        if self._strict:
            start = perf_counter_ns()
            ticket.wait()
            self._stages.durable(order.client_order_id, perf_counter_ns() - start)
        self.venue.submit(order, at)
        self._bound.on_sent(order)

    def cancel(self, client_order_id: str, at: int) -> None:
        self.venue.cancel(client_order_id, at)

    def _on_update(self, update: OrderUpdate) -> None:
        self._bound.on_update(update)

    @property
    def _bound(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("the router is not bound to an engine")
        return self._engine


class Replay:
    """One replay: construct, `run`, read the summary.

    `market` defaults to the recording at `path`. `max_events` ends it early; `stop()` (from a signal handler, say)
    ends it after the event at hand: open orders are cancelled, and everything is made durable either way.
    `on_progress` is called with the pipeline every few hundred events. `members` join the ensemble (see `pipeline`).
    `around` makes, from the pipeline, the context that the market is played in: what has to live as long as the run.
    """

    def __init__(
        self,
        config: Config,
        path: str | Path | None = None,
        *,
        market: Market | None = None,
        max_events: int | None = None,
        on_progress: Callable[[Pipeline], None] | None = None,
        members: Mapping[str, object] | None = None,
        around: Callable[[Pipeline], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        if config.exchange.name != "paper":
            raise ConfigError(
                f"a replay trades on the paper venue, not on {config.exchange.name}",
                hint='set [exchange] name = "paper"',
            )
        if (path is None) == (market is None):
            raise ValueError("a replay needs a path or a market, and not both")
        self.notices: list[str] = []
        self._config = config
        self._path = None if path is None else Path(path).resolve()
        self._market = market
        self._max_events = max_events
        self._on_progress = on_progress
        self._members = members
        self._around = around
        self._stopped = False
        self.summary: RunSummary | None = None
        """What the run did, once it has ended; also when its strategy raised and `run` raises."""

    def stop(self) -> None:
        """End after the event at hand."""
        self._stopped = True

    def run(self) -> RunSummary:
        """Play the market through the pipeline. Raises what the pipeline raises; the journal then says `failed`.

        Of a strategy that raised (StrategyError), `summary` tells how far the run came.
        """
        market = self._market
        if market is None:
            market = open_recording(self._path or "", self._config.market.symbols, on_malformed=self._on_malformed)
        with pipeline(
            self._config, EmbeddedRouter, mode="replay", recording=self._path, members=self._members
        ) as built:
            self._note = built.journal.note
            self._count_malformed = built.metrics.record_malformed
            self.notices += killed_before(built.info)
            started = perf_counter()
            with built.ending():
                with self._around(built), built.reload:
                    self._play(market, built)
                built.engine.stop()
                failed = built.engine.failed
                outcome = "failed" if failed else "interrupted" if self._stopped else "completed"
                built.end(outcome)
            notices = self.notices if failed is None else [*self.notices, str(failed)]
            self.summary = summarise(built, market, outcome, perf_counter() - started, notices)
            if failed is not None:
                raise failed
            return self.summary

    def _play(self, market: Market, built: Pipeline) -> None:
        engine, on_progress = built.engine, self._on_progress
        limit = self._max_events if self._max_events is not None else sys.maxsize
        engine.on_failure = lambda _: self.stop()
        engine.start()
        with quiet_collector():
            on_event = built.reload.before(engine.on_event)
            for number, event in enumerate(market, 1):
                on_event(event)
                if number % _REPORT_EVERY == 0 and on_progress is not None:
                    on_progress(built)
                if number == limit or self._stopped:
                    break

    def _on_malformed(self, malformed: Malformed) -> None:
        logger.warning("left out: %s", malformed)
        self._count_malformed("")  # a message that cannot be read has no symbol
        self._note("malformed", {"file": malformed.file, "line": malformed.line, "reason": malformed.reason})
        if len(self.notices) < _KEPT_NOTICES:
            self.notices.append(f"left out {malformed}")
