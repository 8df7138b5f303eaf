"""The one way through: market event → observation → model → strategy → risk → journal → venue → fills → portfolio.

One thread owns everything here. Time enters with the market events: before an event is handled, whatever was due
earlier (feature rows, orders arriving at an embedded venue) happens first, in order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from time import perf_counter_ns
from typing import Any, Protocol, TypeAlias

from axon_quant.clock import NEVER, SimClock
from axon_quant.errors import OrderError, StrategyError
from axon_quant.events import (
    CancelRequested,
    Decision,
    Event,
    ForeignOrderUpdated,
    OrderPlaced,
    OrderUpdated,
)
from axon_quant.inference.action import Action
from axon_quant.journal import Ticket
from axon_quant.market import MarketEvent
from axon_quant.orders import Cancel, Fill, Order, OrderStatus, OrderTracker, OrderUpdate
from axon_quant.portfolio import Portfolio
from axon_quant.risk import RiskEngine, RiskState
from axon_quant.runtime.context import EngineContext
from axon_quant.runtime.lane import Lane
from axon_quant.runtime.returns import MemberReturns
from axon_quant.runtime.stages import Stages
from axon_quant.strategy import Strategy
from axon_quant.strategy.failing import failure_of

logger = logging.getLogger("axon_quant.engine")

Handlers: TypeAlias = Mapping[type, tuple[Callable[[Any], None], ...]]
"""By the type of a market event; each handler takes events of just that type."""


class Predictor(Protocol):
    """A model or an ensemble."""

    def predict(self, observation: object, /) -> Action: ...


class Router(Protocol):
    """Where orders go. `next_due` is when an embedded venue acts next (UTC ns), or NEVER."""

    @property
    def next_due(self) -> int: ...

    def bind(self, engine: Engine) -> None: ...

    def send(self, order: Order, ticket: Ticket, at: int) -> None: ...

    def cancel(self, client_order_id: str, at: int) -> None: ...

    def advance(self, to: int) -> None: ...

    def handlers(self, symbol: str) -> Handlers:
        """Who at an embedded venue is told of which market event of a symbol."""
        ...


class Record(Protocol):
    """How the engine makes an order durable: the journal's `append`."""

    def __call__(self, event: Event, /) -> Ticket: ...


class Engine:
    """Runs the pipeline for every symbol. Not thread-safe: one thread calls it.

    `due` is when it wants to be advanced next, `started` when the first message was received (UTC ns). Counters
    (`decisions`, `orders`, …) are plain integers that anyone may read.

    While `deciding` is False, market events fill the windows and nothing is decided: before a run, and after `stop`.

    A rollout has two ways in, both None without one: `after_decision` is told the lane, the time and the mid once a
    decision and its orders are out, while the lane's window still shows what was decided on; `admit` gets the symbol of
    the decision and an order it led to, and returns what may be placed of it, or None.
    """

    def __init__(
        self,
        *,
        lanes: Mapping[str, Lane],
        model: Predictor,
        returns: MemberReturns | None,
        strategy: Strategy,
        risk: RiskEngine,
        portfolio: Portfolio,
        orders: OrderTracker,
        router: Router,
        record: Record,
        clock: SimClock,
        stages: Stages,
        on_equity: Callable[[Decimal], None],
        on_fill: Callable[[Fill, float], None],
    ) -> None:
        self.lanes = lanes
        self.model = model
        self.strategy = strategy
        self.risk = risk
        self.portfolio = portfolio
        self.tracker = orders
        self.router = router
        self.clock = clock
        self.stages = stages
        self.due = self.started = 0
        self.ignored = self.decisions = 0
        self.orders = self.fills = self.cancels = self.rejects = 0
        self._returns = returns
        self._record = record
        self._on_equity = on_equity
        self._tell_fill = on_fill
        self._stopping = False
        self.deciding = True
        self.failed: StrategyError | None = None
        """What the strategy raised first. It is not asked again, and whoever drives the engine ends the run."""
        self.on_failure: Callable[[StrategyError], None] = _ignore
        self.after_decision: Callable[[Lane, int, float], None] | None = None
        self.admit: Callable[[str, Order], Order | None] | None = None
        for lane in lanes.values():
            lane.predict = model.predict
        self._contexts = {symbol: EngineContext(self, lane) for symbol, lane in lanes.items()}
        self._routes = {symbol: (lane, self._handlers(lane, router)) for symbol, lane in lanes.items()}
        router.bind(self)

    @staticmethod
    def _handlers(lane: Lane, router: Router) -> Handlers:
        """Who is told of which market event of a symbol, in order: the lane, then an embedded venue."""
        venue = router.handlers(lane.symbol)
        return {kind: (*own, *venue.get(kind, ())) for kind, own in lane.handlers.items()}

    @property
    def messages(self) -> int:
        """How many market events came in."""
        return self.ignored + sum(lane.messages for lane in self.lanes.values())

    # Market events come in.

    def on_event(self, event: MarketEvent) -> None:
        """Handle one market event, after everything that was due before it."""
        received = event.received
        if received >= self.due:
            self.advance(received)
        clock = self.clock
        if received > clock.time:
            clock.time = received
        route = self._routes.get(event.symbol)
        if route is None:
            self.ignored += 1
            return
        lane, handlers = route
        if lane.asleep:
            self._wake(lane, received)
        lane.received = received
        lane.messages += 1
        for handler in handlers[type(event)]:
            handler(event)

    def advance(self, to: int) -> None:
        """Let everything happen that is due up to `to`, in order of time; the venue goes first on a tie."""
        clock, router = self.clock, self.router
        while True:
            at, lane = NEVER, None
            for candidate in self.lanes.values():
                if candidate.observation.due < at:
                    at, lane = candidate.observation.due, candidate
            if router.next_due <= at:
                at, lane = router.next_due, None
            if at > to:
                self.due = at
                return
            clock.advance(at)
            if lane is None:
                router.advance(at)
            else:
                self._sample(lane, at)

    def _wake(self, lane: Lane, received: int) -> None:
        """The lane's first message, or the first after a silence."""
        lane.asleep = False
        lane.observation.start(received)
        self.started = self.started or received
        self.due = min(self.due or NEVER, lane.observation.due)

    # A feature row is due: observe, decide, trade.

    def _sample(self, lane: Lane, at: int) -> None:
        if at - lane.received > lane.observation.max_silence:
            lane.asleep = True
            lane.observation.lapse(at - lane.received)
            return
        began = perf_counter_ns()
        whole = lane.observation.sample()
        self.stages.observation.record(perf_counter_ns() - began)
        price = lane.price
        if not price:
            return
        self._value(lane.symbol, price, at)
        if self._returns is not None:
            self._returns.realise(lane.symbol, price)
        if whole and self.deciding:
            self._decide(lane, at, price, began)

    def _value(self, symbol: str, price: float, at: int) -> None:
        """Mark the account; when that (or anything since the last row) halted trading, cancel what is open."""
        portfolio, risk = self.portfolio, self.risk
        portfolio.mark(symbol, price)
        portfolio.roll_day(at)
        if portfolio.is_priced:  # an equity that leaves some out would look like a loss
            equity = portfolio.equity
            risk.on_equity(equity, at)
            self._on_equity(equity)
        if risk.state is RiskState.HALTED and self.tracker.open:
            self.cancel_all()

    def _decide(self, lane: Lane, at: int, price: float, began: int) -> None:
        stages, window = self.stages, lane.observation.window
        last_row = window.next_row - 1
        start = perf_counter_ns()
        action = lane.predict(window.view)
        decided = perf_counter_ns()
        stages.inference.record(decided - start)
        self.decisions += 1
        self._record(
            Decision(
                at,
                lane.symbol,
                self.decisions,
                last_row - window.window + 1,
                last_row,
                window.sha256(),
                action.name,
                action.confidence,
                action.scores,
                action.members,
                action.models,
            )
        )
        if self._returns is not None:
            self._returns.remember(lane.symbol, price, action.members)
        start = perf_counter_ns()
        try:
            requests = list(self.strategy.on_decision(self._contexts[lane.symbol], action))
        except Exception as error:  # noqa: BLE001 - somebody else's code; it ends the run
            self._strategy_failed("on_decision", lane.symbol, error)
            return
        ended = perf_counter_ns()
        stages.strategy.record(ended - start)
        if requests:
            self._carry_out(lane.symbol, requests, self.decisions, began, decided)
        stages.decision.record(perf_counter_ns() - began)
        if self.after_decision is not None:
            self.after_decision(lane, at, price)

    def _carry_out(
        self, symbol: str, requests: Iterable[Order | Cancel], decision: int, began: int, decided: int
    ) -> None:
        self.risk.begin_decision()
        for request in requests:
            if isinstance(request, Cancel):
                self.cancel(request.client_order_id)
                continue
            order = request if self.admit is None else self.admit(symbol, request)
            if order is None:
                self.rejects += 1  # who did not admit it has emitted why
            else:
                self.place(order, decision, began, decided)

    # Orders go out.

    def place(self, order: Order, decision: int = 0, began: int = 0, decided: int = 0) -> bool:
        """Check, record and send one order; False when risk refuses it."""
        at, start = self.clock.time, perf_counter_ns()
        verdict = self.risk.check_order(order)
        self.stages.risk.record(perf_counter_ns() - start)
        if not verdict:
            self.rejects += 1  # the risk engine has emitted why
            return False
        ticket = self._record(OrderPlaced(at, order, decision))
        state = self.tracker.add(order, at)
        state.status = OrderStatus.Submitted
        state.arrival = self.lanes[order.symbol].price
        self.orders += 1
        self.stages.follow(order.client_order_id, began or start, decided or start)
        self.router.send(order, ticket, at)
        if self.router.next_due < self.due:
            self.due = self.router.next_due
        return True

    def cancel(self, client_order_id: str) -> None:
        """Ask the venue to cancel an open order; asking again, or for a finished one, does nothing."""
        state = self.tracker.get(client_order_id)
        if state is None:
            raise OrderError(f"no order has the client order id {client_order_id}")
        if state.status.is_terminal or state.cancel_requested:
            return
        state.cancel_requested = True
        at = self.clock.time
        self._record(CancelRequested(at, state.order.symbol, client_order_id))
        self.router.cancel(client_order_id, at)
        if self.router.next_due < self.due:
            self.due = self.router.next_due

    def cancel_all(self) -> None:
        """Ask the venue to cancel every open order."""
        for client_order_id in list(self.tracker.open):
            self.cancel(client_order_id)

    def note_cancels(self) -> None:
        """Record that every open order is about to be cancelled by somebody else than `cancel`."""
        states = [state for state in self.tracker.open.values() if not state.cancel_requested]
        for state in states:
            state.cancel_requested = True
        for state in states:
            self._record(CancelRequested(self.clock.time, state.order.symbol, state.order.client_order_id))

    # Updates come back.

    def on_sent(self, order: Order) -> None:
        """The router handed the order to the venue."""
        self.risk.on_sent(order.client_order_id)
        self.stages.sent(order.client_order_id)

    def on_foreign(self, update: OrderUpdate) -> None:
        """The venue reported a change of an order on the account that is not ours: what it fills is ours to hold."""
        self._record(ForeignOrderUpdated(update.at, update))
        if update.fill is not None and update.fill.symbol in self.lanes:
            self.portfolio.apply_fill(update.fill)

    def on_update(self, update: OrderUpdate) -> None:
        """The venue reported a change of an order: state machine, portfolio, risk, strategy."""
        if not self.tracker.apply(update):
            return
        self._record(OrderUpdated(update.at, update))
        self.stages.acknowledged(update.client_order_id, rejected=update.status is OrderStatus.Rejected)
        if update.fill is not None:
            self._on_fill(update.fill)
        self.risk.on_update(update)
        if update.status is OrderStatus.Rejected:
            self.rejects += 1
        elif update.status in (OrderStatus.Cancelled, OrderStatus.Expired):
            self.cancels += 1

    def _on_fill(self, fill: Fill) -> None:
        self.fills += 1
        self.portfolio.apply_fill(fill)
        state = self.tracker.get(fill.client_order_id)
        if state is not None and state.arrival:
            self._tell_fill(fill, state.arrival)
        if self.failed is not None:
            return
        try:
            follow_ups = list(self.strategy.on_fill(self._contexts[fill.symbol], fill))
        except Exception as error:  # noqa: BLE001 - as above
            self._strategy_failed("on_fill", fill.symbol, error)
            return
        if follow_ups and not self._stopping:
            now = perf_counter_ns()
            self._carry_out(fill.symbol, follow_ups, 0, now, now)

    # A run begins and ends.

    def start(self) -> None:
        self._tell_strategy("on_start", self.strategy.on_start)

    def stop(self) -> None:
        """Cancel what is open, let an embedded venue answer, and let the strategy say goodbye."""
        self._stopping = True
        self.deciding = False
        self.cancel_all()
        while (at := self.router.next_due) != NEVER:
            self.clock.advance(at)
            self.router.advance(at)
        self._tell_strategy("on_stop", self.strategy.on_stop)

    def _tell_strategy(self, what: str, tell: Callable[[EngineContext], object]) -> None:
        for symbol, context in self._contexts.items():
            if self.failed is not None:
                return
            try:
                tell(context)
            except Exception as error:  # noqa: BLE001 - as above
                self._strategy_failed(what, symbol, error)

    def _strategy_failed(self, what: str, symbol: str, error: Exception) -> None:
        """It decides nothing any more; fills and cancels are still booked."""
        self.deciding = False
        self.failed = failure_of(self.strategy, what, symbol, error)
        logger.error("%s", self.failed, exc_info=error)
        self.on_failure(self.failed)


def _ignore(_: object) -> None:
    """Nobody asked."""
