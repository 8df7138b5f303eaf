"""The account's events, on connections whose address names a listen key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from urllib.parse import parse_qs, urlsplit

import attrs

from axon_exchange_binance.simulator.futures import order_messages as messages
from axon_exchange_binance.simulator.futures.errors import NO_LISTEN_KEY
from axon_exchange_binance.simulator.futures.stops import is_order, stop_update
from axon_exchange_binance.simulator.futures.wallet import Wallet
from axon_exchange_binance.simulator.numbers import milliseconds, number
from axon_quant.clock import NANOSECONDS
from axon_quant.exchange.simulator import Account, AccountEvent, SimulatedExchange, Socket, Transfer
from axon_quant.exchange.simulator.positions import PositionEvent, SimulatedPosition
from axon_quant.exchange.simulator.socket import encoded

_ROUTE = "/private/"


@attrs.define
class _Key:
    """A listen key of an account, and until when it is one, UTC ns."""

    text: str
    account: Account
    until: int


class FuturesUserStreams:
    """Listen keys last `life` seconds from when they were made or kept; an account has one at a time."""

    def __init__(
        self, exchange: SimulatedExchange, sockets: Iterable[Socket], now: Callable[[], int], life: float
    ) -> None:
        self._exchange = exchange
        self._sockets = sockets
        self._now = now
        self._life = round(life * NANOSECONDS)
        self._keys: dict[str, _Key] = {}
        self._made = 0

    # Keys.

    def make(self, account: Account) -> dict[str, object]:
        """The account's key, new if it has none, valid from now on."""
        key = self._key_of(account)
        if key is None:
            self._made += 1
            text = hashlib.sha256(f"{account.key}:{self._made}".encode()).hexdigest()
            key = self._keys[text] = _Key(text, account, 0)
        key.until = self._now() + self._life
        return {"listenKey": key.text}

    def keep(self, account: Account) -> dict[str, object]:
        """Have the key be valid from now on. Raises BinanceError without one."""
        if self._key_of(account) is None:
            raise NO_LISTEN_KEY
        return self.make(account)

    def close(self, account: Account) -> dict[str, object]:
        """End the key, and say so on its connections."""
        key = self._key_of(account)
        if key is not None:
            self._end(key)
        return {}

    def expire(self) -> None:
        """End the keys that nobody has kept."""
        for key in list(self._keys.values()):
            if key.until <= self._now():
                self._end(key)

    def _key_of(self, account: Account) -> _Key | None:
        return next((key for key in self._keys.values() if key.account is account), None)

    def _end(self, key: _Key) -> None:
        del self._keys[key.text]
        for socket in list(self._sockets):
            if socket.data.get("listen key") == key.text:
                self.ended(socket)

    # Connections.

    def opened(self, socket: Socket) -> bool:
        """A connection: `/private/ws/KEY` or `/private/ws?listenKey=KEY`; whether there is such a key."""
        parts = urlsplit(socket.path)
        named = parse_qs(parts.query).get("listenKey", [parts.path.rpartition("/")[2]])[-1]
        if named not in self._keys:
            return False
        socket.data["listen key"] = named
        return True

    def ended(self, socket: Socket) -> None:
        """Nothing more comes on a connection."""
        text = socket.data.pop("listen key", None)
        if text is not None:
            socket.say({"e": "listenKeyExpired", "E": milliseconds(self._now()), "listenKey": text})

    # Events.

    def publish(self, account: Account, event: AccountEvent | Transfer | PositionEvent) -> None:
        """Tell everybody who listens to the account."""
        if isinstance(event, AccountEvent) and event.cause == "triggered":
            event.order.tag["triggered"] = milliseconds(event.at)
        key = self._key_of(account)
        listening = [one for one in self._sockets if key is not None and one.data.get("listen key") == key.text]
        if not listening:
            return
        for cause, said in self._said(account, event):
            text = encoded(said)
            for socket in listening:
                socket.send(f"stream:account:{cause}", text)

    def _said(
        self, account: Account, event: AccountEvent | Transfer | PositionEvent
    ) -> list[tuple[str, dict[str, object]]]:
        if isinstance(event, Transfer):
            update = self._update(account, "DEPOSIT", (event.asset,), None, event.at, changed=event.amount)
            return [("transfer", update)]
        if isinstance(event, PositionEvent):
            if event.cause == "leverage":
                return [("leverage", _leverage(event))]
            position = event.position if event.position.mode.value == "isolated" else None
            update = self._update(account, "FUNDING_FEE", (event.asset,), position, event.at, changed=event.amount)
            return [("funding", update)]
        said: list[tuple[str, dict[str, object]]] = []
        stop = stop_update(event)
        if stop is not None:
            said.append((event.cause, stop))
        if not is_order(event.order):
            return said
        if event.fill is not None:
            said.append(("balances", self._update(account, "ORDER", event.changed, event.order.position, event.at)))
        return [*said, (event.cause, messages.order_update(event))]

    def _update(
        self,
        account: Account,
        reason: str,
        assets: Iterable[str],
        position: SimulatedPosition | None,
        at_ns: int,
        *,
        changed: object = 0,
    ) -> dict[str, object]:
        """`ACCOUNT_UPDATE`: the wallet, and the position that moved."""
        at, rows = milliseconds(at_ns), Wallet(self._exchange, account)
        balances = [rows.balance_row(asset) for asset in assets]
        return {
            "e": "ACCOUNT_UPDATE",
            "E": at,
            "T": at,
            "a": {
                "m": reason,
                "B": [
                    {
                        "a": row["asset"],
                        "wb": row["balance"],
                        "cw": row["crossWalletBalance"],
                        "bc": f"{changed:.8f}",
                    }
                    for row in balances
                ],
                "P": [] if position is None else [self._position(position)],
            },
        }

    def _position(self, position: SimulatedPosition) -> dict[str, object]:
        return {
            "s": position.symbol,
            "pa": number(position.quantity),
            "ep": number(position.entry_price),
            "bep": number(position.entry_price),
            "cr": number(position.realised),
            "up": number(self._exchange.swaps.unrealised(position)),
            "mt": position.mode.value,
            "iw": number(position.margin if position.mode.value == "isolated" else 0),
            "ps": "BOTH",
        }


def _leverage(event: PositionEvent) -> dict[str, object]:
    at = milliseconds(event.at)
    told = {"s": event.position.symbol, "l": event.position.leverage}
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": at, "T": at, "ac": told}


def is_private(socket: Socket) -> bool:
    """Whether a connection is for the events of an account."""
    return socket.path.startswith(_ROUTE)
