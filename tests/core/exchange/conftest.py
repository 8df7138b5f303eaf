"""A BTCUSDT market on a coarse grid, and an engine over it that remembers what it reported."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import attrs
import pytest

from axon_quant.exchange import MatchingEngine
from axon_quant.market import BookSnapshot, BookUpdate, Instrument, OrderBook, Quote, Trade
from axon_quant.orders import Order, OrderStatus, OrderTracker, OrderType, OrderUpdate, Side, TimeInForce

Levels = list[tuple[float, float]]


@attrs.define
class Desk:
    """One engine, its book, and every update it reported; an `OrderTracker` refuses illegal ones."""

    instrument: Instrument
    book: OrderBook
    engine: MatchingEngine
    updates: list[OrderUpdate]
    tracker: OrderTracker
    now: int = 1_000_000_000_000
    placed: int = 0

    def snapshot(self, bids: Levels, asks: Levels, sequence: int = 100) -> None:
        event = BookSnapshot("BTCUSDT", self._tick(), sequence, bids, asks)
        self.book.restore(event)
        self.engine.on_book(event)

    def update(self, bids: Levels | None = None, asks: Levels | None = None, last: int | None = None) -> None:
        first = self.book.sequence + 1
        event = BookUpdate("BTCUSDT", self._tick(), first, first if last is None else last, bids or [], asks or [])
        self.book.apply(event)
        self.engine.on_book(event)

    def lose_book(self) -> None:
        sequence = self.book.sequence + 10
        event = BookUpdate("BTCUSDT", self._tick(), sequence, sequence, [], [])
        self.book.apply(event)
        self.engine.on_book(event)

    def quote(self, bid: float, bid_size: float, ask: float, ask_size: float, sequence: int = 0) -> None:
        self.engine.on_quote(Quote("BTCUSDT", self._tick(), bid, bid_size, ask, ask_size, sequence))

    def trade(self, price: float, quantity: float, *, seller: bool) -> None:
        """A trade whose aggressor is a seller or a buyer."""
        self.engine.on_trade(Trade("BTCUSDT", self._tick(), price, quantity, buyer_is_maker=seller))

    def wait(self, nanoseconds: int) -> None:
        self.now += nanoseconds

    def place(
        self,
        side: Side,
        quantity: float,
        price: float | None = None,
        time_in_force: TimeInForce = TimeInForce.GTC,
        *,
        post_only: bool = False,
    ) -> str:
        self.placed += 1
        kind = OrderType.Market if price is None else OrderType.Limit
        order = Order(
            "BTCUSDT",
            side,
            kind,
            price,
            quantity,
            time_in_force=time_in_force,
            post_only=post_only,
            client_order_id=f"o{self.placed}",
        )
        self.tracker.add(order, self.now)
        self.engine.submit(order, str(self.placed), self._tick())
        return order.client_order_id

    def status(self, order_id: str) -> OrderStatus:
        state = self.tracker.get(order_id)
        assert state is not None
        return state.status

    def reason(self, order_id: str) -> str:
        return [update.reason for update in self.updates if update.client_order_id == order_id][-1]

    def fills(self, order_id: str) -> list[tuple[str, str]]:
        """(price, quantity) of every fill, as text so that no digit hides."""
        return [
            (str(update.fill.price), f"{update.fill.quantity.normalize():f}")
            for update in self.updates
            if update.client_order_id == order_id and update.fill is not None
        ]

    def remember(self, update: OrderUpdate) -> None:
        self.updates.append(update)
        self.tracker.apply(update)

    def _tick(self) -> int:
        self.now += 1_000
        return self.now


@pytest.fixture
def instrument() -> Instrument:
    return Instrument(
        venue="paper",
        symbol="BTCUSDT",
        base="BTC",
        quote="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
        min_notional=Decimal("5"),
    )


@pytest.fixture
def make_desk(instrument: Instrument) -> Callable[[], Desk]:
    def make() -> Desk:
        book, tracker = OrderBook("BTCUSDT"), OrderTracker()
        updates: list[OrderUpdate] = []
        desk: Desk

        def remember(update: OrderUpdate) -> None:
            desk.remember(update)

        engine = MatchingEngine(
            instrument, book, maker_fee=Decimal("0.0002"), taker_fee=Decimal("0.0005"), on_update=remember
        )
        desk = Desk(instrument, book, engine, updates, tracker)
        return desk

    return make


@pytest.fixture
def empty(make_desk: Callable[[], Desk]) -> Desk:
    """No market data yet."""
    return make_desk()


@pytest.fixture
def desk(empty: Desk) -> Desk:
    """A whole book, three levels a side, 100.00 bid and 101.00 asked."""
    empty.snapshot([(100.0, 2.0), (99.5, 3.0), (99.0, 5.0)], [(101.0, 1.0), (101.5, 2.0), (102.0, 4.0)])
    return empty
