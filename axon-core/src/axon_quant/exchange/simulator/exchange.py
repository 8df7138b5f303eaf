"""A simulated venue's orders and money, synchronous and without a protocol: matching, stops, amendments, fees, swaps.

Every account trades against the displayed market, as on the paper venue; accounts do not meet each other. `now` is the
venue's clock, UTC ns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import attrs

from axon_quant.exchange.exact import ZERO, add, from_float, multiply, subtract
from axon_quant.exchange.matching import MatchingEngine
from axon_quant.exchange.primitives import MarginMode
from axon_quant.exchange.simulator.account import Account, AccountEvent, Cause, SimulatedFill, SimulatedOrder, Transfer
from axon_quant.exchange.simulator.positions import SimulatedPosition
from axon_quant.exchange.simulator.refusals import FUNDS, Refusal, RefusedError, kind_of, refused
from axon_quant.exchange.simulator.settlement import Fees, settle, settle_swap
from axon_quant.exchange.simulator.swaps import REDUCE_ONLY, Swaps, SwapTerms
from axon_quant.exchange.simulator.truth import ledger
from axon_quant.market.book import OrderBook
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import BookSnapshot, BookUpdate, MarketEvent, Quote, Trade
from axon_quant.orders.types import Order, OrderStatus, OrderType, OrderUpdate, Side

_ENDS: dict[OrderStatus, Cause] = {OrderStatus.Expired: "expired", OrderStatus.Cancelled: "cancelled"}


class SimulatedExchange:
    """Accounts, orders and books of one venue.

    `maker_fee` and `taker_fee` are fractions. A client order id may be used again once its order is finished, unless
    `reuse_client_ids` is False. An order that would meet one of its own account makes that one expire, unless
    `expire_makers` is False: then it is refused. A post-only order that would take is refused or, with
    `expire_post_only`, taken and expires. `swap_terms` are those of perpetual swaps, whose positions `swaps` has.
    `listeners` are told of every market event after it was applied.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument],
        accounts: Iterable[Account],
        *,
        maker_fee: Decimal = Decimal("0.001"),
        taker_fee: Decimal = Decimal("0.001"),
        reuse_client_ids: bool = True,
        expire_makers: bool = True,
        expire_post_only: bool = False,
        first_order_id: int = 1_000,
        swap_terms: SwapTerms | None = None,
    ) -> None:
        self.instruments = {instrument.symbol: instrument for instrument in instruments}
        self.accounts = {account.key: account for account in accounts}
        self.books = {symbol: OrderBook(symbol) for symbol in self.instruments}
        self.quotes: dict[str, Quote] = {}
        self.last: dict[str, Trade] = {}
        self.listeners: list[Callable[[MarketEvent], None]] = []
        self.now: Callable[[], int] = lambda: 0
        self.fees = Fees(maker_fee, taker_fee)
        terms = SwapTerms() if swap_terms is None else swap_terms
        self.swaps = Swaps(self.instruments, self.accounts, self.quotes, terms, self.price, lambda: self.now())
        self._reuse = reuse_client_ids
        self._expire_makers = expire_makers
        self._taken_though_void = {Refusal.NoLiquidity, *([Refusal.PostOnly] if expire_post_only else [])}
        self._next_order = first_order_id
        self._next_trade: dict[str, int] = dict.fromkeys(self.instruments, 1)
        self._engines: dict[str, dict[str, MatchingEngine]] = {symbol: {} for symbol in self.instruments}
        self._handlers: dict[str, list[dict[type, Callable[[Any], None]]]] = {symbol: [] for symbol in self.instruments}
        self._stops: dict[str, list[tuple[Account, SimulatedOrder]]] = {symbol: [] for symbol in self.instruments}
        self._submission: _Submission | None = None
        self._ending: tuple[Cause, str] | None = None  # why the engine is to cancel; None: to amend, which is silent
        self._moved: list[
            tuple[Account, SimulatedPosition]
        ] = []  # positions that reduce-only orders may be too large for

    # The market.

    def on_market(self, event: MarketEvent) -> None:
        """The market moved: books, resting orders and stops follow, then the listeners are told."""
        symbol, book = event.symbol, self.books[event.symbol]
        if isinstance(event, BookUpdate):
            book.apply(event)
        elif isinstance(event, BookSnapshot):
            book.restore(event)
        elif isinstance(event, Quote):
            self.quotes[symbol] = event
        for handlers in self._handlers[symbol]:
            handlers[type(event)](event)
        if isinstance(event, Trade):
            self.last[symbol] = event
            if self._stops[symbol]:
                self._trigger(symbol, event.price)
        self._follow_positions()
        self.swaps.tick()
        for listener in self.listeners:
            listener(event)

    def price(self, symbol: str) -> Decimal | None:
        """The last trade's price, else the mid; None before either."""
        if symbol in self.last:
            return from_float(self.last[symbol].price)
        quote = self.quotes.get(symbol)
        return None if quote is None else from_float(quote.mid)

    # Orders.

    def place(
        self,
        account: Account,
        order: Order,
        *,
        rises: bool | None = None,
        tag: Mapping[str, object] | None = None,
        margin_mode: MarginMode | None = None,
    ) -> SimulatedOrder:
        """Take an order. Raises RefusedError when the venue does not; then nothing is left of it.

        A market order that finds nothing to take is taken, and expires. Filters other than the grid are the protocol's
        to check before, in its own words. `rises` says, for a stop, that its price is reached from below; a stop on the
        wrong side is refused. None: from wherever the price is. `margin_mode` is a swap's, None: the account's.
        """
        self.check(account, order)
        placed = SimulatedOrder(order, self._next_order, self.now(), asked=order.quantity, tag=dict(tag or {}))
        placed.position = self.swaps.position(account, order.symbol, margin_mode)
        if order.stop_price is not None:
            self._arm_stop(account, placed, rises)
        self._next_order += 1
        account.add(placed)
        if placed.waiting:
            self._stops[order.symbol].append((account, placed))
            self._tell(account, placed, "new")
            return placed
        reason = self._submit(account, placed, order, "new")
        if kind_of(reason) in self._taken_though_void:
            self._tell(account, placed, "new")
            self._finish(account, placed, "expired", reason)
        elif reason:
            account.forget(placed)
            raise refused(reason)
        self._follow_positions()
        return placed

    def check(self, account: Account, order: Order) -> None:
        """What does not depend on the market. Raises RefusedError."""
        if not account.may_trade:
            raise RefusedError(Refusal.Permission, "the key may not trade")
        if order.symbol not in self.instruments:
            raise RefusedError(Refusal.Symbol, f"no instrument {order.symbol}")
        self._check_name(account, order.client_order_id)

    def cancel(self, account: Account, placed: SimulatedOrder) -> SimulatedOrder:
        """Cancel an open order. Raises RefusedError when it is not open."""
        if not placed.is_open:
            raise RefusedError(Refusal.NotFound, f"order {placed.venue_order_id} is {placed.status.value}")
        self._end(account, placed, "cancelled")
        return placed

    def amend(
        self,
        account: Account,
        placed: SimulatedOrder,
        *,
        price: Decimal | None = None,
        quantity: Decimal | None = None,
        client_order_id: str | None = None,
    ) -> SimulatedOrder:
        """Change price or total quantity of a resting limit order, and its client order id with it.

        It keeps its place in the queue when only its quantity becomes less. Raises RefusedError when it is not open,
        or cannot be what was asked for; the order is then as it was, unless the venue could not put it back.
        """
        if not placed.is_open or placed.waiting:
            raise RefusedError(Refusal.NotFound, f"order {placed.venue_order_id} is not in the book")
        old = placed.order
        wanted = old.quantity if quantity is None else quantity
        if not wanted > placed.filled:
            raise RefusedError(Refusal.Filter, f"quantity {wanted} is not above the {placed.filled} that has filled")
        name = old.client_order_id if client_order_id is None else client_order_id
        if name != old.client_order_id:
            self._check_name(account, name)
        placed.asked = wanted
        new = attrs.evolve(old, price=old.price if price is None else price, quantity=wanted, client_order_id=name)
        if new.price == old.price and wanted <= old.quantity:
            self._reduce(account, placed, new)
        else:
            self._resubmit(account, placed, new)
        self._follow_positions()
        placed.amended += 1
        if name != old.client_order_id:
            account.by_client.setdefault(name, []).append(placed)
        return placed

    def transfer(self, account: Account, asset: str, amount: Decimal) -> None:
        """Pay in, or out with a negative amount. Raises RefusedError when that much is not free."""
        available = self.swaps.available(account, asset)
        if not available + amount >= 0:
            raise RefusedError(Refusal.Funds, f"{available:f} {asset} is free")
        account.change(asset, amount)
        account.tell(Transfer(account.next_sequence(), asset, amount, self.now()))

    def quantity_worth(self, account: Account, symbol: str, side: Side, value: Decimal) -> Decimal:
        """What a market order of an account would take for no more than `value` of the quote asset, in whole lots."""
        return self._engine(account, symbol).quantity_worth(side, value)

    def truth(self) -> dict[str, object]:
        """Everything that happened, by account, as plain values."""
        return ledger(self.accounts.values())

    # Inside: the matching engine of an account and a symbol. It knows orders by their venue id, which never changes.

    def _check_name(self, account: Account, name: str) -> None:
        if any(one.is_open or not self._reuse for one in account.by_client.get(name, ())):
            raise RefusedError(Refusal.Duplicate, f"client order id {name} is in use")

    def _engine(self, account: Account, symbol: str) -> MatchingEngine:
        engines = self._engines[symbol]
        engine = engines.get(account.key)
        if engine is None:
            engine = engines[account.key] = MatchingEngine(
                _grid(self.instruments[symbol]),
                self.books[symbol],
                maker_fee=ZERO,  # fees are the account's business: they may be paid in what a fill brings in
                taker_fee=ZERO,
                on_update=lambda update: self._updated(account, update),
                admit=lambda order, need: self._admit(account, order, need),
                reducible=lambda order: self._reducible(account.orders[int(order.client_order_id)]),
            )
            self._handlers[symbol].append(engine.handlers)
            if symbol in self.quotes:
                engine.on_quote(self.quotes[symbol])
        return engine

    def _submit(self, account: Account, placed: SimulatedOrder, order: Order, cause: Cause | None) -> str:
        """Give an order to the matching engine; why it is refused, or ""."""
        if order.reduce_only and placed.position is not None:
            quantity, reason = self.swaps.reduced(placed, order.quantity)
            if reason:
                return reason
            if quantity < order.quantity:
                order = attrs.evolve(order, quantity=quantity)
                placed.order = attrs.evolve(placed.order, quantity=add(placed.filled, quantity))
        engine = self._engine(account, order.symbol)
        order = attrs.evolve(order, client_order_id=str(placed.venue_order_id))
        while True:
            submission = self._submission = _Submission(placed, cause)
            try:
                engine.submit(order, str(placed.venue_order_id), self.now())
            finally:
                self._submission = None
            if kind_of(submission.reason) is not Refusal.SelfTrade or not self._expire_makers:
                return submission.reason
            if order.post_only:
                return "post-only: it would take an order of the same account"
            maker = next(one for one in engine.resting if one.side is order.side.opposite)
            self._end(account, account.orders[int(maker.client_order_id)], "prevented")

    def _admit(self, account: Account, order: Order, need: Decimal) -> str:
        submission = self._submission
        assert submission is not None  # noqa: S101 - an engine asks only while an order is submitted
        if submission.placed.position is not None:
            return self.swaps.admit(account, submission.placed, order, self.fees.taker)
        instrument = self.instruments[order.symbol]
        asset = instrument.quote if order.side is Side.Buy else instrument.base
        account.release(submission.placed)
        available = self.swaps.available(account, asset)
        if not need <= available:
            return f"{FUNDS} {order.side.value} needs {need:f} {asset}, {available:f} is free"
        account.hold(submission.placed, asset, need)
        return ""

    def _updated(self, account: Account, update: OrderUpdate) -> None:
        submission = self._submission
        if update.status is OrderStatus.Rejected:
            if submission is not None:
                submission.reason = update.reason or "rejected"
            return
        placed = account.orders[int(update.venue_order_id)]
        if update.fill is not None:
            number = self._next_trade[update.symbol]
            self._next_trade[update.symbol] = number + 1
            instrument, rate = self.instruments[update.symbol], self.fees.rate(update.fill.liquidity)
            position = placed.position
            before = ZERO if position is None else position.quantity
            book = settle if position is None else settle_swap
            fill, changed = book(account, placed, instrument, update.fill, rate, number, self.now(), self.price)
            if position is not None:
                self.swaps.booked(position, before, fill.realised, fill.fee, self.now())
                self._moved.append((account, position))
            self._tell(account, placed, "trade", fill, changed)
        elif update.status is OrderStatus.Open:
            if submission is not None and submission.cause is not None:
                self._tell(account, placed, submission.cause)
        elif update.status is OrderStatus.Cancelled:
            if self._ending is not None:
                self._finish(account, placed, *self._ending)
        else:
            self._finish(account, placed, _ENDS[update.status], update.reason)

    # Inside: how orders change.

    def _end(self, account: Account, placed: SimulatedOrder, cause: Cause, reason: str = "") -> None:
        """Take an open order out of the market."""
        if placed.waiting:
            self._stops[placed.order.symbol].remove((account, placed))
            placed.waiting = False
            self._finish(account, placed, cause)
            return
        self._ending = cause, reason
        try:
            self._engine(account, placed.order.symbol).cancel(str(placed.venue_order_id), self.now())
        finally:
            self._ending = None

    def _reduce(self, account: Account, placed: SimulatedOrder, new: Order, cause: Cause = "amended") -> None:
        left = subtract(new.quantity, placed.filled)
        engine = self._engine(account, new.symbol)
        reason = engine.reduce(str(placed.venue_order_id), left)
        if reason:
            raise refused(reason)
        less = subtract(placed.order.quantity, new.quantity)
        placed.order = new
        if placed.position is None:
            account.release(placed, multiply(less, new.price or ZERO) if new.side is Side.Buy else less)
        self._tell(account, placed, cause)

    def _resubmit(self, account: Account, placed: SimulatedOrder, new: Order) -> None:
        old = placed.order
        self._engine(account, old.symbol).cancel(str(placed.venue_order_id), self.now())
        account.release(placed)
        placed.order = new
        reason = self._submit(account, placed, attrs.evolve(new, quantity=placed.remaining), "amended")
        if reason:
            placed.order = old
            if self._submit(account, placed, attrs.evolve(old, quantity=placed.remaining), None):
                self._finish(account, placed, "cancelled")
            raise refused(reason)

    def _finish(self, account: Account, placed: SimulatedOrder, cause: Cause, reason: str = "") -> None:
        placed.status = OrderStatus.Cancelled if cause == "cancelled" else OrderStatus.Expired
        placed.reason = reason or ("self-trade prevention" if cause == "prevented" else "")
        account.release(placed)
        account.open.pop(placed.venue_order_id, None)
        self._tell(account, placed, cause)

    def _tell(
        self,
        account: Account,
        placed: SimulatedOrder,
        cause: Cause,
        fill: SimulatedFill | None = None,
        changed: tuple[str, ...] = (),
    ) -> None:
        placed.updated = self.now()
        if placed.position is not None:
            self.swaps.rebalance(account, placed.position)
        if not changed:
            instrument = self.instruments[placed.order.symbol]
            pays_quote = placed.position is not None or placed.order.side is Side.Buy
            changed = (instrument.quote if pays_quote else instrument.base,)
        account.tell(AccountEvent(account.next_sequence(), cause, placed, fill, changed, placed.updated))

    # Inside: reduce-only orders.

    @staticmethod
    def _reducible(placed: SimulatedOrder) -> Decimal:
        return placed.remaining if placed.position is None else placed.position.closable(placed.order.side)

    def _follow_positions(self) -> None:
        """Make reduce-only orders as large as their positions, and end those that have none any more."""
        while self._moved:
            account, position = self._moved.pop()
            for placed in [one for one in account.open.values() if one.position is position and one.order.reduce_only]:
                closable = position.closable(placed.order.side)
                if placed.waiting or placed.remaining <= closable:
                    continue
                if not closable:
                    self._end(account, placed, "expired", f"{REDUCE_ONLY} the position is closed")
                elif self.swaps.terms.clip_reduce_only:
                    smaller = attrs.evolve(placed.order, quantity=add(placed.filled, closable))
                    self._reduce(account, placed, smaller, "reduced")

    # Inside: stops.

    def _arm_stop(self, account: Account, placed: SimulatedOrder, rises: bool | None) -> None:
        """Let a stop wait, and hold what it will need. Raises RefusedError."""
        order, price = placed.order, self.price(placed.order.symbol)
        instrument, stop = self.instruments[order.symbol], order.stop_price
        if stop is None or price is None or price == stop or rises not in (None, stop > price):
            raise RefusedError(Refusal.StopPrice, f"the stop at {stop} would trigger at once")
        placed.rises, placed.waiting = stop > price, True
        if placed.position is not None:
            return  # what it needs, or may reduce, is seen when it triggers
        need, asset = order.quantity, instrument.base
        if order.side is Side.Buy:
            need, asset = multiply(order.price or stop, order.quantity), instrument.quote
        if not need <= account.free(asset):
            raise RefusedError(Refusal.Funds, f"{need:f} {asset} are needed, {account.free(asset):f} are free")
        account.hold(placed, asset, need)

    def _trigger(self, symbol: str, price: float) -> None:
        due = [
            (account, placed)
            for account, placed in self._stops[symbol]
            if placed.order.stop_price is not None
            and (price >= float(placed.order.stop_price) if placed.rises else price <= float(placed.order.stop_price))
        ]
        for account, placed in due:
            self._stops[symbol].remove((account, placed))
            placed.waiting = False
            order = placed.order
            kind = OrderType.Market if order.order_type is OrderType.Stop else OrderType.Limit
            reason = self._submit(account, placed, attrs.evolve(order, order_type=kind, stop_price=None), "triggered")
            if reason:
                self._finish(account, placed, "expired", reason)


@attrs.define(eq=False)
class _Submission:
    """An order that the matching engine has before it: what it is told when it is taken, and why it is not."""

    placed: SimulatedOrder
    cause: Cause | None
    reason: str = ""


def _grid(instrument: Instrument) -> Instrument:
    """The instrument with its grid alone: the protocol checks filters, and what is left of an order may break them."""
    return Instrument(
        venue=instrument.venue,
        symbol=instrument.symbol,
        base=instrument.base,
        quote=instrument.quote,
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
    )
