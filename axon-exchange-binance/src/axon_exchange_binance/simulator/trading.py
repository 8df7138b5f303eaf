"""What changes orders: place, cancel, replace, amend."""

from __future__ import annotations

from collections.abc import Mapping

from axon_exchange_binance.simulator import order_messages as messages
from axon_exchange_binance.simulator.account_queries import AccountRequest, find
from axon_exchange_binance.simulator.candles import Tape
from axon_exchange_binance.simulator.errors import (
    BAD_RESTRICTION,
    NO_SUCH_ORDER,
    RESTRICTED_CANCEL,
    UNKNOWN_CANCEL,
    BinanceError,
    missing,
    said,
)
from axon_exchange_binance.simulator.filters import check, check_count
from axon_exchange_binance.simulator.numbers import number
from axon_exchange_binance.simulator.order_requests import OrderRequest, order_request
from axon_exchange_binance.simulator.parameters import Parameters
from axon_quant.exchange.simulator import Account, RefusedError, SimulatedExchange, SimulatedOrder
from axon_quant.orders.types import OrderStatus

_MODES = ("STOP_ON_FAILURE", "ALLOW_FAILURE")
_RESTRICTIONS = {"ONLY_NEW": OrderStatus.Open, "ONLY_PARTIALLY_FILLED": OrderStatus.PartiallyFilled}


class Trading:
    """Answers as plain values. Raises BinanceError."""

    def __init__(self, exchange: SimulatedExchange, tapes: Mapping[str, Tape]) -> None:
        self._exchange = exchange
        self._tapes = tapes
        self._names = 0
        self.by_name: dict[str, AccountRequest] = {
            "order.place": self._place,
            "order.test": self._test,
            "order.cancel": self._cancel,
            "order.cancelReplace": self._replace,
            "order.amend.keepPriority": self._amend,
            "openOrders.cancelAll": self._cancel_all,
        }

    def _place(self, account: Account, given: Parameters) -> object:
        request = self._checked(given)
        return messages.acknowledged(self._placed(account, request), request.response)

    def _test(self, account: Account, given: Parameters) -> object:
        request = self._checked(given)
        try:
            self._exchange.check(account, request.order)
        except RefusedError as error:
            raise said(error) from None
        return {}

    def _checked(self, given: Parameters) -> OrderRequest:
        """The order, through the filters that do not depend on the account."""
        request = order_request(given, self._exchange.books.__getitem__, self._name())
        instrument = self._exchange.instruments[request.order.symbol]
        check(request.order, instrument, self._tapes[instrument.symbol].mean(self._exchange.now()))
        return request

    def _placed(self, account: Account, request: OrderRequest) -> SimulatedOrder:
        check_count(request.order, account.open_for(request.order.symbol))
        tag = {"type": request.type, "value": number(request.by_value)}
        try:
            return self._exchange.place(account, request.order, rises=request.rises, tag=tag)
        except RefusedError as error:
            raise said(error) from None

    def _cancel(self, account: Account, given: Parameters) -> object:
        try:
            placed = find(account, given)
        except BinanceError as error:
            raise UNKNOWN_CANCEL if error is NO_SUCH_ORDER else error from None
        return self._cancelled(account, placed, given, given.client_id("newClientOrderId"))

    def _cancel_all(self, account: Account, given: Parameters) -> object:
        found = account.open_for(given.instrument().symbol)
        if not found:
            raise UNKNOWN_CANCEL
        return [self._cancelled(account, one, given, "") for one in found]

    def _cancelled(self, account: Account, placed: SimulatedOrder, given: Parameters, name: str) -> dict[str, object]:
        restriction = given.text("cancelRestrictions")
        if restriction and restriction not in _RESTRICTIONS:
            raise BAD_RESTRICTION
        if not placed.is_open:
            raise UNKNOWN_CANCEL
        if restriction and placed.status is not _RESTRICTIONS[restriction]:
            raise RESTRICTED_CANCEL
        placed.tag["response"] = name = name or self._name()
        self._exchange.cancel(account, placed)
        return messages.cancelled(placed, name)

    def _replace(self, account: Account, given: Parameters) -> object:
        mode = given.text("cancelReplaceMode")
        if mode not in _MODES:
            raise missing("cancelReplaceMode")
        request = self._checked(given)
        halves: dict[str, object] = {}
        try:
            placed = find(account, given, prefix="cancel")
            name = given.client_id("cancelNewClientOrderId")
            halves |= {"cancelResult": "SUCCESS", "newOrderResult": "NOT_ATTEMPTED"}
            halves |= {"cancelResponse": self._cancelled(account, placed, given, name), "newOrderResponse": None}
        except BinanceError as error:
            if error.code not in (UNKNOWN_CANCEL.code, NO_SUCH_ORDER.code):
                raise
            refused = UNKNOWN_CANCEL if error is NO_SUCH_ORDER else error
            halves = {"cancelResult": "FAILURE", "newOrderResult": "NOT_ATTEMPTED"}
            halves |= {"cancelResponse": refused.body, "newOrderResponse": None}
            if mode == "STOP_ON_FAILURE":
                raise BinanceError(-2022, "Order cancel-replace failed.", 400, data=halves) from None
        cancelled = halves["cancelResult"] == "SUCCESS"
        try:
            new = messages.acknowledged(self._placed(account, request), request.response)
            halves |= {"newOrderResult": "SUCCESS", "newOrderResponse": new}
        except BinanceError as error:
            halves |= {"newOrderResult": "FAILURE", "newOrderResponse": error.body}
            if not cancelled:
                raise BinanceError(-2022, "Order cancel-replace failed.", 400, data=halves) from None
            raise BinanceError(-2021, "Order cancel-replace partially failed.", 409, data=halves) from None
        if not cancelled:
            raise BinanceError(-2021, "Order cancel-replace partially failed.", 409, data=halves)
        return halves

    def _amend(self, account: Account, given: Parameters) -> object:
        placed = find(account, given)
        quantity, original = given.amount("newQty"), placed.order.client_order_id
        if not quantity < placed.order.quantity:
            raise BinanceError(-2038, "The requested action would change no state; rejecting.")
        name = given.client_id("newClientOrderId") or self._name()
        placed.tag["response"] = original
        try:
            self._exchange.amend(account, placed, quantity=quantity, client_order_id=name)
        except RefusedError as error:
            raise said(error) from None
        return messages.amended(placed, original, account.sequence)

    def _name(self) -> str:
        """A client order id of the venue's own."""
        self._names += 1
        return f"venue{self._names:017d}"
