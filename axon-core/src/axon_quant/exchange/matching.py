"""The matching engine of one symbol: our orders against a market that is displayed, not simulated.

Rules, all of them:

- **Taking.** A market or marketable limit order walks the displayed book (`DisplayedBook`) when it arrives. What it
  took stays taken until the venue reports another size for that level. A market order that finds too little expires for
  the rest; one that finds nothing at all is rejected.
- **Queueing.** A limit order that rests stands behind the size displayed at its price. The queue ahead shrinks with
  trades of the other side's aggressors at that price, and to the displayed size when that becomes smaller. A venue
  reports one trade twice, as a quote and as a trade, in either order: a trade within 200 ms of a shrinking display is
  taken to be what shrank it and moves the queue only by the excess. Where nothing is displayed to stand behind (deeper
  than the book, or no sizes at all), the queue is unlimited until the level is displayed.
- **Making.** Trades at the price that exceed the queue ahead fill what they exceed it by. A trade beyond the price
  fills the rest. So does a bar whose low or high lies beyond, when nothing finer (quotes, a whole book) is there. Size
  displayed by the other side at the price or beyond it fills as much as is displayed (it would have met our order) and
  counts as taken. A maker fills at its own price.
- **Own orders** never meet: the incoming one is rejected. They queue among themselves by price, then arrival.
- **Time in force.** IOC expires for what it cannot take at once; FOK takes everything or expires; a post-only order
  that would take is rejected.
- **Fees** are exact: price × quantity × rate in the quote asset, never rounded.

Prices meet as float64, which is exact because both sides come from the same decimal text; quantities are integer lots
inside and Decimals in every update.
"""

from __future__ import annotations

from bisect import insort_right
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

import attrs

from axon_quant.exchange.displayed import UNLIMITED, DisplayedBook
from axon_quant.exchange.exact import ZERO, add, from_float, multiply
from axon_quant.exchange.filters import refusal
from axon_quant.market.book import OrderBook
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import Bar, BookSnapshot, BookUpdate, Quote, Trade
from axon_quant.orders.types import Fill, Liquidity, Order, OrderStatus, OrderType, OrderUpdate, Side, TimeInForce

Reducible: TypeAlias = Callable[[Order], Decimal]
"""Asked before a resting reduce-only order fills: the most that it may."""
Admit: TypeAlias = Callable[[Order, Decimal], str]
"""Asked before an order is accepted: the order and the most it can need, fees included, in quote units for a buy and
base units for a sell. Returns why it is refused, or ""."""

TRADE_LAG = 200_000_000
_INFINITY = float("inf")


@attrs.define(eq=False)
class _Working:
    """One accepted order: `lots` are left, `ahead` stand before it, `credit` left the queue before their trade came."""

    order: Order
    venue_order_id: str
    price: float
    lots: int
    ahead: int = 0
    credit: int = 0
    credit_until: int = 0
    filled: Decimal = ZERO
    fills: int = 0


class MatchingEngine:
    """Matches the orders of one account in one symbol and reports every change through `on_update`.

    `book` is the caller's: apply a message to it first, then pass the message to `on_book`. `maker_fee` and `taker_fee`
    are fractions (negative: a rebate). `admit` may refuse an order, for want of funds say; reduce-only is its business
    too, for an engine knows no positions. What a resting reduce-only order may not fill, by `reducible`, expires.
    `on_update` must not call the engine back. Client order ids must be unique among working orders; the owner sees to
    it.
    """

    def __init__(
        self,
        instrument: Instrument,
        book: OrderBook,
        *,
        maker_fee: Decimal,
        taker_fee: Decimal,
        on_update: Callable[[OrderUpdate], None],
        admit: Admit | None = None,
        reducible: Reducible | None = None,
    ) -> None:
        self.instrument = instrument
        self.maker_fee = maker_fee
        self.taker_fee = taker_fee
        self._shown = DisplayedBook(instrument, book)
        self._on_update = on_update
        self._admit = admit
        self._reducible = reducible
        self._bids: list[_Working] = []  # best price first, then arrival
        self._asks: list[_Working] = []
        self._arm()

    @property
    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """What takes which market event, for a loop that does without a look-up per event."""
        return {
            Trade: self.on_trade,
            Quote: self.on_quote,
            Bar: self.on_bar,
            BookUpdate: self.on_book,
            BookSnapshot: self.on_book,
        }

    # Market events: the first lines of each are the hot path of a replay.

    def on_trade(self, trade: Trade) -> None:
        """A public trade: advances queues at its price and fills what it traded through."""
        self._shown.last = price = trade.price
        if self._high < price < self._low:
            return
        for side, aggressor_meets in ((Side.Buy, trade.buyer_is_maker), (Side.Sell, not trade.buyer_is_maker)):
            self._fill_beyond(side, price, trade.received)
            if aggressor_meets:
                self._advance_queue(side, price, self._shown.lots(trade.quantity), trade.received)
        self._arm()

    def on_quote(self, quote: Quote) -> None:
        """A new best bid and ask."""
        self._shown.quote = quote
        if quote.bid > self._floor and quote.ask < self._ceiling:
            return
        if self._shown.has_taken:
            self._shown.refresh()
        if not self._shown.sees(quote):
            self._meet(quote.bid, quote.ask, quote.received)
            self._follow_quote(quote)
        self._arm()

    def on_book(self, event: BookUpdate | BookSnapshot) -> None:
        """The book has changed by `event`, which the caller has applied already."""
        self._shown.book_at = event.received
        if self._quiet:
            return
        if self._shown.has_taken:
            self._shown.refresh()
        if self._shown.book.whole:
            bid, ask = self._shown.touch()
            self._meet(bid, ask, event.received)
            self._follow_book(event.received)
        self._arm()

    def on_bar(self, bar: Bar) -> None:
        """A closed bar: its close is the last price; alone, it fills what it traded through."""
        self._shown.last = bar.close
        if self._high <= bar.low and bar.high <= self._low:
            return
        if self._shown.quote is None and not self._shown.book.whole:
            self._fill_beyond(Side.Buy, bar.low, bar.received)
            self._fill_beyond(Side.Sell, bar.high, bar.received)
            self._arm()

    # Orders.

    def submit(self, order: Order, venue_order_id: str, at: int) -> None:
        """An order arrives. Everything that becomes of it is reported through `on_update`, a refusal too."""
        side = order.side
        best = self._shown.best(side.opposite)
        reason = refusal(order, self.instrument, None if best is None else from_float(best))
        if reason:
            self._report(order, venue_order_id, OrderStatus.Rejected, at, reason=reason)
            return
        lots = int(order.quantity / self.instrument.lot_size)
        limit = None if order.price is None else float(order.price)
        plan = self._shown.walk(side.opposite, lots, limit)
        reason = self._conflict(order, plan, lots, limit) or (
            self._admit(order, self._need(order, plan)) if self._admit is not None else ""
        )
        if reason:
            self._report(order, venue_order_id, OrderStatus.Rejected, at, reason=reason)
            return
        self._report(order, venue_order_id, OrderStatus.Open, at)
        if order.time_in_force is TimeInForce.FOK and sum(part for _, part in plan) < lots:
            reason = "fill or kill: the displayed size is too small"
            self._report(order, venue_order_id, OrderStatus.Expired, at, reason=reason)
            return
        working = _Working(order, venue_order_id, _INFINITY if limit is None else limit, lots)
        for price, part in plan:
            self._shown.take(side.opposite, price, part)
            self._fill(working, part, from_float(price), Liquidity.Taker, at)
        if working.lots and (limit is None or order.time_in_force is TimeInForce.IOC):
            reason = "the displayed size is used up" if limit is None else "immediate or cancel"
            self._report(order, venue_order_id, OrderStatus.Expired, at, filled=working.filled, reason=reason)
        elif working.lots:
            working.ahead = self._shown.queue_at(side, working.price)
            insort_right(self._side(side), working, key=lambda other: -side.sign * other.price)
        self._arm()

    def cancel(self, client_order_id: str, at: int) -> bool:
        """Cancel a resting order; False when none has that id (finished, or never there)."""
        for orders in (self._bids, self._asks):
            for working in orders:
                if working.order.client_order_id == client_order_id:
                    orders.remove(working)
                    self._arm()
                    self._report(
                        working.order, working.venue_order_id, OrderStatus.Cancelled, at, filled=working.filled
                    )
                    return True
        return False

    def reduce(self, client_order_id: str, quantity: Decimal) -> str:
        """Lower what is left of a resting order, which keeps its place in the queue; why not, or ""."""
        lots = quantity / self.instrument.lot_size
        for working in (*self._bids, *self._asks):
            if working.order.client_order_id == client_order_id:
                if not (lots == int(lots) and 0 < lots <= working.lots):
                    return f"quantity {quantity} is not between nothing and what is left, in lots"
                working.lots = int(lots)
                return ""
        return f"order {client_order_id} does not rest"

    def quantity_worth(self, side: Side, value: Decimal) -> Decimal:
        """What a market order of `side` would take for no more than `value` of the quote asset, in whole lots."""
        lots, left = 0, value
        for price, available in self._shown.levels(side.opposite):
            each = multiply(from_float(price), self.instrument.lot_size)
            part = min(available, int(left // each))
            lots += part
            left -= multiply(each, Decimal(part))
            if part < available:
                break
        return self._quantity(lots)

    @property
    def resting(self) -> list[Order]:
        """The resting orders, bids then asks, each in the order they would fill."""
        return [working.order for working in (*self._bids, *self._asks)]

    def queue_ahead(self, client_order_id: str) -> int | None:
        """Lots ahead of a resting order; None when it is not resting or its queue is not displayed."""
        for working in (*self._bids, *self._asks):
            if working.order.client_order_id == client_order_id:
                return None if working.ahead == UNLIMITED else working.ahead
        return None

    def mid(self) -> Decimal | None:
        """Half way between the best displayed bid and ask, exactly; None while either is unknown."""
        return self._shown.mid()

    # How an arriving order is judged.

    def _conflict(self, order: Order, plan: list[tuple[float, int]], lots: int, limit: float | None) -> str:
        if order.order_type.has_stop_price:
            return "stop orders are not traded here"
        if order.order_type is OrderType.Market and not plan:
            return f"nothing is displayed for a market {order.side.value} to take"
        if order.post_only and plan:
            return f"post-only: it would take {order.side.opposite.value} orders at {plan[0][0]!r}"
        own = self._side(order.side.opposite)
        if not own:
            return ""
        reach: float = _INFINITY * order.side.sign if limit is None else limit
        stands = limit is not None and order.time_in_force is TimeInForce.GTC
        if not stands and plan and sum(part for _, part in plan) == lots:
            reach = plan[-1][0]
        if (reach - own[0].price) * order.side.sign >= 0:
            return f"self-trade: it would meet order {own[0].order.client_order_id} at {own[0].order.price}"
        return ""

    def _need(self, order: Order, plan: list[tuple[float, int]]) -> Decimal:
        if order.side is Side.Sell:
            return order.quantity
        if order.price is not None:
            cost, rate = multiply(order.price, order.quantity), max(self.maker_fee, self.taker_fee, ZERO)
        else:
            cost, rate = ZERO, max(self.taker_fee, ZERO)
            for price, part in plan:
                cost = add(cost, multiply(from_float(price), self._quantity(part)))
        return add(cost, multiply(cost, rate))

    # How resting orders fill.

    def _fill_beyond(self, side: Side, price: float, at: int) -> None:
        """Fill every order of `side` whose price a trade at `price` lies beyond."""
        orders, sign = self._side(side), side.sign
        while orders and (orders[0].price - price) * sign > 0:
            self._make(orders, orders[0], orders[0].lots, at)

    def _advance_queue(self, side: Side, price: float, lots: int, at: int) -> None:
        """A trade of `lots` at `price` passes through the queue, our orders in it."""
        orders = self._side(side)
        for working in [working for working in orders if working.price == price]:
            credit = min(working.credit, lots) if at <= working.credit_until else 0
            working.credit -= credit
            moved = lots - credit
            excess = max(0, moved - working.ahead)
            if working.ahead != UNLIMITED:
                working.ahead = max(0, working.ahead - moved)
            part = min(excess, working.lots)
            if part:
                lots -= part
                self._make(orders, working, part, at)

    def _meet(self, bid: float, ask: float, at: int) -> None:
        """Resting orders that the displayed `bid` or `ask` reaches meet what is displayed there."""
        if self._high >= ask:
            self._meet_side(Side.Buy, at)
        if self._low <= bid:
            self._meet_side(Side.Sell, at)

    def _meet_side(self, side: Side, at: int) -> None:
        orders = self._side(side)
        while orders:
            working = orders[0]
            plan = self._shown.walk(side.opposite, working.lots, working.price)
            if not plan:
                return
            for price, part in plan:
                self._shown.take(side.opposite, price, part)
            self._make(orders, working, sum(part for _, part in plan), at)

    # How queues follow the display. A comparison to half a lot sorts out the orders that cannot be affected.

    def _follow_quote(self, quote: Quote) -> None:
        per_lot = self._shown.per_lot
        for working in self._bids:
            if working.price < quote.bid:
                break
            if working.ahead and (working.price > quote.bid or quote.bid_quantity * per_lot < working.ahead - 0.5):
                self._shrink_queue(working, quote.received)
        for working in self._asks:
            if working.price > quote.ask:
                break
            if working.ahead and (working.price < quote.ask or quote.ask_quantity * per_lot < working.ahead - 0.5):
                self._shrink_queue(working, quote.received)

    def _follow_book(self, at: int) -> None:
        per_lot, book, taken = self._shown.per_lot, self._shown.book, self._shown.has_taken
        for working in self._bids:
            if working.ahead and (taken or book.bid_quantity(working.price) * per_lot < working.ahead - 0.5):
                self._shrink_queue(working, at)
        for working in self._asks:
            if working.ahead and (taken or book.ask_quantity(working.price) * per_lot < working.ahead - 0.5):
                self._shrink_queue(working, at)

    def _shrink_queue(self, working: _Working, at: int) -> None:
        side, price = working.order.side, working.price
        size = self._shown.size_at(side, price)
        if size is None or size >= working.ahead:
            return
        if working.ahead == UNLIMITED:
            if size == 0 and self._shown.is_behind(side, price):
                return  # still deeper than anything displayed
        else:
            working.credit = working.ahead - size + (working.credit if at <= working.credit_until else 0)
            working.credit_until = at + TRADE_LAG
        working.ahead = size

    def _make(self, orders: list[_Working], working: _Working, lots: int, at: int) -> None:
        if working.order.reduce_only and self._reducible is not None:
            most = int(self._reducible(working.order) / self.instrument.lot_size)
            if most < lots:
                self._expire_rest(orders, working, most, at)
                return
        if lots == working.lots:
            orders.remove(working)
        price = working.order.price
        assert price is not None  # noqa: S101 - only limit orders rest
        self._fill(working, lots, price, Liquidity.Maker, at)

    def _expire_rest(self, orders: list[_Working], working: _Working, lots: int, at: int) -> None:
        orders.remove(working)
        order, price = working.order, working.order.price
        assert price is not None  # noqa: S101 - only limit orders rest
        if lots:
            self._fill(working, lots, price, Liquidity.Maker, at)
        reason = "reduce-only: the position is closed"
        self._report(order, working.venue_order_id, OrderStatus.Expired, at, filled=working.filled, reason=reason)

    # How a change is reported.

    def _fill(self, working: _Working, lots: int, price: Decimal, liquidity: Liquidity, at: int) -> None:
        order, quantity = working.order, self._quantity(lots)
        rate = self.maker_fee if liquidity is Liquidity.Maker else self.taker_fee
        working.lots -= lots
        working.filled = add(working.filled, quantity)
        working.fills += 1
        fill = Fill(
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            price=price,
            quantity=quantity,
            fee=multiply(multiply(price, quantity), rate),
            fee_asset=self.instrument.quote,
            liquidity=liquidity,
            fill_id=f"{working.venue_order_id}-{working.fills}",
            at=at,
        )
        status = OrderStatus.PartiallyFilled if working.lots else OrderStatus.Filled
        self._report(order, working.venue_order_id, status, at, filled=working.filled, fill=fill)

    def _report(
        self,
        order: Order,
        venue_order_id: str,
        status: OrderStatus,
        at: int,
        *,
        filled: Decimal = ZERO,
        fill: Fill | None = None,
        reason: str = "",
    ) -> None:
        self._on_update(
            OrderUpdate(order.client_order_id, status, at, order.symbol, venue_order_id, filled, fill, reason)
        )

    def _quantity(self, lots: int) -> Decimal:
        return multiply(Decimal(lots), self.instrument.lot_size)

    def _side(self, side: Side) -> list[_Working]:
        return self._bids if side is Side.Buy else self._asks

    def _arm(self) -> None:
        """Set the prices between which market events change nothing here."""
        self._high = self._bids[0].price if self._bids else -_INFINITY
        self._low = self._asks[0].price if self._asks else _INFINITY
        taken = self._shown.has_taken
        self._floor = _INFINITY if taken else self._high
        self._ceiling = -_INFINITY if taken else self._low
        self._quiet = not (self._bids or self._asks or taken)
