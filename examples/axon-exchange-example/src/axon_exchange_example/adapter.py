"""The adapter: how the Example Exchange says what every venue says. The rest is the base's."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import aiohttp

from axon_exchange_example.plugin import CAPABILITIES
from axon_quant import errors
from axon_quant.exchange import Balance, Channel, ExchangeAdapter
from axon_quant.exchange.link import Link
from axon_quant.exchange.urls import roots
from axon_quant.market import Instrument, Quote, Trade
from axon_quant.orders import Fill, Liquidity, Order, OrderState, OrderStatus, OrderType, OrderUpdate, Side, TimeInForce

ROOTS = {"rest": "https://api.example.com", "ws": "wss://stream.example.com"}
ERRORS: dict[str, type[errors.ExchangeError]] = {
    "bad-key": errors.AuthError,
    "bad-signature": errors.AuthError,
    "bad-time": errors.ClockError,
    "duplicate": errors.DuplicateOrderError,
    "not-found": errors.NotFoundError,
    "busy": errors.UnavailableError,
    "unknown-outcome": errors.AmbiguousError,
}


class ExampleAdapter(ExchangeAdapter):
    """Spot on the Example Exchange."""

    name = "example"
    capabilities = CAPABILITIES

    async def _connect(self) -> None:
        self._roots = roots(self.name, self.config, ROOTS)
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self.validity + self.engine_timeout))
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def _close(self) -> None:
        if hasattr(self, "_http"):
            await self._http.close()

    async def _fetch_instruments(self) -> Iterable[Instrument]:
        return [Instrument(venue=self.name, **one) for one in await self._call("GET", "/instruments")]

    async def _fetch_time(self) -> int:
        return int((await self._call("GET", "/time"))["now"])

    async def _send_order(self, order: Order) -> str:
        body = {
            "client_id": order.client_order_id,
            "symbol": order.symbol,
            "side": order.side.value,
            "type": order.order_type.value,
            "price": None if order.price is None else f"{order.price:f}",
            "quantity": f"{order.quantity:f}",
            "time_in_force": order.time_in_force.value,
            "post_only": order.post_only,
        }
        return str((await self._call("POST", "/orders", body, changes=True))["id"])

    async def _send_cancel(self, state: OrderState) -> None:
        await self._call("DELETE", f"/orders/{state.order.client_order_id}", changes=True)

    async def _fetch_order(self, state: OrderState) -> OrderState | None:
        try:
            return _state(await self._call("GET", f"/orders/{state.order.client_order_id}"))
        except errors.NotFoundError:
            return None

    async def _fetch_open_orders(self, symbol: str | None) -> list[OrderState]:
        found = [_state(one) for one in await self._call("GET", "/orders")]
        return [state for state in found if symbol in (None, state.order.symbol)]

    async def _fetch_fills(self, since: int) -> list[Fill]:
        return [_fill(one) for one in await self._call("GET", f"/fills?since={since}")]

    async def _fetch_balances(self) -> dict[str, Balance]:
        held = await self._call("GET", "/balances")
        return {asset: Balance(asset, Decimal(one["free"]), Decimal(one["locked"])) for asset, one in held.items()}

    async def _subscribe(self, channel: Channel, symbol: str) -> None:
        if self._socket is not None:
            await self._socket.send_json({"subscribe": channel.value, "symbol": symbol})

    async def _run_account(self, link: Link) -> None:
        async with self._http.ws_connect(f"{self._roots['ws']}/account", headers=self._signed("")) as socket:
            async for message in socket:
                link.heard()
                said = json.loads(message.data)
                if said["type"] == "ready":
                    link.up()
                elif said["type"] == "error":
                    raise self._error(said)
                elif said["type"] == "order":
                    fill = said["fill"] and _fill(said["fill"])
                    status, filled = OrderStatus(said["status"]), Decimal(said["filled"])
                    name, symbol, id_, reason = (said[key] for key in ("client_id", "symbol", "id", "reason"))
                    self._deliver(OrderUpdate(name, status, said["at"], symbol, id_, filled, fill, reason))

    async def _run_market(self, link: Link) -> None:
        async with self._http.ws_connect(f"{self._roots['ws']}/market") as self._socket:
            for channel, symbol in list(self.wanted):
                await self._subscribe(channel, symbol)
            link.up()
            async for message in self._socket:
                link.heard()
                said = json.loads(message.data)
                kind = {"trade": Trade, "quote": Quote}.get(said.pop("type"))
                if kind is not None:
                    self._publish(kind(received=self.clock.now(), **said))

    def _use_keys(self) -> None:
        """Nothing is kept of them."""

    def _signed(self, body: str) -> dict[str, str]:
        assert self.config is not None
        stamp = f"{self.venue_time()}:{round(self.validity * 1000)}"
        signature = hmac.new(self.config.api_secret.reveal().encode(), f"{stamp}:{body}".encode(), hashlib.sha256)
        return {"X-Key": self.config.api_key.reveal(), "X-Time": stamp, "X-Signature": signature.hexdigest()}

    async def _call(self, method: str, path: str, body: object = None, *, changes: bool = False) -> Any:
        """One request. `changes`: a lost answer leaves the outcome unknown."""
        text = "" if body is None else json.dumps(body)
        url = self._roots["rest"] + path
        try:
            async with self._http.request(method, url, data=text, headers=self._signed(text)) as answer:
                said = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            unknown = changes and not isinstance(error, aiohttp.ClientConnectorError)
            kind = errors.AmbiguousError if unknown else errors.UnavailableError
            raise kind(f"{method} {path}: {type(error).__name__}", venue=self.name) from None
        if answer.status >= 400:
            raise self._error(said, float(answer.headers.get("Retry-After", 0)))
        return said

    def _error(self, said: dict[str, str], retry_after: float = 0.0) -> errors.ExchangeError:
        more = {"venue": self.name, "code": said["error"], "text": said["message"]}
        if said["error"] == "too-many":
            return errors.RateLimitedError(said["message"], retry_after=retry_after, **more)
        return ERRORS.get(said["error"], errors.RejectedError)(said["message"], **more)


def _state(one: dict[str, Any]) -> OrderState:
    side, kind, time_in_force = Side(one["side"]), OrderType(one["type"]), TimeInForce(one["time_in_force"])
    names = {"time_in_force": time_in_force, "client_order_id": one["client_id"]}
    order = Order(one["symbol"], side, kind, one["price"], one["quantity"], **names)
    return OrderState(order, OrderStatus(one["status"]), one["id"], Decimal(one["filled"]), created_at=one["created"])


def _fill(one: dict[str, Any]) -> Fill:
    exact = {key: Decimal(one[key]) for key in ("price", "quantity", "fee")}
    return Fill(**{**one, **exact, "side": Side(one["side"]), "liquidity": Liquidity(one["liquidity"])})
