"""What changes orders and positions: place, modify, cancel, countdowns, leverage, margin types."""

from __future__ import annotations

import asyncio

from axon_exchange_binance.simulator.account_queries import AccountRequest
from axon_exchange_binance.simulator.errors import NO_SUCH_ORDER, UNKNOWN_CANCEL, BinanceError, invalid
from axon_exchange_binance.simulator.futures import order_messages as messages
from axon_exchange_binance.simulator.futures.errors import (
    NO_CHANGE,
    OPEN_ORDERS,
    SAME_MARGIN_TYPE,
    SAME_POSITION_SIDE,
    said,
)
from axon_exchange_binance.simulator.futures.filters import check
from axon_exchange_binance.simulator.futures.order_requests import OrderRequest, order_request
from axon_exchange_binance.simulator.futures.stops import find_order
from axon_exchange_binance.simulator.order_requests import SIDES
from axon_exchange_binance.simulator.parameters import Parameters
from axon_quant.exchange.primitives import MarginMode
from axon_quant.exchange.simulator import Account, RefusedError, SimulatedExchange, SimulatedOrder

MODES = {"CROSSED": MarginMode.Cross, "ISOLATED": MarginMode.Isolated}
_DONE = {"code": 200, "msg": "success"}
_FLAGS = {"true": True, "false": False}


class FuturesTrading:
    """Answers as plain values. Raises BinanceError. `hedged` are the names of accounts in hedge mode, which can be set
    and then takes no orders.
    """

    def __init__(self, exchange: SimulatedExchange) -> None:
        self._exchange = exchange
        self._names = 0
        self._countdowns: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self.hedged: set[str] = set()
        self.by_name: dict[str, AccountRequest] = {
            "order.place": self._place,
            "order.test": self._test,
            "order.modify": self._modify,
            "order.cancel": self._cancel,
            "openOrders.cancelAll": self._cancel_all,
            "countdownCancelAll": self._count_down,
            "leverage.change": self._set_leverage,
            "marginType.change": self._set_margin_type,
            "positionSide.change": self._set_position_side,
        }

    def stop(self) -> None:
        """Count no further."""
        for countdown in self._countdowns.values():
            countdown.cancel()
        self._countdowns.clear()

    # Orders.

    def _place(self, account: Account, given: Parameters) -> object:
        request = self._checked(account, given)
        try:
            placed = self._exchange.place(account, request.order, tag={"type": request.type})
        except RefusedError as error:
            raise said(error) from None
        return messages.acknowledged(placed, request.response)

    def _test(self, account: Account, given: Parameters) -> object:
        request = self._checked(account, given)
        try:
            self._exchange.check(account, request.order)
        except RefusedError as error:
            raise said(error) from None
        return {}

    def _checked(self, account: Account, given: Parameters) -> OrderRequest:
        self._names += 1
        request = order_request(given, f"venue{self._names:017d}", hedged=account.name in self.hedged)
        symbol = request.order.symbol
        check(request.order, self._exchange.instruments[symbol], self._exchange.swaps.mark(symbol))
        return request

    def _modify(self, account: Account, given: Parameters) -> object:
        placed = find_order(account, given)
        old, price, quantity = placed.order, given.amount("price"), given.amount("quantity")
        if given.choice("side", SIDES) is not old.side:
            raise invalid("side")
        if not placed.is_open or not old.order_type.has_price:
            raise NO_SUCH_ORDER
        if (price, quantity) == (old.price, old.quantity):
            raise NO_CHANGE
        if not quantity > placed.filled:
            self._exchange.cancel(account, placed)
            return messages.told(placed)
        try:
            self._exchange.amend(account, placed, price=price, quantity=quantity)
        except RefusedError as error:
            raise said(error) from None
        return messages.told(placed)

    def _cancel(self, account: Account, given: Parameters) -> object:
        try:
            placed = find_order(account, given)
        except BinanceError as error:
            raise UNKNOWN_CANCEL if error is NO_SUCH_ORDER else error from None
        if not placed.is_open:
            raise UNKNOWN_CANCEL
        return messages.told(self._exchange.cancel(account, placed))

    def _cancel_all(self, account: Account, given: Parameters) -> object:
        self._cancel_each(account, account.open_for(given.instrument().symbol))
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def _cancel_each(self, account: Account, orders: list[SimulatedOrder]) -> None:
        for placed in orders:
            if placed.is_open and not placed.waiting:
                self._exchange.cancel(account, placed)

    def _count_down(self, account: Account, given: Parameters) -> object:
        symbol, wait = given.instrument().symbol, given.integer("countdownTime")
        running = self._countdowns.pop((account.key, symbol), None)
        if running is not None:
            running.cancel()
        if wait:
            loop = asyncio.get_running_loop()
            self._countdowns[account.key, symbol] = loop.call_later(
                wait / 1000, lambda: self._cancel_each(account, account.open_for(symbol))
            )
        return {"symbol": symbol, "countdownTime": str(wait)}

    # Positions.

    def _set_leverage(self, account: Account, given: Parameters) -> object:
        symbol, leverage = given.instrument().symbol, given.integer("leverage", low=1, high=1 << 30)
        try:
            self._exchange.swaps.set_leverage(account, symbol, leverage)
        except RefusedError as error:
            raise said(error) from None
        return {"leverage": leverage, "maxNotionalValue": "1000000000", "symbol": symbol}

    def _set_margin_type(self, account: Account, given: Parameters) -> object:
        symbol, mode = given.instrument().symbol, given.choice("marginType", MODES)
        if mode is account.margin_modes.get(symbol, MarginMode.Cross):
            raise SAME_MARGIN_TYPE
        if account.open_for(symbol):
            raise OPEN_ORDERS
        try:
            self._exchange.swaps.set_margin_mode(account, symbol, mode)
        except RefusedError as error:
            raise said(error) from None
        return _DONE

    def _set_position_side(self, account: Account, given: Parameters) -> object:
        wanted = given.choice("dualSidePosition", _FLAGS)
        if wanted is (account.name in self.hedged):
            raise SAME_POSITION_SIDE
        (self.hedged.add if wanted else self.hedged.discard)(account.name)
        return _DONE
