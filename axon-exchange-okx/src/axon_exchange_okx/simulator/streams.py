"""OKX's channels: who has subscribed to what, and what each says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from axon_exchange_okx.simulator import messages
from axon_exchange_okx.simulator.messages import StopOrder
from axon_exchange_okx.simulator.requests import Requests, trade_row
from axon_quant.clock import NANOSECONDS
from axon_quant.exchange.simulator import Account, AccountEvent, SimulatedExchange, Socket, Transfer
from axon_quant.market.types import BookUpdate, MarketEvent, Quote, Trade

PUBLIC = frozenset(
    {"tickers", "trades", "trades-all", "books", "books5", "bbo-tbt", "candle1m", "instruments", "status"}
)
PRIVATE = frozenset({"orders", "orders-algo", "account", "balance_and_position", "positions", "fills"})
_MINUTE = 60 * NANOSECONDS


class Streams:
    """Every subscription by (channel, instrument)."""

    def __init__(self, exchange: SimulatedExchange, requests: Requests) -> None:
        self._exchange = exchange
        self._requests = requests
        self._subscribed: defaultdict[tuple[str, str], dict[Socket, dict[str, Any]]] = defaultdict(dict)
        self._candles: dict[str, list[float]] = {}

    def subscribe(self, socket: Socket, argument: dict[str, Any]) -> None:
        """Add a subscription; channels that begin with a snapshot send it through `say`, after the confirmation."""
        channel, symbol = str(argument.get("channel")), str(argument.get("instId", ""))
        self._subscribed[channel, symbol if channel in PUBLIC else ""][socket] = argument

    def begin(self, socket: Socket, argument: dict[str, Any]) -> None:
        """What a channel says first."""
        channel, symbol = str(argument.get("channel")), str(argument.get("instId", ""))
        account: Account | None = socket.data.get("account")
        if channel == "books" and symbol in self._exchange.books:
            book = {**self._requests.book(symbol, 400), "prevSeqId": -1, "checksum": 0}
            socket.send("stream:market:books", {"arg": argument, "action": "snapshot", "data": [book]})
        elif channel == "tickers" and symbol in self._exchange.instruments:
            socket.send("stream:market:tickers", {"arg": argument, "data": [self._requests.ticker(symbol)]})
        elif channel == "account" and account is not None:
            row = messages.account_row(account, self._exchange.now())
            socket.send("stream:account:balances", {"arg": argument, "data": [row]})

    def unsubscribe(self, socket: Socket, argument: Mapping[str, Any]) -> None:
        """End a subscription."""
        channel, symbol = str(argument.get("channel")), str(argument.get("instId", ""))
        self._subscribed[channel, symbol if channel in PUBLIC else ""].pop(socket, None)

    def dropped(self, socket: Socket) -> None:
        """A socket is gone."""
        for sockets in self._subscribed.values():
            sockets.pop(socket, None)

    def on_account(self, account: Account, event: AccountEvent | Transfer) -> None:
        """An order of an account changed, and with it its balances; or its balances alone."""
        if isinstance(event, Transfer):
            self._tell(account, "account", lambda: messages.account_row(account, event.at, (event.asset,)), "transfer")
            return
        placed = event.order
        amended = str(placed.tag.pop("request", "")) if event.cause == "amended" else ""
        self._tell(account, "orders", lambda: messages.order_push(placed, event.fill, amended=amended), event.cause)
        self._tell(account, "account", lambda: messages.account_row(account, event.at, event.changed), "balances")

    def on_stop(self, account: Account, stop: StopOrder) -> None:
        """An algo order of an account changed."""
        self._tell(account, "orders-algo", lambda: messages.stop_row(stop), "stop")

    def publish(self, event: MarketEvent) -> None:
        """Tell everybody who has subscribed."""
        symbol = event.symbol
        if isinstance(event, Trade):
            self._say("trades", symbol, lambda: trade_row(event))
            self._say("trades-all", symbol, lambda: trade_row(event))
            self._candle(event)
        elif isinstance(event, Quote):
            self._say("bbo-tbt", symbol, lambda: _best(event))
            self._say("tickers", symbol, lambda: self._requests.ticker(symbol))
        elif isinstance(event, BookUpdate):
            self._say("books", symbol, lambda: _changes(event), action="update")
            self._say("books5", symbol, lambda: self._requests.book(symbol, 5))

    def _tell(self, account: Account, channel: str, row: Callable[[], dict[str, object]], cause: str) -> None:
        data: list[dict[str, object]] = []
        for socket, argument in list(self._subscribed[channel, ""].items()):
            if socket.data.get("account") is account:
                data = data or [row()]
                socket.send(f"stream:account:{cause}", {"arg": argument, "data": data})

    def _say(self, channel: str, symbol: str, row: Callable[[], dict[str, object]], *, action: str = "") -> None:
        sockets = self._subscribed.get((channel, symbol))
        if not sockets:
            return
        data = [row()]
        for socket, argument in list(sockets.items()):
            message: dict[str, object] = {"arg": argument, "data": data}
            if action:
                message["action"] = action
            socket.send(f"stream:market:{channel}", message)

    def _candle(self, trade: Trade) -> None:
        start = float(trade.received - trade.received % _MINUTE)
        candle = self._candles.get(trade.symbol)
        if candle is None or candle[0] < start:
            if candle is not None:
                self._say_candle(trade.symbol, candle, "1")
            candle = self._candles[trade.symbol] = [start, *[trade.price] * 4, 0.0, 0.0]
        candle[2], candle[3] = max(candle[2], trade.price), min(candle[3], trade.price)
        candle[4] = trade.price
        candle[5] += trade.quantity
        candle[6] += trade.quantity * trade.price
        self._say_candle(trade.symbol, candle, "0")

    def _say_candle(self, symbol: str, candle: list[float], confirmed: str) -> None:
        sockets = self._subscribed.get(("candle1m", symbol))
        if not sockets:
            return
        numbers = [messages.number(value) for value in candle[1:]]
        row = [messages.milliseconds(int(candle[0])), *numbers, numbers[-1], confirmed]
        for socket, argument in list(sockets.items()):
            socket.send("stream:market:candle1m", {"arg": argument, "data": [row]})


def _best(quote: Quote) -> dict[str, object]:
    return {
        "asks": messages.levels([(quote.ask, quote.ask_quantity)]),
        "bids": messages.levels([(quote.bid, quote.bid_quantity)]),
        "ts": messages.milliseconds(quote.received),
        "seqId": quote.sequence,
    }


def _changes(update: BookUpdate) -> dict[str, object]:
    return {
        "asks": messages.levels(update.asks),
        "bids": messages.levels(update.bids),
        "ts": messages.milliseconds(update.received),
        "checksum": 0,
        "prevSeqId": update.first_sequence - 1,
        "seqId": update.last_sequence,
    }
