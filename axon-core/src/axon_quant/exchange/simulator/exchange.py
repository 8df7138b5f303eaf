"""A simulated venue's orders and money, synchronous and without a protocol: matching, stops, amendments, fees.

Every account trades against the displayed market, as on the paper venue; accounts do not meet each other. `now` is the
venue's clock, UTC ns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_DOWN, Decimal
from enum import Enum

from axon_quant.exchange.exact import ZERO, add, multiply, subtract
from axon_quant.exchange.matching import MatchingEngine
from axon_quant.exchange.simulator.account import Account, AccountEvent, Cause, SimulatedFill, SimulatedOrder
from axon_quant.market.book import OrderBook
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import BookSnapshot, BookUpdate, MarketEvent, Quote, Trade
from axon_quant.orders.types import Order, OrderStatus, OrderType, OrderUpdate, Side

_FEE_DIGITS = Decimal("0.00000001")


class Refusal(Enum):
    """Why the venue does not do what it is asked."""

    Symbol = "unknown-symbol"
    Duplicate = "duplicate-client-order-id"
    Funds = "insufficient-funds"
    Filter = "filter"
    PostOnly = "post-only-would-take"
    SelfTrade = "self-trade"
    NoLiquidity = "nothing-to-take"
    StopPrice = "stop-would-trigger-at-once"
    NotFound = "no-such-open-order"
    Permission = "key-may-not-trade"


class RefusedError(Exception):
    """A refusal on its way to the protocol, which says it in the venue's words."""

    def __init__(self, kind: Refusal, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


class SimulatedExchange:
    """Accounts, orders and books of one venue.

    `maker_fee` and `taker_fee` are fractions. A client order id may be used again once its order is finished, unless
    `reuse_client_ids` is False. `listeners` are told of every market event after it was applied.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument],
        accounts: Iterable[Account],
        *,
        maker_fee: Decimal = Decimal("0.001"),
        taker_fee: Decimal = Decimal("0.001"),
        reuse_client_ids: bool = True,
        first_order_id: int = 1_000,
    ) -> None:
        self.instruments = {instrument.symbol: instrument for instrument in instruments}
        self.accounts = {account.key: account for account in accounts}
        self.books = {symbol: OrderBook(symbol) for symbol in self.instruments}
        self.quotes: dict[str, Quote] = {}
        self.last: dict[str, Trade] = {}
        self.listeners: list[Callable[[MarketEvent], None]] = []
        self.now: Callable[[], int] = lambda: 0
        self._fees = (maker_fee, taker_fee)
        self._reuse = reuse_client_ids
        self._next_order = first_order_id
        self._next_trade: dict[str, int] = dict.fromkeys(self.instruments, 1)
        self._engines: dict[str, dict[str, MatchingEngine]] = {symbol: {} for symbol in self.instruments}
        self._stops: dict[str, list[tuple[Account, SimulatedOrder]]] = {symbol: [] for symbol in self.instruments}
        self._placing: SimulatedOrder | None = None
        self._rejected = ""
        self._silent = False

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
        for engine in self._engines[symbol].values():
            engine.handlers[type(event)](event)
        if isinstance(event, Trade):
            self.last[symbol] = event
            if self._stops[symbol]:
                self._trigger(symbol, event.price)
        for listener in self.listeners:
            listener(event)

    def price(self, symbol: str) -> Decimal | None:
        """The last trade's price, else the mid; None before either."""
        if symbol in self.last:
            return Decimal(repr(self.last[symbol].price))
        quote = self.quotes.get(symbol)
        return None if quote is None else Decimal(repr(quote.mid))

    # Orders.

    def place(self, account: Account, order: Order, *, tag: Mapping[str, object] | None = None) -> SimulatedOrder:
        """Take an order. Raises RefusedError when the venue does not; then nothing is left of it."""
        if not account.may_trade:
            raise RefusedError(Refusal.Permission, "the key may not trade")
        if order.symbol not in self.instruments:
            raise RefusedError(Refusal.Symbol, f"no instrument {order.symbol}")
        named = account.by_client.get(order.client_order_id, ())
        if any(one.is_open or not self._reuse for one in named):
            raise RefusedError(Refusal.Duplicate, f"client order id {order.client_order_id} is in use")
        placed = SimulatedOrder(order, self._next_order, self.now(), tag=dict(tag or {}))
        if order.stop_price is not None:
            self._check_stop(placed)
            self._hold_stop(account, placed)
        self._register(account, placed)
        if placed.waiting:
            self._stops[order.symbol].append((account, placed))
            self._tell(account, placed, "new")
            return placed
        self._submit(account, placed, order)
        if self._rejected:
            reason, self._rejected = self._rejected, ""
            self._forget(account, placed)
            raise _refused(reason)
        return placed

    def cancel(self, account: Account, placed: SimulatedOrder) -> SimulatedOrder:
        """Cancel an open order. Raises RefusedError when it is not open."""
        if not placed.is_open:
            raise RefusedError(Refusal.NotFound, f"order {placed.venue_order_id} is {placed.status.value}")
        if placed.waiting:
            self._stops[placed.order.symbol].remove((account, placed))
            placed.waiting = False
            self._finish(account, placed, OrderStatus.Cancelled, "cancelled")
        else:
            self._engine(account, placed.order.symbol).cancel(placed.order.client_order_id, self.now())
        return placed

    def amend(
        self, account: Account, placed: SimulatedOrder, *, price: Decimal | None = None, quantity: Decimal | None = None
    ) -> SimulatedOrder:
        """Change price or total quantity of a resting limit order, which loses its place in the queue.

        Raises RefusedError when it is not open, or cannot be what was asked for; the order is then as it was, unless
        the venue could not put it back.
        """
        if not placed.is_open:
            raise RefusedError(Refusal.NotFound, f"order {placed.venue_order_id} is {placed.status.value}")
        old = placed.order
        wanted = old.quantity if quantity is None else quantity
        if not wanted > placed.filled:
            raise RefusedError(Refusal.Filter, f"quantity {wanted} is not above the {placed.filled} that has filled")
        new = _copy(old, price=old.price if price is None else price, quantity=wanted)
        engine = self._engine(account, old.symbol)
        self._silent = True
        try:
            engine.cancel(old.client_order_id, self.now())
        finally:
            self._silent = False
        account.release(placed)
        placed.order = new
        self._submit(account, placed, _copy(new, quantity=subtract(wanted, placed.filled)), cause="amended")
        if self._rejected:
            reason, self._rejected = self._rejected, ""
            placed.order = old
            self._submit(account, placed, _copy(old, quantity=placed.remaining), cause=None)
            if self._rejected:
                self._rejected = ""
                self._finish(account, placed, OrderStatus.Cancelled, "cancelled")
            raise _refused(reason)
        placed.amended += 1
        return placed

    def truth(self) -> dict[str, object]:
        """Everything that happened, by account, as plain values: the ledger that tests compare with."""
        return {
            account.name: {
                "orders": [_order_truth(order) for order in account.orders.values()],
                "fills": [_fill_truth(fill) for fill in account.fills],
                "balances": {
                    asset: {"free": f"{account.free(asset):f}", "locked": f"{account.locked.get(asset, ZERO):f}"}
                    for asset in sorted(account.totals)
                },
            }
            for account in self.accounts.values()
        }

    # Inside: orders.

    def _register(self, account: Account, placed: SimulatedOrder) -> None:
        self._next_order += 1
        account.orders[placed.venue_order_id] = account.open[placed.venue_order_id] = placed
        account.by_client.setdefault(placed.order.client_order_id, []).append(placed)

    def _forget(self, account: Account, placed: SimulatedOrder) -> None:
        account.release(placed)
        del account.orders[placed.venue_order_id]
        del account.open[placed.venue_order_id]
        named = account.by_client[placed.order.client_order_id]
        named.remove(placed)
        if not named:
            del account.by_client[placed.order.client_order_id]

    def _submit(self, account: Account, placed: SimulatedOrder, order: Order, *, cause: Cause | None = "new") -> None:
        """Give an order to the matching engine; `_rejected` is why not, afterwards."""
        self._placing, self._rejected = placed, ""
        placed.tag["cause"] = cause
        try:
            self._engine(account, order.symbol).submit(order, str(placed.venue_order_id), self.now())
        finally:
            self._placing = None

    def _engine(self, account: Account, symbol: str) -> MatchingEngine:
        engines = self._engines[symbol]
        engine = engines.get(account.key)
        if engine is None:
            engine = engines[account.key] = MatchingEngine(
                self.instruments[symbol],
                self.books[symbol],
                maker_fee=ZERO,
                taker_fee=ZERO,
                on_update=lambda update: self._updated(account, update),
                admit=lambda order, need: self._admit(account, order, need),
            )
            if symbol in self.quotes:
                engine.on_quote(self.quotes[symbol])
        return engine

    def _admit(self, account: Account, order: Order, need: Decimal) -> str:
        placed = self._placing
        assert placed is not None  # noqa: S101 - an engine asks only while an order is submitted
        account.release(placed)
        instrument = self.instruments[order.symbol]
        asset = instrument.quote if order.side is Side.Buy else instrument.base
        if not need <= account.free(asset):
            return f"funds: {order.side.value} needs {need:f} {asset}, {account.free(asset):f} is free"
        account.hold(placed, asset, need)
        return ""

    def _updated(self, account: Account, update: OrderUpdate) -> None:
        if self._silent:
            return
        if update.status is OrderStatus.Rejected:
            self._rejected = update.reason or "rejected"
            return
        placed = account.orders[int(update.venue_order_id)]
        if update.fill is not None:
            self._book(account, placed, update)
        elif update.status is OrderStatus.Open:
            cause = placed.tag.get("cause")
            if cause == "new" or cause == "amended" or cause == "triggered":
                self._tell(account, placed, cause)
        elif update.status.is_terminal:
            ended: Cause = "expired" if update.status is OrderStatus.Expired else "cancelled"
            self._finish(account, placed, update.status, ended, update.reason)

    def _book(self, account: Account, placed: SimulatedOrder, update: OrderUpdate) -> None:
        fill, instrument = update.fill, self.instruments[update.symbol]
        assert fill is not None  # noqa: S101 - asked before
        order, value = placed.order, multiply(fill.price, fill.quantity)
        buys = order.side is Side.Buy
        rate = self._fees[0] if fill.liquidity.value == "maker" else self._fees[1]
        fee, fee_asset = self._fee(account, instrument, fill.quantity if buys else value, rate, buys=buys, value=value)
        if buys:
            account.release(placed, multiply(order.price or fill.price, fill.quantity))
            account.change(instrument.quote, value.copy_negate())
            account.change(instrument.base, fill.quantity)
        else:
            account.release(placed, fill.quantity)
            account.change(instrument.base, fill.quantity.copy_negate())
            account.change(instrument.quote, value)
        account.change(fee_asset, fee.copy_negate())
        number = self._next_trade[order.symbol]
        self._next_trade[order.symbol] = number + 1
        booked = SimulatedFill(
            number,
            placed.venue_order_id,
            order.client_order_id,
            order.symbol,
            fill.price,
            fill.quantity,
            fee,
            fee_asset,
            fill.liquidity,
            self.now(),
        )
        placed.filled = add(placed.filled, fill.quantity)
        placed.value = add(placed.value, value)
        placed.fills.append(booked)
        account.fills.append(booked)
        changed = tuple(sorted({instrument.base, instrument.quote, fee_asset}))
        if placed.remaining:
            placed.status = OrderStatus.PartiallyFilled
        else:
            placed.status = OrderStatus.Filled
            account.release(placed)
            account.open.pop(placed.venue_order_id, None)
        self._tell(account, placed, "trade", booked, changed)

    def _fee(
        self, account: Account, instrument: Instrument, received: Decimal, rate: Decimal, *, buys: bool, value: Decimal
    ) -> tuple[Decimal, str]:
        """The fee, to eight digits: in what came in, or in the account's fee asset while it has enough of it."""
        third = account.fee_asset
        if third is not None:
            price = self.price(f"{third}{instrument.quote}") or self.price(f"{third}-{instrument.quote}")
            if price:
                fee = (multiply(value, rate) / price).quantize(_FEE_DIGITS, ROUND_DOWN)
                if fee <= account.free(third):
                    return fee, third
        fee = multiply(received, rate).quantize(_FEE_DIGITS, ROUND_DOWN)
        return fee, instrument.base if buys else instrument.quote

    def _finish(
        self, account: Account, placed: SimulatedOrder, status: OrderStatus, cause: Cause, reason: str = ""
    ) -> None:
        placed.status, placed.reason = status, reason
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
        account.sequence += 1
        if not changed:
            instrument = self.instruments[placed.order.symbol]
            changed = (instrument.quote if placed.order.side is Side.Buy else instrument.base,)
        event = AccountEvent(account.sequence, cause, placed, fill, changed, placed.updated)
        for listener in list(account.listeners):
            listener(event)

    # Inside: stops.

    def _check_stop(self, placed: SimulatedOrder) -> None:
        price, stop = self.price(placed.order.symbol), placed.order.stop_price
        assert stop is not None  # noqa: S101 - asked before
        if price is None or price == stop:
            raise RefusedError(Refusal.StopPrice, f"the stop at {stop} would trigger at once")
        placed.rises = stop > price
        placed.waiting = True

    def _hold_stop(self, account: Account, placed: SimulatedOrder) -> None:
        order = placed.order
        instrument = self.instruments[order.symbol]
        price = order.price or order.stop_price
        assert price is not None  # noqa: S101 - a stop has a stop price
        asset, need = (
            (instrument.quote, multiply(price, order.quantity))
            if order.side is Side.Buy
            else (instrument.base, order.quantity)
        )
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
            live = Order(
                symbol,
                order.side,
                kind,
                order.price,
                order.quantity,
                time_in_force=order.time_in_force,
                client_order_id=order.client_order_id,
            )
            self._submit(account, placed, live, cause="triggered")
            if self._rejected:
                reason, self._rejected = self._rejected, ""
                self._finish(account, placed, OrderStatus.Expired, "expired", reason)


def _copy(order: Order, *, price: Decimal | None = None, quantity: Decimal) -> Order:
    return Order(
        order.symbol,
        order.side,
        order.order_type,
        order.price if price is None else price,
        quantity,
        time_in_force=order.time_in_force,
        post_only=order.post_only,
        reduce_only=order.reduce_only,
        client_order_id=order.client_order_id,
    )


def _refused(reason: str) -> RefusedError:
    """The matching engine's reason as a kind."""
    starts = {
        "funds:": Refusal.Funds,
        "post-only: it": Refusal.PostOnly,
        "self-trade": Refusal.SelfTrade,
        "nothing is displayed": Refusal.NoLiquidity,
    }
    kind = next((kind for start, kind in starts.items() if reason.startswith(start)), Refusal.Filter)
    return RefusedError(kind, reason)


def _order_truth(placed: SimulatedOrder) -> dict[str, object]:
    order = placed.order
    return {
        "venue_order_id": placed.venue_order_id,
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.order_type.value,
        "price": None if order.price is None else f"{order.price:f}",
        "quantity": f"{order.quantity:f}",
        "filled": f"{placed.filled:f}",
        "status": placed.status.value,
        "created": placed.created,
    }


def _fill_truth(fill: SimulatedFill) -> dict[str, object]:
    return {
        "trade_id": fill.trade_id,
        "venue_order_id": fill.venue_order_id,
        "client_order_id": fill.client_order_id,
        "symbol": fill.symbol,
        "price": f"{fill.price:f}",
        "quantity": f"{fill.quantity:f}",
        "fee": f"{fill.fee:f}",
        "fee_asset": fill.fee_asset,
        "at": fill.at,
    }
