"""The Example Exchange on loopback: its protocol over the shared parts of axon's simulators."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from functools import partial

import attrs

from axon_quant.clock import MILLISECOND
from axon_quant.errors import OrderValueError
from axon_quant.exchange.exact import ZERO
from axon_quant.exchange.simulator import (
    Account,
    AccountEvent,
    Answer,
    Asked,
    Charge,
    FaultPlan,
    Limit,
    MarketFeed,
    RefusedError,
    SimulatedExchange,
    SimulatedFill,
    SimulatedOrder,
    Simulator,
    Socket,
    Transfer,
    Verdict,
)
from axon_quant.exchange.simulator.instruments import instruments
from axon_quant.market.types import MarketEvent, Quote, Trade
from axon_quant.orders.types import Order, OrderType, Side, TimeInForce

_NAMES = {"POST": "order.place", "DELETE": "order.cancel", "GET": "order.status"}


class _SaidError(Exception):
    def __init__(self, code: str, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.body = {"error": code, "message": text}
        self.answer = Answer(self.body, status)


class ExampleSimulator(Simulator):
    """Two accounts trade BTCUSDT: `YOUR_API_KEY` / `YOUR_API_SECRET`, and `OTHER_…`. Options as of `Simulator`."""

    name = "example"
    limits = (Limit("requests", 2000, 1.0),)

    def __init__(
        self,
        *,
        symbols: Iterable[str] = ("BTCUSDT",),
        faults: FaultPlan | None = None,
        seed: int = 0,
        speed: float = 1.0,
        drift_ms: float = 0.0,
        limits: tuple[Limit, ...] | None = None,
    ) -> None:
        held = {"USDT": "1000000", "BTC": "20"}
        exchange = SimulatedExchange(
            [instrument for instrument in instruments("example") if instrument.symbol in set(symbols)],
            Account.two(held),
            reuse_client_ids=False,
        )
        feed = MarketFeed(exchange, symbols, seed=seed, speed=speed)
        super().__init__(exchange, feed, faults=faults, drift_ms=drift_ms, limits=limits)
        exchange.listeners.append(self._on_market)
        for account in exchange.accounts.values():
            account.listeners.append(partial(self._on_account, account))

    def route(self, asked: Asked) -> Asked:
        kind = asked.path.split("/")[1]
        name = _NAMES[asked.method] if kind == "orders" else kind
        return attrs.evolve(asked, name=name, changes=asked.method != "GET")

    def charges(self, asked: Asked) -> list[Charge]:
        return [(asked.headers.get("X-Key", ""), {"requests": 1})]

    def answer(self, asked: Asked) -> Answer:
        try:
            return Answer(self._answer(asked))
        except _SaidError as error:
            return error.answer
        except RefusedError as error:
            codes = {"duplicate-client-order-id": "duplicate", "no-such-open-order": "not-found"}
            return Answer({"error": codes.get(error.kind.value, "refused"), "message": error.text}, 400)

    def refused(self, asked: Asked, code: str, verdict: Verdict) -> Answer:
        if code in ("busy", "unknown"):
            said = "busy" if code == "busy" else "unknown-outcome"
            return Answer({"error": said, "message": f"{asked.name}: {said}"}, 503)
        return Answer({"error": "too-many", "message": code}, 429, {"Retry-After": f"{verdict.retry_after:.3f}"})

    def _answer(self, asked: Asked) -> object:
        if asked.path == "/time":
            return {"now": self.now()}
        if asked.path == "/instruments":
            keys = ("symbol", "base", "quote", "tick_size", "lot_size", "min_notional")
            return [{key: str(getattr(one, key)) for key in keys} for one in self.exchange.instruments.values()]
        account = self._who(asked)
        if asked.name == "order.place":
            return {"id": str(self.exchange.place(account, self._order(json.loads(asked.text))).venue_order_id)}
        if asked.path == "/orders":
            return [_order(one) for one in account.open.values()]
        if asked.path.startswith("/orders/"):
            found = account.find(asked.path.removeprefix("/orders/"))
            if found is None:
                raise _SaidError("not-found", "no such order", 404)
            if asked.name == "order.cancel":
                self.exchange.cancel(account, found)
            return _order(found)
        if asked.path == "/fills":
            since = int(asked.parameters.get("since", "0"))
            return [_fill(one, account) for one in account.fills if one.at >= since]
        if asked.path == "/balances":
            return {
                asset: {"free": f"{account.free(asset):f}", "locked": f"{account.locked.get(asset, ZERO):f}"}
                for asset in account.totals
            }
        raise _SaidError("no-such-path", asked.path, 404)

    def _who(self, asked: Asked) -> Account:
        headers = asked.headers
        return self._identified(headers.get("X-Key"), headers.get("X-Time", ""), asked.text, headers, asked.entered)

    def _identified(self, key: str | None, stamp: str, text: str, headers: object, entered: int = 0) -> Account:
        account = self.exchange.accounts.get(key or "")
        if account is None:
            raise _SaidError("bad-key", "no such key", 401)
        wanted = hmac.new(account.secret.encode(), f"{stamp}:{text}".encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted, headers.get("X-Signature", "")):  # type: ignore[attr-defined]
            raise _SaidError("bad-signature", "the signature is another", 401)
        at, _, valid_ms = stamp.partition(":")
        if not -1000 * MILLISECOND < (entered or self.now()) - int(at) < int(valid_ms) * MILLISECOND:
            raise _SaidError("bad-time", "the request is too old, or from the future")
        return account

    @staticmethod
    def _order(said: dict[str, str]) -> Order:
        try:
            return Order(
                said["symbol"],
                Side(said["side"]),
                OrderType(said["type"]),
                said["price"],
                said["quantity"],
                time_in_force=TimeInForce(said["time_in_force"]),
                post_only=bool(said["post_only"]),
                client_order_id=said["client_id"],
            )
        except (OrderValueError, KeyError, ValueError) as error:
            raise _SaidError("malformed", str(error)) from None

    def opened(self, socket: Socket) -> None:
        socket.data["wanted"] = set()
        if socket.path.startswith("/account"):
            headers = socket.headers
            try:
                who = self._identified(headers.get("X-Key"), headers.get("X-Time", ""), "", headers)
            except _SaidError as error:
                socket.say({"type": "error", **error.body})
                socket.close()
                return
            socket.data["account"] = who.key
            socket.say({"type": "ready"})

    async def talk(self, socket: Socket, text: str) -> None:
        said = json.loads(text)
        socket.data["wanted"].add((said["subscribe"], said["symbol"]))

    def _on_account(self, account: Account, event: AccountEvent | Transfer) -> None:
        if isinstance(event, Transfer):
            return  # this venue does not tell of payments
        placed, fill = event.order, event.fill
        said = {
            "type": "order",
            **{key: value for key, value in _order(placed).items() if key in ("id", "client_id", "symbol", "status")},
            "filled": f"{placed.filled:f}",
            "at": event.at,
            "reason": placed.reason,
            "fill": None if fill is None else _fill(fill, account),
        }
        for socket in list(self.sockets):
            if socket.data.get("account") == account.key:
                socket.send("stream:account", said)

    def _on_market(self, event: MarketEvent) -> None:
        if isinstance(event, Trade):
            channel, keys = "trades", ("symbol", "price", "quantity", "buyer_is_maker", "trade_id")
        elif isinstance(event, Quote):
            channel, keys = "quotes", ("symbol", "bid", "bid_quantity", "ask", "ask_quantity")
        else:
            return
        said = {"type": channel[:-1], **{key: getattr(event, key) for key in keys}}
        for socket in list(self.sockets):
            if (channel, event.symbol) in socket.data.get("wanted", ()):
                socket.send("stream:market", said)


def _order(placed: SimulatedOrder) -> dict[str, object]:
    order = placed.order
    return {
        "id": str(placed.venue_order_id),
        "client_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.order_type.value,
        "price": None if order.price is None else f"{order.price:f}",
        "quantity": f"{order.quantity:f}",
        "time_in_force": order.time_in_force.value,
        "status": placed.status.value,
        "filled": f"{placed.filled:f}",
        "created": placed.created,
    }


def _fill(fill: SimulatedFill, account: Account) -> dict[str, object]:
    return {
        "client_order_id": fill.client_order_id,
        "symbol": fill.symbol,
        "side": account.orders[fill.venue_order_id].order.side.value,
        "price": f"{fill.price:f}",
        "quantity": f"{fill.quantity:f}",
        "fee": f"{fill.fee:f}",
        "fee_asset": fill.fee_asset,
        "liquidity": fill.liquidity.value,
        "fill_id": str(fill.trade_id),
        "at": fill.at,
    }
