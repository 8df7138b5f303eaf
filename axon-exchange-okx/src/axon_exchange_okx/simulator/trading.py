"""Placing, cancelling and amending, one by one or in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from axon_exchange_okx.simulator import errors
from axon_exchange_okx.simulator.account_queries import AccountQueries
from axon_exchange_okx.simulator.errors import OkxError, Said
from axon_exchange_okx.simulator.numbers import milliseconds
from axon_exchange_okx.simulator.order_messages import BY_CANCEL_AFTER, given_name
from axon_exchange_okx.simulator.stops import Stops
from axon_exchange_okx.simulator.table import Call
from axon_exchange_okx.simulator.terms import Given, Terms, amount, paid_with, text
from axon_quant.exchange.simulator import Account, RefusedError, SimulatedExchange, SimulatedOrder
from axon_quant.market.instrument import InstrumentKind

_NAMES = ("ordId", "clOrdId", "algoId", "algoClOrdId", "reqId")


class Trading:
    """Carries out what changes something. Raises OkxError for the whole request."""

    def __init__(self, exchange: SimulatedExchange, queries: AccountQueries, stops: Stops, terms: Terms) -> None:
        self._exchange = exchange
        self._queries = queries
        self._stops = stops
        self._terms = terms
        self._by_name: dict[str, Callable[[Account, Given], dict[str, object]]] = {
            "order.place": self._place,
            "order.cancel": self._cancel,
            "order.amend": self._amend,
            "stop.place": self._place_stop,
            "stop.cancel": self._cancel_stop,
            "stop.amend": self._amend_stop,
        }

    def carry_out(self, account: Account, call: Call) -> tuple[str, str, list[Any]]:
        """(code, message, data): an outcome for each part."""
        request = call.request
        parts = call.given if isinstance(call.given, list) else [call.given]
        if isinstance(call.given, list) != bool(request.batch) or not all(isinstance(part, dict) for part in parts):
            raise OkxError(errors.BAD_JSON)
        if not parts:
            raise OkxError(errors.NO_BODY)
        if len(parts) > max(request.batch, 1):
            raise errors.too_many(request.name.partition(".")[2], request.batch)
        change = self._by_name[request.single or request.name]
        said = [self._outcome(account, change, part) for part in _checked(request.name, parts)]
        failed = sum(one["sCode"] != "0" for one in said)
        if not failed:
            return "0", "", said
        if failed < len(said):
            return "2", "Bulk operation partially succeeded.", said
        return "1", "All operations failed", said

    def cancel_all(self, account: Account) -> None:
        """The dead-man switch: every order, but no algo order."""
        for placed in list(account.open.values()):
            placed.tag["cancel_source"] = BY_CANCEL_AFTER
            self._exchange.cancel(account, placed)

    @staticmethod
    def _outcome(
        account: Account, change: Callable[[Account, Given], dict[str, object]], part: Given
    ) -> dict[str, object]:
        try:
            return {**change(account, part), "sCode": "0", "sMsg": ""}
        except OkxError as error:
            named = {name: text(part, name) for name in _NAMES if name in part or name in ("ordId", "clOrdId")}
            return {**named, "tag": text(part, "tag"), "sCode": error.said.code, "sMsg": error.said.message}

    # Orders.

    def _place(self, account: Account, given: Given) -> dict[str, object]:
        order, says = self._terms.order(account, given)
        instrument = self._terms.instrument(given)
        try:
            placed = self._exchange.place(account, order, tag=says, margin_mode=self._terms.margin_mode(given))
        except RefusedError as error:
            raise errors.said(error, paid_with(instrument, order.side)) from None
        return {**self._named(placed), "tag": text(given, "tag")}

    def _cancel(self, account: Account, given: Given) -> dict[str, object]:
        if not (text(given, "ordId") or text(given, "clOrdId")):
            raise OkxError(errors.CANCEL_UNNAMED)
        placed = self._open_order(account, given, errors.CANNOT_CANCEL)
        self._exchange.cancel(account, placed)
        return self._named(placed)

    def _amend(self, account: Account, given: Given) -> dict[str, object]:
        price = amount(given, "newPx") if text(given, "newPx") else None
        quantity = amount(given, "newSz") if text(given, "newSz") else None
        if price is None and quantity is None:
            raise OkxError(errors.NOTHING_TO_AMEND)
        placed = self._open_order(account, given, errors.CANNOT_AMEND)
        order = placed.order
        self._terms.check(
            self._terms.instrument(given),
            order.price if price is None else price,
            order.quantity if quantity is None else quantity,
            order.side,
        )
        placed.tag["request"] = text(given, "reqId")
        try:
            self._exchange.amend(account, placed, price=price, quantity=quantity)
        except RefusedError as error:
            if text(given, "cxlOnFail").lower() == "true" and placed.is_open:
                self._exchange.cancel(account, placed)
            raise errors.said_of_amendment(error) from None
        finally:
            placed.tag.pop("request", None)
        return {**self._named(placed), "reqId": text(given, "reqId")}

    def _open_order(self, account: Account, given: Given, otherwise: Said) -> SimulatedOrder:
        try:
            placed = self._queries.find(account, given)
        except OkxError as error:
            raise OkxError(otherwise if error.said is errors.NO_ORDER else error.said) from None
        if not placed.is_open:
            raise OkxError(otherwise)
        return placed

    def _named(self, placed: SimulatedOrder) -> dict[str, object]:
        name = given_name(placed.order.client_order_id)
        return {"ordId": str(placed.venue_order_id), "clOrdId": name, "ts": milliseconds(self._exchange.now())}

    # Algo orders.

    def _place_stop(self, account: Account, given: Given) -> dict[str, object]:
        kind, limit, trigger = _trigger(given)
        shape = {**given, "ordType": "market" if limit == "-1" else "limit", "px": limit, "tgtCcy": "base_ccy"}
        spot = self._terms.instrument(given).kind is InstrumentKind.Spot
        if spot and text(given, "tdMode") == "cross":
            shape["tdMode"] = "cash"  # which ccxt never says of these
        order, _ = self._terms.order(account, shape, name="algoClOrdId")
        mode = self._terms.margin_mode(shape)
        stop = self._stops.place(account, order, kind, amount(given, trigger), mode)
        return {
            "algoId": stop.algo_id,
            "algoClOrdId": text(given, "algoClOrdId"),
            "clOrdId": "",
            "tag": text(given, "tag"),
        }

    def _cancel_stop(self, account: Account, given: Given) -> dict[str, object]:
        stop = self._stops.waiting(account, given, errors.CANNOT_CANCEL)
        self._stops.cancel(account, stop)
        return {"algoId": stop.algo_id, "algoClOrdId": given_name(stop.order.client_order_id), "tag": ""}

    def _amend_stop(self, account: Account, given: Given) -> dict[str, object]:
        stop = self._stops.waiting(account, given, errors.CANNOT_AMEND)
        prefix = {"sl": "newSl", "tp": "newTp", "trigger": "new"}[stop.kind]
        trigger, limit = f"{prefix}TriggerPx", f"{prefix}OrdPx"
        if not any(text(given, name) for name in ("newSz", trigger, limit)):
            raise OkxError(errors.NOTHING_TO_AMEND)
        order = stop.order
        price = order.price if text(given, limit) in ("", "-1") else amount(given, limit)
        quantity = amount(given, "newSz") if text(given, "newSz") else order.quantity
        self._terms.check(self._terms.instrument(given), price, quantity, order.side)
        self._stops.amend(
            account,
            stop,
            stop_price=amount(given, trigger) if text(given, trigger) else None,
            price=price,
            quantity=quantity,
            at_market=text(given, limit) == "-1",
        )
        return {
            "algoId": stop.algo_id,
            "algoClOrdId": given_name(order.client_order_id),
            "reqId": text(given, "reqId"),
        }


def _checked(name: str, parts: list[Any]) -> list[Any]:
    if name == "orders.amend":
        named = [(text(part, "ordId"), text(part, "clOrdId")) for part in parts]
        if len({*named}) < len(named):
            raise OkxError(errors.AMENDED_TWICE)
    return parts


def _trigger(given: Given) -> tuple[str, str, str]:
    """The kind of an algo order, the price of the order it places, and where its trigger price stands."""
    kind = text(given, "ordType")
    if kind == "trigger":
        return "trigger", text(given, "orderPx"), "triggerPx"
    if kind != "conditional":
        raise errors.parameter("ordType")
    if text(given, "slTriggerPx") and text(given, "tpTriggerPx"):
        raise errors.parameter("tpTriggerPx")  # OKX has `oco` for both at once, the simulator has not
    return ("tp", text(given, "tpOrdPx"), "tpTriggerPx") if text(given, "tpTriggerPx") else (
        "sl", text(given, "slOrdPx"), "slTriggerPx"
    )  # fmt: skip
