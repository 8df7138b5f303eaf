"""What can be asked of OKX, by REST or over its WebSockets, and what it answers."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any, NamedTuple

from axon_exchange_okx.simulator import messages
from axon_exchange_okx.simulator.errors import (
    AMEND_FINISHED,
    BAD_KEY,
    BAD_PASSPHRASE,
    BAD_SIGNATURE,
    BAD_TIME_FORMAT,
    EXPIRED,
    EXPIRED_TIME,
    FINISHED,
    NO_INSTRUMENT,
    NO_KEY,
    NO_ORDER,
    WRONG_ENVIRONMENT,
    OkxError,
    parameter,
    said,
)
from axon_exchange_okx.simulator.stops import Stops
from axon_quant.clock import MILLISECOND, NANOSECONDS
from axon_quant.errors import OrderValueError
from axon_quant.exchange.exact import remainder
from axon_quant.exchange.simulator import Account, Asked, RefusedError, SimulatedExchange, SimulatedOrder
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import Trade
from axon_quant.orders.types import Order, OrderStatus, OrderType, Side, TimeInForce

_CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_TOLERANCE = 30 * NANOSECONDS
_TYPES = {
    "limit": (OrderType.Limit, TimeInForce.GTC),
    "post_only": (OrderType.Limit, TimeInForce.GTC),
    "ioc": (OrderType.Limit, TimeInForce.IOC),
    "fok": (OrderType.Limit, TimeInForce.FOK),
    "market": (OrderType.Market, TimeInForce.GTC),
}


class Request(NamedTuple):
    """What a method and path stand for; at most `limit` of them in two seconds."""

    name: str
    limit: int = 20
    signed: bool = True
    changes: bool = False


REST = {
    ("GET", "/api/v5/public/time"): Request("time", 10, signed=False),
    ("GET", "/api/v5/public/instruments"): Request("instruments", 20, signed=False),
    ("GET", "/api/v5/market/ticker"): Request("ticker", 20, signed=False),
    ("GET", "/api/v5/market/tickers"): Request("tickers", 20, signed=False),
    ("GET", "/api/v5/market/books"): Request("books", 40, signed=False),
    ("GET", "/api/v5/market/trades"): Request("trades", 100, signed=False),
    ("GET", "/api/v5/market/history-trades"): Request("trades", 20, signed=False),
    ("GET", "/api/v5/market/candles"): Request("candles", 40, signed=False),
    ("GET", "/api/v5/account/config"): Request("config", 5),
    ("GET", "/api/v5/account/balance"): Request("balance", 10),
    ("GET", "/api/v5/account/positions"): Request("positions", 10),
    ("GET", "/api/v5/asset/currencies"): Request("currencies", 12),
    ("GET", "/api/v5/trade/order"): Request("order.status", 60),
    ("GET", "/api/v5/trade/orders-pending"): Request("orders.open", 60),
    ("GET", "/api/v5/trade/orders-history"): Request("orders.history", 40),
    ("GET", "/api/v5/trade/fills"): Request("fills", 60),
    ("GET", "/api/v5/trade/fills-history"): Request("fills", 10),
    ("GET", "/api/v5/trade/order-algo"): Request("stop.status", 20),
    ("GET", "/api/v5/trade/orders-algo-pending"): Request("stops.open", 20),
    ("POST", "/api/v5/trade/order"): Request("order.place", 60, changes=True),
    ("POST", "/api/v5/trade/batch-orders"): Request("orders.place", 300, changes=True),
    ("POST", "/api/v5/trade/cancel-order"): Request("order.cancel", 60, changes=True),
    ("POST", "/api/v5/trade/cancel-batch-orders"): Request("orders.cancel", 300, changes=True),
    ("POST", "/api/v5/trade/amend-order"): Request("order.amend", 60, changes=True),
    ("POST", "/api/v5/trade/order-algo"): Request("stop.place", 20, changes=True),
    ("POST", "/api/v5/trade/cancel-algos"): Request("stop.cancel", 20, changes=True),
    ("POST", "/api/v5/trade/amend-algos"): Request("stop.amend", 20, changes=True),
    ("POST", "/api/v5/trade/cancel-all-after"): Request("cancel-after", 2, changes=True),
}
OPERATIONS = {
    "order": REST["POST", "/api/v5/trade/order"],
    "batch-orders": REST["POST", "/api/v5/trade/batch-orders"],
    "cancel-order": REST["POST", "/api/v5/trade/cancel-order"],
    "batch-cancel-orders": REST["POST", "/api/v5/trade/cancel-batch-orders"],
    "amend-order": REST["POST", "/api/v5/trade/amend-order"],
}
"""Of the WebSocket."""


class Requests:
    """Carries requests out. Answers are lists for `data`. Raises OkxError for the whole request."""

    def __init__(
        self,
        exchange: SimulatedExchange,
        trades: Mapping[str, Any],
        stops: Stops,
        *,
        demo: bool | None,
        cancel_after: Callable[[Account, float], int],
    ) -> None:
        self._exchange = exchange
        self._trades = trades
        self._stops = stops
        self._demo = demo
        self._names = 0
        self.codes = {symbol: number for number, symbol in enumerate(exchange.instruments, start=1)}
        self._symbols = {str(number): symbol for symbol, number in self.codes.items()}
        self._arm = cancel_after
        self._public: dict[str, Callable[[Mapping[str, str]], list[Any]]] = {
            "time": lambda _: [{"ts": messages.milliseconds(exchange.now())}],
            "instruments": self._instruments,
            "ticker": lambda given: [self.ticker(self._instrument(given).symbol)],
            "tickers": lambda _: [self.ticker(symbol) for symbol in exchange.instruments],
            "books": self._books,
            "trades": self._recent,
            "candles": lambda _: [],
        }
        self._queries: dict[str, Callable[[Account, Mapping[str, str]], list[Any]]] = {
            "config": self._config,
            "balance": lambda account, _: [messages.account_row(account, exchange.now())],
            "positions": lambda _, __: [],
            "currencies": self._currencies,
            "order.status": lambda account, given: [messages.order_row(self._find(account, given))],
            "orders.open": self._open_orders,
            "orders.history": self._history,
            "fills": self._fills,
            "stop.status": lambda account, given: [messages.stop_row(stops.find(account, given))],
            "stops.open": self._open_stops,
            "cancel-after": self._cancel_after,
        }
        self._changes: dict[str, Callable[[Account, Mapping[str, Any]], dict[str, object]]] = {
            "order.place": self._place,
            "orders.place": self._place,
            "order.cancel": self._cancel,
            "orders.cancel": self._cancel,
            "order.amend": self._amend,
            "stop.place": self._place_stop,
            "stop.cancel": self._cancel_stop,
            "stop.amend": self._amend_stop,
        }

    def carry_out(self, request: Request, asked: Asked) -> tuple[str, str, list[Any]]:
        """(code, message, data) of a REST request."""
        if not request.signed:
            return "0", "", self._public[request.name](asked.parameters)
        account = self.identified(asked)
        expires = asked.headers.get("expTime")
        if expires and int(expires) * MILLISECOND < self._exchange.now():
            raise EXPIRED
        given: Any = asked.parameters
        if asked.method == "POST":
            try:
                given = json.loads(asked.text)
            except ValueError:
                raise OkxError("50002", "JSON syntax error") from None
        return self.of_account(request, account, given)

    def of_account(self, request: Request, account: Account, given: Any) -> tuple[str, str, list[Any]]:
        """(code, message, data) of what an account asks."""
        query = self._queries.get(request.name)
        if query is not None:
            return "0", "", query(account, given)
        change, outcomes, failed = self._changes[request.name], [], 0
        for one in given if isinstance(given, list) else [given]:
            try:
                if not isinstance(one, dict):
                    raise OkxError("50002", "JSON syntax error")
                outcomes.append({**change(account, one), "sCode": "0", "sMsg": ""})
            except (RefusedError, OkxError) as error:
                failed += 1
                refusal = said(error) if isinstance(error, RefusedError) else error
                named = {key: str(one.get(key, "")) for key in ("ordId", "clOrdId", "algoId", "algoClOrdId", "reqId")}
                outcomes.append({**named, "tag": "", "sCode": refusal.code, "sMsg": refusal.message})
        if not failed:
            return "0", "", outcomes
        if failed < len(outcomes):
            return "2", "Bulk operation partially succeeded", outcomes
        return "1", "All operations failed", outcomes

    def identified(self, asked: Asked) -> Account:
        """Whose request it is: key, passphrase, time and signature are as they must be."""
        headers = asked.headers
        key = headers.get("OK-ACCESS-KEY", "")
        if not key:
            raise NO_KEY
        account = self._exchange.accounts.get(key)
        if account is None:
            raise BAD_KEY
        stamp = headers.get("OK-ACCESS-TIMESTAMP", "")
        try:
            at = datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
        except ValueError:
            raise BAD_TIME_FORMAT from None
        if abs(round(at * 1000) * MILLISECOND - self._exchange.now()) > _TOLERANCE:
            raise EXPIRED_TIME
        path = asked.path + (f"?{asked.query}" if asked.query else "")
        self._check(account, headers.get("OK-ACCESS-SIGN", ""), f"{stamp}{asked.method}{path}{asked.text}")
        if not hmac.compare_digest(account.passphrase, headers.get("OK-ACCESS-PASSPHRASE", "")):
            raise BAD_PASSPHRASE
        if self._demo is not None and (headers.get("x-simulated-trading") == "1") is not self._demo:
            raise WRONG_ENVIRONMENT
        return account

    def logged_in(self, argument: Mapping[str, Any]) -> Account:
        """Whose login it is. Raises OkxError as a WebSocket does."""
        account = self._exchange.accounts.get(str(argument.get("apiKey", "")))
        if account is None:
            raise OkxError("60005", "Invalid apiKey")
        stamp = str(argument.get("timestamp", ""))
        try:
            at = float(stamp)
        except ValueError:
            raise OkxError("60004", "Invalid timestamp") from None
        if abs(round(at * NANOSECONDS) - self._exchange.now()) > _TOLERANCE:
            raise OkxError("60006", "Timestamp request expired")
        try:
            self._check(account, str(argument.get("sign", "")), f"{stamp}GET/users/self/verify")
        except OkxError:
            raise OkxError("60007", "Invalid sign") from None
        if not hmac.compare_digest(account.passphrase, str(argument.get("passphrase", ""))):
            raise OkxError("60024", "Wrong passphrase")
        return account

    @staticmethod
    def _check(account: Account, signature: str, text: str) -> None:
        digest = hmac.new(account.secret.encode(), text.encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(b64encode(digest).decode(), signature):
            raise BAD_SIGNATURE

    # The market.

    def _instrument(self, given: Mapping[str, Any]) -> Instrument:
        symbol = str(given.get("instId") or self._symbols.get(str(given.get("instIdCode", "")), ""))
        instrument = self._exchange.instruments.get(symbol)
        if instrument is None:
            raise NO_INSTRUMENT
        return instrument

    def _instruments(self, given: Mapping[str, str]) -> list[Any]:
        kind, symbol = given.get("instType"), given.get("instId")
        if kind not in ("SPOT", "SWAP", "FUTURES", "OPTION", "MARGIN"):
            raise parameter("instType")
        if kind != "SPOT":
            return []
        chosen = [one for one in self._exchange.instruments.values() if symbol in (None, one.symbol)]
        if not chosen:
            raise NO_INSTRUMENT
        return [messages.instrument_row(one, self.codes[one.symbol]) for one in chosen]

    def ticker(self, symbol: str) -> dict[str, object]:
        """One of `/market/tickers`."""
        quote, number = self._exchange.quotes.get(symbol), messages.number
        last = number(self._exchange.price(symbol)) or "0"
        return {
            "instType": "SPOT",
            "instId": symbol,
            "last": last,
            "lastSz": "0",
            "askPx": number(quote.ask) if quote else "",
            "askSz": number(quote.ask_quantity) if quote else "",
            "bidPx": number(quote.bid) if quote else "",
            "bidSz": number(quote.bid_quantity) if quote else "",
            "open24h": last,
            "high24h": last,
            "low24h": last,
            "volCcy24h": "0",
            "vol24h": "0",
            "sodUtc0": last,
            "sodUtc8": last,
            "ts": messages.milliseconds(self._exchange.now()),
        }

    def _books(self, given: Mapping[str, str]) -> list[Any]:
        return [self.book(self._instrument(given).symbol, int(given.get("sz", "1")))]

    def book(self, symbol: str, depth: int) -> dict[str, object]:
        """The whole book, or its best levels."""
        book = self._exchange.books[symbol]
        return {
            "asks": messages.levels(list(zip(*book.asks(depth), strict=True))),
            "bids": messages.levels(list(zip(*book.bids(depth), strict=True))),
            "ts": messages.milliseconds(self._exchange.now()),
            "seqId": book.sequence,
        }

    def _recent(self, given: Mapping[str, str]) -> list[Any]:
        symbol = self._instrument(given).symbol
        newest: list[Trade] = list(self._trades[symbol])[::-1]
        return [trade_row(trade) for trade in newest[: int(given.get("limit", "100"))]]

    # The account.

    def _config(self, account: Account, _: Mapping[str, str]) -> list[Any]:
        may = ["read_only", *(["trade"] if account.may_trade else []), *(["withdraw"] if account.may_withdraw else [])]
        return [
            {
                "uid": "1",
                "mainUid": "1",
                "acctLv": "1",
                "posMode": "net_mode",
                "autoLoan": False,
                "perm": ",".join(may),
                "label": account.name,
                "ip": "",
                "level": "Lv1",
                "acctStpMode": "cancel_maker",
            }
        ]

    def _currencies(self, account: Account, _: Mapping[str, str]) -> list[Any]:
        traded = {asset for one in self._exchange.instruments.values() for asset in (one.base, one.quote)}
        return [
            {"ccy": asset, "name": asset, "chain": asset, "canDep": True, "canWd": True, "canInternal": True,
             "minFee": "0", "maxFee": "0", "minWd": "0", "maxWd": "0", "wdTickSz": "8", "mainNet": True}
            for asset in sorted(traded | {*account.totals})
        ]  # fmt: skip

    def _open_orders(self, account: Account, given: Mapping[str, str]) -> list[Any]:
        found = [one for one in account.open.values() if given.get("instId") in (None, "", one.order.symbol)]
        return self._page([messages.order_row(one) for one in reversed(found)], given, "ordId")

    def _history(self, account: Account, given: Mapping[str, str]) -> list[Any]:
        found = [one for one in account.orders.values() if not one.is_open]
        found = [one for one in found if given.get("instId") in (None, "", one.order.symbol)]
        return self._page([messages.order_row(one) for one in reversed(found)], given, "ordId")

    def _fills(self, account: Account, given: Mapping[str, str]) -> list[Any]:
        begin, end = int(given.get("begin", "0")), int(given.get("end", str(1 << 62)))
        rows = [
            messages.fill_row(fill, account.orders[fill.venue_order_id], bill)
            for bill, fill in enumerate(account.fills, start=1)
            if begin <= fill.at // MILLISECOND <= end
            and given.get("instId") in (None, "", fill.symbol)
            and given.get("ordId") in (None, "", str(fill.venue_order_id))
        ]
        return self._page(rows[::-1], given, "billId")

    def _open_stops(self, account: Account, given: Mapping[str, str]) -> list[Any]:
        if given.get("ordType") not in ("conditional", "oco", "trigger", "move_order_stop", "iceberg", "twap"):
            raise parameter("ordType")
        if given["ordType"] != "conditional":
            return []
        rows = [messages.stop_row(stop) for stop in self._stops.of(account) if stop.state == "live"]
        rows = [row for row in rows if given.get("instId") in (None, "", row["instId"])]
        return self._page(rows[::-1], given, "algoId")

    @staticmethod
    def _page(rows: list[dict[str, Any]], given: Mapping[str, str], key: str) -> list[Any]:
        """Newest first: those older than `after`, newer than `before`, at most `limit`."""
        after, before = given.get("after"), given.get("before")
        if after:
            rows = [row for row in rows if int(row[key]) < int(after)]
        if before:
            rows = [row for row in rows if int(row[key]) > int(before)]
        return rows[: min(int(given.get("limit") or 100), 100)]

    # Orders.

    def _order(self, given: Mapping[str, Any]) -> Order:
        instrument = self._instrument(given)
        kind = _TYPES.get(str(given.get("ordType")))
        if kind is None:
            raise parameter("ordType")
        if given.get("side") not in ("buy", "sell"):
            raise parameter("side")
        if given.get("tdMode") != "cash":
            raise OkxError("51010", "You can't complete this request under your current account mode.")
        name = str(given.get("clOrdId") or "") or self._name()
        if not _CLIENT_ID.fullmatch(name):
            raise parameter("clOrdId")
        price = self._amount(given, "px") if kind[0] is OrderType.Limit else None
        quantity = self._amount(given, "sz")
        side = Side(given["side"])
        if kind[0] is OrderType.Market and side is Side.Buy and given.get("tgtCcy", "quote_ccy") == "quote_ccy":
            market = self._exchange.price(instrument.symbol)
            if not market:
                raise OkxError("51031", "There is no price yet.")
            lots = (quantity / market / instrument.lot_size).to_integral_value(ROUND_DOWN)
            quantity = lots * instrument.lot_size
        self._on_grid(instrument, price, quantity)
        try:
            return Order(
                instrument.symbol,
                side,
                kind[0],
                price,
                quantity,
                time_in_force=kind[1],
                post_only=given["ordType"] == "post_only",
                client_order_id=name,
            )
        except OrderValueError:
            raise parameter("sz") from None

    @staticmethod
    def _amount(given: Mapping[str, Any], name: str) -> Decimal:
        text = str(given.get(name) or "")
        if not _NUMBER.fullmatch(text) or not Decimal(text) > 0:
            raise parameter(name)
        return Decimal(text)

    @staticmethod
    def _on_grid(instrument: Instrument, price: Decimal | None, quantity: Decimal) -> None:
        if instrument.min_quantity is not None and quantity < instrument.min_quantity:
            raise OkxError("51020", "Your order should meet or exceed the minimum order amount.")
        if remainder(quantity, instrument.lot_size):
            raise OkxError("51121", "Order quantity must be a multiple of the lot size.")
        if price is not None and remainder(price, instrument.tick_size):
            raise OkxError("51006", "Order price is not within the price limit.")
        if instrument.max_quantity is not None and quantity > instrument.max_quantity:
            raise OkxError("51202", "Market order amount exceeds the maximum amount.")

    def _name(self) -> str:
        self._names += 1
        return f"venue{self._names:020d}"

    def _find(self, account: Account, given: Mapping[str, Any]) -> SimulatedOrder:
        """The order that is meant. Raises OkxError 51603."""
        symbol = self._instrument(given).symbol
        by_id, by_name = str(given.get("ordId") or ""), str(given.get("clOrdId") or "")
        if by_id:
            found = account.orders.get(int(by_id)) if by_id.isdigit() else None
        elif by_name:
            found = account.find(by_name)
        else:
            raise parameter("ordId")
        if found is None or found.order.symbol != symbol:
            raise NO_ORDER
        return found

    def _place(self, account: Account, given: Mapping[str, Any]) -> dict[str, object]:
        placed = self._exchange.place(account, self._order(given))
        return {
            "ordId": str(placed.venue_order_id),
            "clOrdId": str(given.get("clOrdId") or ""),
            "tag": "",
            "ts": messages.milliseconds(self._exchange.now()),
        }

    def _cancel(self, account: Account, given: Mapping[str, Any]) -> dict[str, object]:
        placed = self._find(account, given)
        if not placed.is_open:
            raise FINISHED["filled" if placed.status is OrderStatus.Filled else "canceled"]
        self._exchange.cancel(account, placed)
        return {"ordId": str(placed.venue_order_id), "clOrdId": placed.order.client_order_id, "ts": ""}

    def _amend(self, account: Account, given: Mapping[str, Any]) -> dict[str, object]:
        placed = self._find(account, given)
        if not placed.is_open:
            raise AMEND_FINISHED
        price = self._amount(given, "newPx") if given.get("newPx") else None
        quantity = self._amount(given, "newSz") if given.get("newSz") else None
        if price is None and quantity is None:
            raise parameter("newPx")
        instrument = self._exchange.instruments[placed.order.symbol]
        self._on_grid(instrument, price, placed.order.quantity if quantity is None else quantity)
        placed.tag["request"] = str(given.get("reqId") or "amend")
        self._exchange.amend(account, placed, price=price, quantity=quantity)
        return {
            "ordId": str(placed.venue_order_id),
            "clOrdId": placed.order.client_order_id,
            "reqId": str(given.get("reqId") or ""),
        }

    def _place_stop(self, account: Account, given: Mapping[str, Any]) -> dict[str, object]:
        if given.get("ordType") != "conditional":
            raise parameter("ordType")
        limit = given.get("slOrdPx")
        shape = {**given, "ordType": "market" if limit == "-1" else "limit", "px": limit, "tgtCcy": "base_ccy"}
        shape["clOrdId"] = given.get("algoClOrdId") or self._name()
        stop = self._stops.place(account, self._order(shape), self._amount(given, "slTriggerPx"))
        return {"algoId": stop.algo_id, "algoClOrdId": str(given.get("algoClOrdId") or ""), "clOrdId": "", "tag": ""}

    def _cancel_stop(self, account: Account, given: Mapping[str, Any]) -> dict[str, object]:
        stop = self._stops.find(account, given)
        self._stops.cancel(account, stop)
        return {"algoId": stop.algo_id, "algoClOrdId": stop.order.client_order_id, "tag": ""}

    def _amend_stop(self, account: Account, given: Mapping[str, Any]) -> dict[str, object]:
        stop = self._stops.find(account, given)
        quantity = self._amount(given, "newSz") if given.get("newSz") else None
        price = self._amount(given, "newSlOrdPx") if given.get("newSlOrdPx") else None
        self._stops.amend(account, stop, price=price, quantity=quantity)
        return {"algoId": stop.algo_id, "algoClOrdId": stop.order.client_order_id, "reqId": str(given.get("reqId", ""))}

    def _cancel_after(self, account: Account, given: Mapping[str, str]) -> list[Any]:
        seconds = str(given.get("timeOut", ""))
        if not seconds.isdigit() or not (int(seconds) == 0 or 10 <= int(seconds) <= 120):
            raise parameter("timeOut")
        due = self._arm(account, float(seconds))
        return [{"triggerTime": messages.milliseconds(due) if due else "0", "tag": "", "ts": ""}]


def trade_row(trade: Trade) -> dict[str, object]:
    """One of the `trades` channel, or of `/market/trades`."""
    return {
        "instId": trade.symbol,
        "tradeId": str(trade.trade_id),
        "px": messages.number(trade.price),
        "sz": messages.number(trade.quantity),
        "side": "sell" if trade.buyer_is_maker else "buy",
        "ts": messages.milliseconds(trade.received),
        "count": "1",
    }
