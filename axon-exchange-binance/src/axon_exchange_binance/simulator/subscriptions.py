"""Who has subscribed to which stream of the market."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from axon_exchange_binance.simulator.candles import INTERVALS
from axon_quant.exchange.simulator import Socket

EVERY = "!"
"""Stands for the symbol of streams that are about all of them."""
_NAME = re.compile(r"([a-z0-9_.-]+)@([A-Za-z0-9_@]+)")
_OF_ALL = {"!miniTicker@arr", "!ticker@arr"}
_CHANNELS = (
    {"trade", "aggTrade", "bookTicker", "miniTicker", "ticker", "avgPrice", "depth", "depth@100ms"}
    | {f"depth{levels}{speed}" for levels in (5, 10, 20) for speed in ("", "@100ms")}
    | {f"kline_{interval}" for interval in INTERVALS}
)
_MOST = 1_024


class Subscriptions:
    """Sockets by symbol and channel, and how each socket is to be spoken to."""

    channels: ClassVar[Collection[str]] = _CHANNELS
    of_all: ClassVar[Collection[str]] = _OF_ALL

    def __init__(self) -> None:
        self.of: dict[str, dict[str, dict[Socket, None]]] = {}

    def opened(self, socket: Socket) -> None:
        """A socket may name its streams in its address: `/ws/a/b`, `/stream?streams=a/b`."""
        parts = urlsplit(socket.path)
        self._named(socket, parts.path, parts.query)

    def split(self, name: str) -> tuple[str, str] | None:
        """Symbol, in capitals, and channel of a stream's name; None for one that there is not."""
        if name in self.of_all:
            return EVERY, name
        found = _NAME.fullmatch(name)
        return (found[1].upper(), found[2]) if found and found[2] in self.channels else None

    def _named(self, socket: Socket, path: str, query: str) -> None:
        socket.data |= {"combined": path.startswith("/stream"), "names": {}}
        if path.startswith("/ws/"):
            names = path.removeprefix("/ws/").split("/")
        else:
            names = "/".join(parse_qs(query).get("streams", [])).split("/")
        self._add(socket, (name for name in names if self.split(name) is not None))

    def dropped(self, socket: Socket) -> None:
        """A socket is gone."""
        self._remove(socket, list(socket.data["names"]))

    def asked(self, socket: Socket, said: Mapping[str, object]) -> dict[str, object]:
        """The answer to a request about the subscriptions."""
        id_, method, names = said.get("id"), said.get("method"), said.get("params")
        if id_ is not None and not isinstance(id_, (int, str)):
            return _failure(2, "Invalid request: request ID must be an unsigned integer", None)
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": list(socket.data["names"]), "id": id_}
        if method == "GET_PROPERTY":
            return {"result": socket.data["combined"], "id": id_}
        if not isinstance(names, list):
            return _failure(2, f"Invalid request: unknown variant {method}", id_)
        if method == "SET_PROPERTY" and len(names) == 2 and names[0] == "combined" and isinstance(names[1], bool):
            socket.data["combined"] = names[1]
            return {"result": None, "id": id_}
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            return _failure(2, f"Invalid request: unknown variant {method}", id_)
        strange = [name for name in names if not isinstance(name, str) or self.split(name) is None]
        if strange:
            return _failure(2, f"Invalid request: no such stream {strange[0]}", id_)
        if method == "UNSUBSCRIBE":
            self._remove(socket, names)
        elif len({*socket.data["names"], *names}) > _MOST:
            return _failure(2, f"Invalid request: more than {_MOST} streams", id_)
        else:
            self._add(socket, names)
        return {"result": None, "id": id_}

    def _add(self, socket: Socket, names: Iterable[str]) -> None:
        for name in names:
            place = self.split(name)
            if place is not None:
                socket.data["names"][name] = None
                self.of.setdefault(place[0], {}).setdefault(place[1], {})[socket] = None

    def _remove(self, socket: Socket, names: Iterable[str]) -> None:
        for name in names:
            place = self.split(name)
            socket.data["names"].pop(name, None)
            channels = self.of.get(place[0], {}) if place is not None else {}
            sockets = channels.get(place[1], {}) if place is not None else {}
            sockets.pop(socket, None)
            if place is not None and not sockets:
                channels.pop(place[1], None)


def _failure(code: int, message: str, id_: object) -> dict[str, object]:
    return {"error": {"code": code, "msg": message}, "id": id_}
