"""OKX's channels: who has subscribed to what, and what each says."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from axon_exchange_okx.simulator.account_messages import account_row, balance_and_position_row
from axon_exchange_okx.simulator.account_queries import AccountQueries
from axon_exchange_okx.simulator.candles import BARS, Tape
from axon_exchange_okx.simulator.instruments import inst_type
from axon_exchange_okx.simulator.market_messages import best_row, changes_row, trade_row
from axon_exchange_okx.simulator.market_queries import MarketQueries
from axon_exchange_okx.simulator.order_messages import StopOrder, order_push, stop_row
from axon_exchange_okx.simulator.positions import funding_row, mark_row, position_row
from axon_quant.exchange.simulator import (
    Account,
    AccountEvent,
    PositionEvent,
    SimulatedExchange,
    SimulatedPosition,
    Socket,
    Transfer,
)
from axon_quant.market.types import BookSnapshot, BookUpdate, MarketEvent, Quote, Trade

CANDLES = frozenset(f"candle{bar}" for bar in BARS)
_OF_SWAPS = frozenset({"mark-price", "funding-rate"})
CHANNELS = {
    "/ws/v5/public": frozenset({"tickers", "trades", "books", "books5", "bbo-tbt", "instruments", "status"})
    | _OF_SWAPS,
    "/ws/v5/business": frozenset({"trades-all", "orders-algo"}) | CANDLES,
    "/ws/v5/private": frozenset({"orders", "account", "balance_and_position", "positions"}),
}
"""By the path of the socket."""
PRIVATE = CHANNELS["/ws/v5/private"] | {"orders-algo"}
FOR_VIPS = frozenset({"books-l2-tbt", "books50-l2-tbt", "fills"})
_WITHOUT_INSTRUMENT = frozenset({"instruments", "status"})
_BOOK_DEPTH = 400
_AMEND_SOURCES = {"amended": "1", "reduced": "4"}
_CLIPPED = {"new": "3", "amended": "2"}
"""Where OKX says that an amendment comes from: the user, or a reduce-only order that was too large."""
Argument = dict[str, Any]


def is_there(path: str, argument: Mapping[str, Any], exchange: SimulatedExchange) -> bool:
    """Whether a path has the channel that an argument asks for."""
    channel = argument.get("channel")
    if not all(isinstance(value, str) for value in argument.values()) or channel not in CHANNELS.get(path, ()):
        return False
    if channel in ("orders", "orders-algo", "positions"):
        return argument.get("instType") in ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "ANY")
    if channel in _OF_SWAPS:
        return argument.get("instId") in exchange.swaps.instruments
    return channel in PRIVATE | _WITHOUT_INSTRUMENT or argument.get("instId") in exchange.instruments


class Streams:
    """Every subscription by (channel, instrument), with the argument that asked for it."""

    def __init__(
        self, exchange: SimulatedExchange, tapes: Mapping[str, Tape], market: MarketQueries, queries: AccountQueries
    ) -> None:
        self._exchange = exchange
        self._tapes = tapes
        self._market = market
        self._queries = queries
        self._subscribed: defaultdict[tuple[str, str], dict[tuple[Socket, str], Argument]] = defaultdict(dict)
        self._sequences: dict[str, int] = {}

    def subscribe(self, socket: Socket, argument: Argument) -> None:
        """Add a subscription."""
        self._subscribed[_key(argument)][socket, json.dumps(argument, sort_keys=True)] = argument

    def unsubscribe(self, socket: Socket, argument: Argument) -> None:
        """End a subscription."""
        self._subscribed[_key(argument)].pop((socket, json.dumps(argument, sort_keys=True)), None)

    def dropped(self, socket: Socket) -> None:
        """A socket is gone."""
        for subscribers in self._subscribed.values():
            for one in [one for one in subscribers if one[0] is socket]:
                del subscribers[one]

    def begin(self, socket: Socket, argument: Argument) -> None:
        """What a channel says first, after the confirmation."""
        channel, symbol = _key(argument)
        account: Account | None = socket.data.get("account")
        now = self._exchange.now()
        first: dict[str, object] | list[str] | None = None
        more: dict[str, object] = {}
        if channel == "books":
            first, more = self._whole_book(symbol), {"action": "snapshot"}
        elif channel == "books5":
            first = self._five(symbol)
        elif channel == "bbo-tbt" and symbol in self._exchange.quotes:
            first = best_row(self._exchange.quotes[symbol])
        elif channel == "tickers":
            first = self._market.ticker(symbol)
        elif channel == "mark-price":
            first = mark_row(self._exchange, symbol)
        elif channel == "funding-rate":
            first = funding_row(self._exchange, symbol)
        elif channel in CANDLES:
            candles = self._tapes[symbol].candles(channel.removeprefix("candle"))
            first = candles[-1].row(ended=False) if candles else None
        elif channel == "account" and account is not None:
            wanted = argument.get("ccy")
            first = account_row(account, self._exchange.swaps, now, [wanted] if wanted in account.totals else None)
            more = {"eventType": "snapshot", "curPage": 1, "lastPage": True}
        elif channel == "balance_and_position" and account is not None:
            first = balance_and_position_row(account, now, "snapshot")
        elif channel == "positions" and account is not None:
            self._begin_positions(socket, argument, account)
        if first is not None:
            place = f"stream:account:{channel}" if channel in PRIVATE else f"stream:market:{channel}"
            arg = argument if account is None or channel not in PRIVATE else self._named(argument, account)
            socket.send(place, {"arg": arg, **more, "data": [first]})

    def _begin_positions(self, socket: Socket, argument: Argument, account: Account) -> None:
        rows = [
            position_row(self._exchange, account, one)
            for one in account.positions.values()
            if one.quantity
            and argument.get("instType") in ("ANY", "SWAP")
            and argument.get("instId", "") in ("", one.symbol)
        ]
        more = {"eventType": "snapshot", "curPage": 1, "lastPage": True}
        socket.send("stream:account:positions", {"arg": self._named(argument, account), **more, "data": rows})

    # Accounts.

    def on_account(self, account: Account, event: AccountEvent | Transfer | PositionEvent) -> None:
        """An order of an account changed, and with it its balances; or its balances alone."""
        if isinstance(event, Transfer):
            self._tell_balances(account, event.at, (event.asset,), "transfer", "transferred")
            return
        if isinstance(event, PositionEvent):
            if event.position.quantity:
                self._tell_position(account, event.position)
            if event.cause == "funding":
                self._tell_balances(account, event.at, (event.asset,), "balances", "funding_fee", event.position)
            elif event.position.margin:
                self._tell_balances(account, event.at, (event.asset,), "balances", "order")
            return
        placed, fill = event.order, event.fill
        symbol, amend_source = placed.order.symbol, _AMEND_SOURCES.get(event.cause, "")
        if placed.order.quantity < placed.asked:
            amend_source = _CLIPPED.get(event.cause, amend_source)
        request = str(placed.tag.get("request", "")) if event.cause == "amended" else ""
        self._tell(
            account,
            "orders",
            f"stream:account:{event.cause}",
            lambda: order_push(placed, fill, self._exchange.price(symbol), amend_source=amend_source, request=request),
            symbol,
        )
        moved = placed.position if fill is not None else None
        if moved is not None:
            self._tell_position(account, moved)
        self._tell_balances(account, event.at, event.changed, "balances", "filled" if fill else "order", moved)

    def on_stop(self, account: Account, stop: StopOrder) -> None:
        """An algo order of an account changed."""
        self._tell(account, "orders-algo", "stream:account:stop", lambda: stop_row(stop), stop.order.symbol)

    def _tell_position(self, account: Account, position: SimulatedPosition) -> None:
        self._tell(
            account,
            "positions",
            "stream:account:positions",
            lambda: position_row(self._exchange, account, position),
            position.symbol,
        )

    def _tell_balances(
        self,
        account: Account,
        at: int,
        assets: tuple[str, ...],
        place: str,
        cause: str,
        moved: SimulatedPosition | None = None,
    ) -> None:
        where = f"stream:account:{place}"
        for subscriber, argument in self._of(account, "account"):
            chosen = [asset for asset in assets if argument.get("ccy") in (None, "", asset)]
            if chosen:
                row = account_row(account, self._exchange.swaps, at, chosen)
                more = {"eventType": "event_update", "curPage": 1, "lastPage": True}
                subscriber.send(where, {"arg": self._named(argument, account), **more, "data": [row]})
        if cause != "order":  # what an order locks is no balance to this channel
            positions = [] if moved is None else [moved]
            self._tell(
                account,
                "balance_and_position",
                where,
                lambda: balance_and_position_row(account, at, cause, assets, positions),
            )

    def _tell(
        self, account: Account, channel: str, place: str, row: Callable[[], dict[str, object]], symbol: str = ""
    ) -> None:
        data: list[dict[str, object]] = []
        for subscriber, argument in self._of(account, channel):
            kind, wanted = argument.get("instType", "ANY"), argument.get("instId", "")
            if kind in ("ANY", inst_type(symbol)) and wanted in ("", symbol):
                data = data or [row()]
                subscriber.send(place, {"arg": self._named(argument, account), "data": data})

    def _of(self, account: Account, channel: str) -> Iterator[tuple[Socket, Argument]]:
        for (socket, _), argument in list(self._subscribed[channel, ""].items()):
            if socket.data.get("account") is account:
                yield socket, argument

    def _named(self, argument: Argument, account: Account) -> Argument:
        return {**argument, "uid": self._queries.uid(account)}

    # The market.

    def publish(self, event: MarketEvent) -> None:
        """Tell everybody who has subscribed."""
        symbol = event.symbol
        if isinstance(event, Trade):
            self._say("trades", symbol, lambda: trade_row(event))
            self._say("trades-all", symbol, lambda: trade_row(event))
            self._say_candles(event)
        elif isinstance(event, Quote):
            self._say("bbo-tbt", symbol, lambda: best_row(event))
            self._say("tickers", symbol, lambda: self._market.ticker(symbol))
            self._say("mark-price", symbol, lambda: mark_row(self._exchange, symbol))
        elif isinstance(event, BookUpdate):
            self._say_changes(event)
        elif isinstance(event, BookSnapshot):
            self._sequences[symbol] = self._exchange.books[symbol].sequence
            self._say("books", symbol, lambda: self._whole_book(symbol), action="snapshot")

    def _say_changes(self, update: BookUpdate) -> None:
        symbol, book = update.symbol, self._exchange.books[update.symbol]
        previous = self._sequences.get(symbol, update.first_sequence - 1)
        if not book.whole or book.sequence != update.last_sequence or previous >= update.last_sequence:
            return  # the book waits, or this is old news to it
        self._sequences[symbol] = update.last_sequence
        self._say("books", symbol, lambda: changes_row(update, previous), action="update")
        self._say("books5", symbol, lambda: self._five(symbol))

    def _say_candles(self, trade: Trade) -> None:
        symbol, tape = trade.symbol, self._tapes[trade.symbol]
        for bar, candle in tape.add(trade):
            self._say(f"candle{bar}", symbol, lambda candle=candle: candle.row(ended=True))  # type: ignore[misc]
        for bar in BARS:
            self._say(f"candle{bar}", symbol, lambda bar=bar: tape.candles(bar)[-1].row(ended=False))  # type: ignore[misc]

    def _whole_book(self, symbol: str) -> dict[str, object]:
        return {**self._market.book(symbol, _BOOK_DEPTH), "prevSeqId": -1, "checksum": 0}

    def _five(self, symbol: str) -> dict[str, object]:
        return {**self._market.book(symbol, 5), "instId": symbol}

    def _say(
        self, channel: str, symbol: str, row: Callable[[], dict[str, object] | list[str]], *, action: str = ""
    ) -> None:
        subscribers = self._subscribed.get((channel, symbol))
        if not subscribers:
            return
        data = [row()]
        for (socket, _), argument in list(subscribers.items()):
            message = {"arg": argument, **({"action": action} if action else {}), "data": data}
            socket.send(f"stream:market:{channel}", message)


def _key(argument: Mapping[str, Any]) -> tuple[str, str]:
    channel = str(argument["channel"])
    return channel, "" if channel in PRIVATE | _WITHOUT_INSTRUMENT else str(argument["instId"])
