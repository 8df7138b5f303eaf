"""What can be asked of Binance, by REST or over the WebSocket API, and what it answers."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

from axon_exchange_binance.simulator import messages
from axon_exchange_binance.simulator.candles import Candles
from axon_exchange_binance.simulator.errors import (
    BAD_KEY,
    BAD_KEY_FORMAT,
    BAD_SIGNATURE,
    BAD_SYMBOL,
    NO_SUCH_ORDER,
    UNKNOWN_CANCEL,
    BinanceError,
    illegal,
    missing,
    said,
)
from axon_exchange_binance.simulator.filters import amount, order_of
from axon_quant.exchange.simulator import Account, Limit, RefusedError, SimulatedExchange, SimulatedOrder
from axon_quant.market.instrument import Instrument


class Request(NamedTuple):
    """What a path and method, or a WebSocket method, stands for. `orders` counts against the orders' limits."""

    name: str
    weight: int
    signed: bool = False
    changes: bool = False
    orders: int = 0


REST = {
    ("GET", "/api/v3/ping"): Request("ping", 1),
    ("GET", "/api/v3/time"): Request("time", 1),
    ("GET", "/api/v3/exchangeInfo"): Request("exchangeInfo", 20),
    ("GET", "/api/v3/depth"): Request("depth", 5),
    ("GET", "/api/v3/trades"): Request("trades", 25),
    ("GET", "/api/v3/aggTrades"): Request("aggTrades", 4),
    ("GET", "/api/v3/klines"): Request("klines", 2),
    ("GET", "/api/v3/avgPrice"): Request("avgPrice", 2),
    ("GET", "/api/v3/ticker/price"): Request("ticker.price", 2),
    ("GET", "/api/v3/ticker/bookTicker"): Request("ticker.book", 2),
    ("GET", "/api/v3/ticker/24hr"): Request("ticker.24hr", 2),
    ("GET", "/api/v3/account"): Request("account", 20, signed=True),
    ("GET", "/api/v3/openOrders"): Request("openOrders", 6, signed=True),
    ("GET", "/api/v3/allOrders"): Request("allOrders", 20, signed=True),
    ("GET", "/api/v3/myTrades"): Request("myTrades", 20, signed=True),
    ("GET", "/api/v3/rateLimit/order"): Request("rateLimit", 40, signed=True),
    ("GET", "/api/v3/order"): Request("order.status", 4, signed=True),
    ("POST", "/api/v3/order"): Request("order.place", 1, signed=True, changes=True, orders=1),
    ("POST", "/api/v3/order/test"): Request("order.test", 1, signed=True),
    ("DELETE", "/api/v3/order"): Request("order.cancel", 1, signed=True, changes=True),
    ("POST", "/api/v3/order/cancelReplace"): Request("order.replace", 1, signed=True, changes=True, orders=1),
    ("PUT", "/api/v3/order/amend/keepPriority"): Request("order.amend", 4, signed=True, changes=True),
    ("DELETE", "/api/v3/openOrders"): Request("openOrders.cancel", 1, signed=True, changes=True),
    ("GET", "/sapi/v1/account/apiRestrictions"): Request("apiRestrictions", 1, signed=True),
    ("GET", "/sapi/v1/capital/config/getall"): Request("coins", 10, signed=True),
    ("GET", "/sapi/v1/margin/allPairs"): Request("margin.pairs", 1),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): Request("margin.isolated", 1),
}
SOCKET = {
    "ping": REST["GET", "/api/v3/ping"],
    "time": REST["GET", "/api/v3/time"],
    "exchangeInfo": REST["GET", "/api/v3/exchangeInfo"],
    "depth": REST["GET", "/api/v3/depth"],
    "ticker.price": REST["GET", "/api/v3/ticker/price"],
    "ticker.book": REST["GET", "/api/v3/ticker/bookTicker"],
    "account.status": REST["GET", "/api/v3/account"],
    "openOrders.status": REST["GET", "/api/v3/openOrders"],
    "openOrders.cancelAll": REST["DELETE", "/api/v3/openOrders"],
    "allOrders": REST["GET", "/api/v3/allOrders"],
    "myTrades": REST["GET", "/api/v3/myTrades"],
    "order.place": REST["POST", "/api/v3/order"],
    "order.test": REST["POST", "/api/v3/order/test"],
    "order.cancel": REST["DELETE", "/api/v3/order"],
    "order.status": REST["GET", "/api/v3/order"],
    "order.cancelReplace": REST["POST", "/api/v3/order/cancelReplace"],
}
_LARGEST_WINDOW = 60_000
_AHEAD = 1_000
_RESPONSES = {"LIMIT": "FULL", "MARKET": "FULL"}


class Requests:
    """Carries requests out. `given` are the parameters as text; answers are plain values. Raises BinanceError."""

    def __init__(self, exchange: SimulatedExchange, candles: Mapping[str, Candles], limits: tuple[Limit, ...]) -> None:
        self._exchange = exchange
        self._candles = candles
        self._limits = limits
        self._names = 0
        self._handlers: dict[str, Callable[[Account, Mapping[str, str]], object]] = {
            "account": self._account,
            "openOrders": self._open_orders,
            "allOrders": self._all_orders,
            "myTrades": self._trades_of,
            "rateLimit": lambda _, __: [],
            "order.status": lambda account, given: messages.queried(self._find(account, given)),
            "order.place": self._place,
            "order.test": self._test,
            "order.cancel": self._cancel,
            "order.replace": self._replace,
            "order.amend": self._amend,
            "openOrders.cancel": self._cancel_all,
            "apiRestrictions": self._restrictions,
            "coins": self._coins,
        }
        self._public: dict[str, Callable[[Mapping[str, str]], object]] = {
            "ping": lambda _: {},
            "time": lambda _: {"serverTime": messages.milliseconds(exchange.now())},
            "exchangeInfo": self._exchange_info,
            "depth": self._depth,
            "trades": self._recent_trades,
            "aggTrades": self._aggregate_trades,
            "klines": self._klines,
            "avgPrice": lambda given: {
                "mins": 5,
                "price": messages.number(exchange.price(self._instrument(given).symbol)),
                "closeTime": messages.milliseconds(exchange.now()),
            },
            "ticker.price": lambda given: self._per_symbol(given, self._price),
            "ticker.book": lambda given: self._per_symbol(given, self._book_ticker),
            "ticker.24hr": lambda given: self._per_symbol(given, self._day),
            "margin.pairs": lambda _: [],
            "margin.isolated": lambda _: [],
        }

    def carry_out(self, request: Request, given: Mapping[str, str], key: str, payload: str) -> object:
        """The answer. `payload` is what must have been signed."""
        if not request.signed:
            return self._public[request.name](given)
        account = self.identified(given, key, payload)
        try:
            return self._handlers[request.name](account, given)
        except RefusedError as error:
            raise said(error) from None

    def identified(self, given: Mapping[str, str], key: str, payload: str) -> Account:
        """Whose request it is: key, signature and time are as they must be."""
        if not key:
            raise BAD_KEY_FORMAT
        account = self._exchange.accounts.get(key)
        if account is None:
            raise BAD_KEY
        stamp = given.get("timestamp", "")
        if not stamp.isdigit():
            raise missing("timestamp")
        wanted = hmac.new(account.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted, given.get("signature", "")):
            raise BAD_SIGNATURE
        try:
            window = float(given.get("recvWindow", "5000"))
        except ValueError:
            raise missing("recvWindow") from None
        if not 0 < window <= _LARGEST_WINDOW:
            raise BinanceError(-1131, "recvWindow must be less than 60000.")
        now = messages.milliseconds(self._exchange.now())
        if int(stamp) >= now + _AHEAD:
            raise BinanceError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if now - int(stamp) > window:
            raise BinanceError(-1021, "Timestamp for this request is outside of the recvWindow.")
        return account

    # The market.

    def _instrument(self, given: Mapping[str, str]) -> Instrument:
        symbol = given.get("symbol")
        if not symbol:
            raise missing("symbol")
        instrument = self._exchange.instruments.get(symbol)
        if instrument is None:
            raise BAD_SYMBOL
        return instrument

    def _exchange_info(self, given: Mapping[str, str]) -> object:
        instruments = [self._instrument(given)] if given.get("symbol") else list(self._exchange.instruments.values())
        return messages.exchange_info(instruments, self._limits, self._exchange.now())

    def _depth(self, given: Mapping[str, str]) -> object:
        book, limit = self._exchange.books[self._instrument(given).symbol], int(given.get("limit", "100"))
        return {
            "lastUpdateId": book.sequence,
            "bids": messages.levels(list(zip(*book.bids(limit), strict=True))),
            "asks": messages.levels(list(zip(*book.asks(limit), strict=True))),
        }

    def _recent_trades(self, given: Mapping[str, str]) -> object:
        trades = list(self._candles[self._instrument(given).symbol].trades)[-int(given.get("limit", "500")) :]
        return [
            {
                "id": trade.trade_id,
                "price": messages.number(trade.price),
                "qty": messages.number(trade.quantity),
                "quoteQty": messages.number(trade.price * trade.quantity),
                "time": messages.milliseconds(trade.received),
                "isBuyerMaker": trade.buyer_is_maker,
                "isBestMatch": True,
            }
            for trade in trades
        ]

    def _aggregate_trades(self, given: Mapping[str, str]) -> object:
        since, until = int(given.get("startTime", "0")), int(given.get("endTime", str(1 << 62)))
        found = [
            trade
            for trade in self._candles[self._instrument(given).symbol].trades
            if since <= messages.milliseconds(trade.received) <= until
        ][: int(given.get("limit", "500"))]
        return [
            {
                "a": trade.trade_id,
                "p": messages.number(trade.price),
                "q": messages.number(trade.quantity),
                "f": trade.trade_id,
                "l": trade.trade_id,
                "T": messages.milliseconds(trade.received),
                "m": trade.buyer_is_maker,
                "M": True,
            }
            for trade in found
        ]

    def _klines(self, given: Mapping[str, str]) -> object:
        if given.get("interval", "1m") != "1m":
            raise BinanceError(-1120, "Invalid interval.")
        minutes = list(self._candles[self._instrument(given).symbol].minutes)
        return [candle.row() for candle in minutes[-int(given.get("limit", "500")) :]]

    def _per_symbol(self, given: Mapping[str, str], one: Callable[[str], dict[str, object]]) -> object:
        if given.get("symbol"):
            return one(self._instrument(given).symbol)
        return [one(symbol) for symbol in self._exchange.instruments]

    def _price(self, symbol: str) -> dict[str, object]:
        return {"symbol": symbol, "price": messages.number(self._exchange.price(symbol))}

    def _book_ticker(self, symbol: str) -> dict[str, object]:
        quote = self._exchange.quotes.get(symbol)
        bid, bids, ask, asks = (
            (0.0,) * 4 if quote is None else (quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity)
        )
        number = messages.number
        return {
            "symbol": symbol,
            "bidPrice": number(bid),
            "bidQty": number(bids),
            "askPrice": number(ask),
            "askQty": number(asks),
        }

    def _day(self, symbol: str) -> dict[str, object]:
        day, number, now = self._candles[symbol].day, messages.number, messages.milliseconds(self._exchange.now())
        book = self._book_ticker(symbol)
        first, high, low, last, volume, value, trades = (
            (0.0,) * 6 + (0,)
            if day is None
            else (day.open, day.high, day.low, day.close, day.volume, day.value, day.trades)
        )
        return {
            **book,
            "priceChange": number(last - first),
            "priceChangePercent": f"{(last / first - 1) * 100 if first else 0.0:.3f}",
            "weightedAvgPrice": number(value / volume if volume else 0.0),
            "prevClosePrice": number(first),
            "lastPrice": number(last),
            "lastQty": number(0.0),
            "openPrice": number(first),
            "highPrice": number(high),
            "lowPrice": number(low),
            "volume": number(volume),
            "quoteVolume": number(value),
            "openTime": now - 86_400_000,
            "closeTime": now,
            "firstId": -1 if day is None else day.first,
            "lastId": -1 if day is None else day.last,
            "count": trades,
        }

    # The account.

    def _account(self, account: Account, given: Mapping[str, str]) -> object:
        omit = given.get("omitZeroBalances", "false").lower() == "true"
        return messages.account_of(account, self._exchange.now(), omit_zero=omit)

    def _restrictions(self, account: Account, given: Mapping[str, str]) -> object:
        del given
        return {
            "ipRestrict": True,
            "createTime": 1_600_000_000_000,
            "enableReading": True,
            "enableSpotAndMarginTrading": account.may_trade,
            "enableWithdrawals": account.may_withdraw,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": False,
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enablePortfolioMarginTrading": False,
        }

    def _coins(self, account: Account, given: Mapping[str, str]) -> object:
        del given
        traded = {asset for one in self._exchange.instruments.values() for asset in (one.base, one.quote)}
        assets = sorted(traded | {*account.totals})
        return [
            {
                "coin": asset,
                "name": asset,
                "free": messages.number(account.free(asset)),
                "locked": messages.number(account.locked.get(asset)),
                "depositAllEnable": True,
                "withdrawAllEnable": True,
                "trading": True,
                "isLegalMoney": False,
                "networkList": [],
            }
            for asset in assets
        ]

    def _open_orders(self, account: Account, given: Mapping[str, str]) -> object:
        symbol = self._instrument(given).symbol if given.get("symbol") else None
        return [messages.queried(one) for one in account.open.values() if symbol in (None, one.order.symbol)]

    def _all_orders(self, account: Account, given: Mapping[str, str]) -> object:
        symbol = self._instrument(given).symbol
        first, limit = int(given.get("orderId", "0")), int(given.get("limit", "500"))
        since, until = int(given.get("startTime", "0")), int(given.get("endTime", str(1 << 62)))
        found = [
            one
            for one in account.orders.values()
            if one.order.symbol == symbol
            and one.venue_order_id >= first
            and since <= messages.milliseconds(one.created) <= until
        ]
        return [messages.queried(one) for one in (found[:limit] if first or since else found[-limit:])]

    def _trades_of(self, account: Account, given: Mapping[str, str]) -> object:
        symbol = self._instrument(given).symbol
        limit, order_id = int(given.get("limit", "500")), int(given.get("orderId", "0"))
        since, until = int(given.get("startTime", "0")), int(given.get("endTime", str(1 << 62)))
        found = [
            fill
            for fill in account.fills
            if fill.symbol == symbol
            and order_id in (0, fill.venue_order_id)
            and fill.trade_id >= int(given.get("fromId", "0"))
            and since <= messages.milliseconds(fill.at) <= until
        ]
        page = found[:limit] if since or "fromId" in given else found[-limit:]
        return [messages.traded(fill, account.orders[fill.venue_order_id].order.side) for fill in page]

    # Orders.

    def _name(self) -> str:
        self._names += 1
        return f"venue{self._names:017d}"

    def _find(self, account: Account, given: Mapping[str, str], *, prefix: str = "") -> SimulatedOrder:
        """The order that is meant. Raises BinanceError -2013, or -1102 when none is named."""
        symbol = self._instrument(given).symbol
        by_id = given.get("cancelOrderId" if prefix else "orderId")
        by_name = given.get("cancelOrigClientOrderId" if prefix else "origClientOrderId")
        if by_id:
            if not by_id.isdigit():
                raise illegal("orderId", "^[0-9]{1,20}$")
            found = account.orders.get(int(by_id))
        elif by_name:
            named = account.by_client.get(by_name, ())
            own = [one for one in named if one.order.symbol == symbol]
            found = next((one for one in reversed(own) if one.is_open), own[-1] if own else None)
        else:
            raise BinanceError(
                -1102,
                "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
            )
        if found is None or found.order.symbol != symbol:
            raise NO_SUCH_ORDER
        return found

    def _market_price(self, given: Mapping[str, str]) -> Decimal | None:
        symbol = given.get("symbol", "")
        return self._exchange.price(symbol) if symbol in self._exchange.instruments else None

    def _place(self, account: Account, given: Mapping[str, str]) -> object:
        order = order_of(given, self._exchange.instruments, self._market_price(given), self._name())
        placed = self._exchange.place(account, order, tag={"type": given["type"]})
        return messages.acknowledged(placed, given.get("newOrderRespType") or _RESPONSES.get(given["type"], "ACK"))

    def _test(self, account: Account, given: Mapping[str, str]) -> object:
        del account
        order_of(given, self._exchange.instruments, self._market_price(given), self._name())
        return {}

    def _cancel(self, account: Account, given: Mapping[str, str]) -> object:
        try:
            placed = self._find(account, given)
        except BinanceError as error:
            raise UNKNOWN_CANCEL if error is NO_SUCH_ORDER else error from None
        return self._cancelled(account, placed, given.get("newClientOrderId", ""))

    def _cancelled(self, account: Account, placed: SimulatedOrder, name: str) -> dict[str, object]:
        if not placed.is_open:
            raise UNKNOWN_CANCEL
        placed.tag["cancel_id"] = name = name or self._name()
        self._exchange.cancel(account, placed)
        return messages.cancelled(placed, name)

    def _cancel_all(self, account: Account, given: Mapping[str, str]) -> object:
        symbol = self._instrument(given).symbol
        found = [one for one in account.open.values() if one.order.symbol == symbol]
        if not found:
            raise UNKNOWN_CANCEL
        return [self._cancelled(account, one, "") for one in found]

    def _replace(self, account: Account, given: Mapping[str, str]) -> object:
        mode = given.get("cancelReplaceMode")
        if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
            raise missing("cancelReplaceMode")
        order = order_of(given, self._exchange.instruments, self._market_price(given), self._name())
        cancel: dict[str, object] | None = None
        failure: BinanceError | None = None
        try:
            placed = self._find(account, given, prefix="cancel")
            cancel = self._cancelled(account, placed, given.get("cancelNewClientOrderId", ""))
        except BinanceError as error:
            if error.code not in (UNKNOWN_CANCEL.code, NO_SUCH_ORDER.code):
                raise
            failure = UNKNOWN_CANCEL
        if failure is not None and mode == "STOP_ON_FAILURE":
            raise _ReplaceError(-2022, "Order cancel-replace failed.", "FAILURE", failure, "NOT_ATTEMPTED", None)
        try:
            new = self._exchange.place(account, order, tag={"type": given["type"]})
        except RefusedError as error:
            code = -2021 if failure is None else -2022
            text = "Order cancel-replace partially failed." if failure is None else "Order cancel-replace failed."
            cancelled = cancel if failure is None else failure
            raise _ReplaceError(
                code, text, "SUCCESS" if failure is None else "FAILURE", cancelled, "FAILURE", said(error)
            ) from None
        answer = messages.acknowledged(new, given.get("newOrderRespType") or _RESPONSES.get(given["type"], "ACK"))
        if failure is not None:
            raise _ReplaceError(
                -2021, "Order cancel-replace partially failed.", "FAILURE", failure, "SUCCESS", answer, status=409
            )
        return {
            "cancelResult": "SUCCESS",
            "newOrderResult": "SUCCESS",
            "cancelResponse": cancel,
            "newOrderResponse": answer,
        }

    def _amend(self, account: Account, given: Mapping[str, str]) -> object:
        placed = self._find(account, given)
        quantity = amount(given, "newQty")
        if not quantity < placed.order.quantity:
            raise BinanceError(-2038, "Order amend (quantity increase) is not supported.")
        self._exchange.amend(account, placed, quantity=quantity)
        return {
            "transactTime": messages.milliseconds(placed.updated),
            "executionId": account.sequence,
            "amendedOrder": {**messages.queried(placed), "preventedQty": messages.number(0.0)},
        }


class _ReplaceError(BinanceError):
    """Half of a cancel-and-replace failed, and Binance says what became of each half."""

    def __init__(
        self,
        code: int,
        message: str,
        cancel_result: str,
        cancel: object,
        new_result: str,
        new: object,
        status: int = 400,
    ) -> None:
        super().__init__(code, message, status if new_result == "NOT_ATTEMPTED" else 409)
        self.data = {
            "cancelResult": cancel_result,
            "newOrderResult": new_result,
            "cancelResponse": _plain(cancel),
            "newOrderResponse": _plain(new),
        }


def _plain(response: object) -> object:
    return {"code": response.code, "msg": response.message} if isinstance(response, BinanceError) else response
