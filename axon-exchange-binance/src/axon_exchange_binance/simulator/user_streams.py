"""The account's events on the connections of the WebSocket API."""

from __future__ import annotations

from collections.abc import Iterable

from axon_exchange_binance.simulator import order_messages as messages
from axon_exchange_binance.simulator.errors import BinanceError
from axon_exchange_binance.simulator.numbers import milliseconds
from axon_exchange_binance.simulator.parameters import Parameters
from axon_quant.exchange.simulator import Account, AccountEvent, Socket, Transfer
from axon_quant.exchange.simulator.socket import encoded

_ACTIVE = BinanceError(-2035, "User Data Stream subscription already active.")


class UserStreams:
    """Subscriptions by connection, numbered on each."""

    def __init__(self, sockets: Iterable[Socket]) -> None:
        self._sockets = sockets

    def opened(self, socket: Socket) -> None:
        """A connection of the WebSocket API."""
        socket.data |= {"subscriptions": {}, "next": 0}

    def subscribe(self, socket: Socket, account: Account) -> object:
        """The account's events from now on. Raises BinanceError when they come already."""
        subscriptions = socket.data["subscriptions"]
        if account in subscriptions.values():
            raise _ACTIVE
        number = socket.data["next"]
        socket.data["next"] = number + 1
        subscriptions[number] = account
        return {"subscriptionId": number}

    def asked(self, name: str, socket: Socket, given: Parameters, now: int) -> object:
        """Which subscriptions there are, or the end of one or all."""
        subscriptions = socket.data["subscriptions"]
        if name == "session.subscriptions":
            return [{"subscriptionId": number} for number in subscriptions]
        which = [given.integer("subscriptionId")] if "subscriptionId" in given else list(subscriptions)
        self.ended(socket, now, which)
        return {}

    def ended(self, socket: Socket, now: int, which: Iterable[int] | None = None) -> None:
        """End some subscriptions of a connection, or all of them."""
        subscriptions = socket.data["subscriptions"]
        for number in list(subscriptions if which is None else which):
            if subscriptions.pop(number, None) is not None:
                _say_end(socket, number, now)

    def terminate(self, account: Account, now: int) -> None:
        """End every subscription to an account."""
        for socket in list(self._sockets):
            subscriptions = socket.data.get("subscriptions", {})
            self.ended(socket, now, [number for number, each in subscriptions.items() if each is account])

    def publish(self, account: Account, event: AccountEvent | Transfer) -> None:
        """Tell everybody who has subscribed to the account."""
        listening = [
            (socket, number)
            for socket in self._sockets
            for number, subscribed in socket.data.get("subscriptions", {}).items()
            if subscribed is account
        ]
        if not listening:
            return
        for cause, said in _said(account, event):
            text = encoded(said)
            for socket, number in listening:
                socket.send(f"stream:account:{cause}", f'{{"subscriptionId":{number},"event":{text}}}')


def _said(account: Account, event: AccountEvent | Transfer) -> list[tuple[str, dict[str, object]]]:
    """What happened, then the balances."""
    if isinstance(event, Transfer):
        position = messages.account_position(account, (event.asset,), event.at)
        return [("transfer", messages.balance_update(event)), ("balances", position)]
    report = messages.execution_report(event, str(event.order.tag.get("response", "")))
    return [(event.cause, report), ("balances", messages.account_position(account, event.changed, event.at))]


def _say_end(socket: Socket, number: int, now: int) -> None:
    event = {"e": "eventStreamTerminated", "E": milliseconds(now)}
    socket.say({"subscriptionId": number, "event": event})
