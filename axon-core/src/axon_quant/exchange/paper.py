"""The paper venue: a spot account in simulated time, filled by the matching engine against real market data.

It is synchronous and never looks at a clock. Whoever drives it passes market events with `on_market` and lets orders
arrive with `advance`; the order of calls for one market event is:

    if event.received >= venue.next_due:
        venue.advance(event.received)     # orders that arrived before the event meet the market as it was
    book.apply(event)                     # for book messages
    venue.on_market(event)
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, TypeAlias

import attrs
from msgspec import Struct

from axon_quant.errors import DuplicateOrderError, MarketDataError, UnknownSymbolError
from axon_quant.exchange.exact import ZERO, add, multiply
from axon_quant.exchange.ledger import Balance, Ledger
from axon_quant.exchange.matching import MatchingEngine
from axon_quant.market.book import OrderBook
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import MarketEvent
from axon_quant.orders.tracker import OrderState, OrderTracker
from axon_quant.orders.types import Fill, Order, OrderStatus, OrderUpdate, Side

IDLE = (1 << 63) - 1
"""`next_due` when nothing is on its way."""


class CancelOutcome(Enum):
    """What a cancel found when it arrived."""

    Cancelled = "cancelled"
    NotFound = "not_found"


class CancelResult(Struct, frozen=True):
    """A cancel has arrived. `NotFound`: the order was finished (the cancel crossed a fill) or never there."""

    client_order_id: str
    at: int
    outcome: CancelOutcome


class _Arrival(Struct):
    due: int
    client_order_id: str
    order: Order | None  # None: a cancel


_Handlers: TypeAlias = dict[type, Callable[[Any], None]]


class PaperVenue:
    """A deterministic spot venue for one account.

    - `latency_ns`, and up to `jitter_ns` more from the seeded generator, pass before an order or cancel arrives;
      arrivals keep the order they were sent in, as on one connection. Updates come back at once, stamped with the time
      they happened.
    - Funds are locked when an order arrives, fees included; fees are paid in the quote asset. Nothing is sold that is
      not there, so a reduce-only sell is a sell and a reduce-only buy is rejected.
    - `on_update` gets every change of an order (Open, PartiallyFilled, Filled, Cancelled, Rejected, Expired),
      `on_cancel` the outcome of every cancel. Both may call `submit` and `cancel`.
    - `next_due` is the arrival time of the first thing on its way, `IDLE` when there is none: a plain attribute.
    - Fills and finished orders are remembered up to `history_limit` each, oldest forgotten first.

    Raises ValueError for a negative latency, jitter or balance, or a fee not within (-1, 1).
    """

    def __init__(
        self,
        instruments: Iterable[Instrument],
        balances: Mapping[str, Decimal],
        *,
        latency_ns: int = 0,
        jitter_ns: int = 0,
        maker_fee: Decimal = ZERO,
        taker_fee: Decimal = ZERO,
        seed: int = 0,
        on_update: Callable[[OrderUpdate], None],
        on_cancel: Callable[[CancelResult], None] | None = None,
        history_limit: int = 100_000,
    ) -> None:
        if latency_ns < 0 or jitter_ns < 0:
            raise ValueError(f"latency and jitter must be zero or positive, got {latency_ns} and {jitter_ns}")
        if not (abs(maker_fee) < 1 and abs(taker_fee) < 1):
            raise ValueError(f"fees are fractions within (-1, 1), got {maker_fee} and {taker_fee}")
        self.instruments = {instrument.symbol: instrument for instrument in instruments}
        self.next_due = IDLE
        self._latency, self._jitter = latency_ns, jitter_ns
        self._fees = (maker_fee, taker_fee)
        self._random = random.Random(seed)
        self._on_update, self._on_cancel = on_update, on_cancel
        self._ledger = Ledger(balances)
        self._orders = OrderTracker(terminal_limit=history_limit)
        self._fills: deque[Fill] = deque(maxlen=history_limit)
        self._engines: dict[str, MatchingEngine] = {}
        self._handlers: dict[str, _Handlers] = {}
        self._arrivals: deque[_Arrival] = deque()
        self._last_due = 0
        self._accepted = 0

    # The market.

    def watch(self, symbol: str, book: OrderBook) -> MatchingEngine:
        """Start to trade a symbol against `book`, which the caller keeps up to date.

        The engine is returned so that a hot loop may call its handlers directly instead of `on_market`. Raises
        UnknownSymbolError for a symbol without an instrument.
        """
        instrument = self.instruments.get(symbol)
        if instrument is None:
            raise UnknownSymbolError("the paper venue has no such instrument", symbol=symbol)
        engine = MatchingEngine(
            instrument,
            book,
            maker_fee=self._fees[0],
            taker_fee=self._fees[1],
            on_update=self._updated,
            admit=self._admit,
        )
        self._engines[symbol] = engine
        self._handlers[symbol] = engine.handlers
        return engine

    def engine(self, symbol: str) -> MatchingEngine:
        """The engine of a watched symbol. Raises UnknownSymbolError."""
        engine = self._engines.get(symbol)
        if engine is None:
            raise UnknownSymbolError("the paper venue does not watch this symbol", symbol=symbol)
        return engine

    def on_market(self, event: MarketEvent) -> None:
        """Pass one market event to its symbol's engine. Raises UnknownSymbolError for a symbol that is not watched."""
        handlers = self._handlers.get(event.symbol)
        if handlers is None:
            raise UnknownSymbolError("the paper venue does not watch this symbol", symbol=event.symbol)
        handlers[type(event)](event)

    # Orders on their way and their arrival.

    def submit(self, order: Order, at: int) -> int:
        """Send an order at `at`; returns when it arrives.

        Raises UnknownSymbolError for a symbol that is not watched and DuplicateOrderError for a client order id that
        was used before.
        """
        self.engine(order.symbol)
        if self._orders.get(order.client_order_id) is not None:
            raise DuplicateOrderError(
                f"client order id {order.client_order_id} was used before", venue="paper", symbol=order.symbol
            )
        self._orders.add(order, at)
        return self._send(order.client_order_id, order, at)

    def cancel(self, client_order_id: str, at: int) -> int:
        """Send a cancel at `at`; returns when it arrives. Its outcome goes to `on_cancel`."""
        return self._send(client_order_id, None, at)

    def advance(self, to: int) -> None:
        """Let everything arrive that is due at or before `to`, in the order it was sent."""
        arrivals = self._arrivals
        while arrivals and arrivals[0].due <= to:
            arrival = arrivals.popleft()
            self.next_due = arrivals[0].due if arrivals else IDLE
            if arrival.order is None:
                self._cancel_arrives(arrival)
            else:
                self._accepted += 1
                self.engine(arrival.order.symbol).submit(arrival.order, str(self._accepted), arrival.due)

    # The account.

    def balances(self) -> dict[str, Balance]:
        """Every asset that was ever held, by name."""
        return self._ledger.balances()

    def open_orders(self, symbol: str | None = None) -> list[OrderState]:
        """Copies of the orders that rest at the venue, oldest first; those still on their way are not there yet."""
        return [
            attrs.evolve(state)
            for state in self._orders.open.values()
            if state.status is not OrderStatus.Created and symbol in (None, state.order.symbol)
        ]

    def order(self, client_order_id: str) -> OrderState | None:
        """A copy of an order's state; None when the venue does not know it, because it has not arrived say."""
        state = self._orders.get(client_order_id)
        return None if state is None or state.status is OrderStatus.Created else attrs.evolve(state)

    def fills(self, since: int = 0) -> list[Fill]:
        """Fills at or after `since` (UTC ns), oldest first."""
        return [fill for fill in self._fills if fill.at >= since]

    def mid(self, symbol: str) -> Decimal | None:
        """Half way between the best displayed bid and ask; None while either is unknown."""
        return self.engine(symbol).mid()

    def equity(self, asset: str) -> Decimal:
        """Total of `asset` plus every other holding at the mid of its symbol against `asset`.

        Raises MarketDataError for a holding that has no such symbol or no price yet.
        """
        equity = ZERO
        for balance in self.balances().values():
            if balance.asset == asset:
                equity = add(equity, balance.total)
            elif balance.total:
                equity = add(equity, multiply(balance.total, self._mark(balance.asset, asset)))
        return equity

    # Inside.

    def _send(self, client_order_id: str, order: Order | None, at: int) -> int:
        jitter = self._random.randint(0, self._jitter) if self._jitter else 0
        due = self._last_due = max(self._last_due, at + self._latency + jitter)
        self._arrivals.append(_Arrival(due, client_order_id, order))
        self.next_due = self._arrivals[0].due
        return due

    def _cancel_arrives(self, arrival: _Arrival) -> None:
        state = self._orders.get(arrival.client_order_id)
        found = state is not None and self.engine(state.order.symbol).cancel(arrival.client_order_id, arrival.due)
        if self._on_cancel is not None:
            outcome = CancelOutcome.Cancelled if found else CancelOutcome.NotFound
            self._on_cancel(CancelResult(arrival.client_order_id, arrival.due, outcome))

    def _admit(self, order: Order, need: Decimal) -> str:
        if order.reduce_only and order.side is Side.Buy:
            return "a reduce-only buy has nothing to reduce on a spot account"
        return self._ledger.lock(order, self.instruments[order.symbol], need)

    def _updated(self, update: OrderUpdate) -> None:
        if update.fill is not None:
            self._fills.append(update.fill)
            self._ledger.settle(update.fill, self.instruments[update.symbol])
        if update.status.is_terminal:
            self._ledger.unlock(update.client_order_id)
        self._orders.apply(update)
        self._on_update(update)

    def _mark(self, base: str, quote: str) -> Decimal:
        for symbol, engine in self._engines.items():
            if (engine.instrument.base, engine.instrument.quote) == (base, quote):
                mid = engine.mid()
                if mid is not None:
                    return mid
                raise MarketDataError(f"no price is known yet, so {base} has no value in {quote}", symbol=symbol)
        raise MarketDataError(f"no watched symbol trades {base} against {quote}")
