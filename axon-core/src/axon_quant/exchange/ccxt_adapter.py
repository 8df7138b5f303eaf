"""Any venue that ccxt knows, in a few lines: a name, ccxt's id, and the capabilities it is trusted with.

    class KrakenAdapter(CcxtAdapter):
        name = "kraken"
        exchange_id = "kraken"
        capabilities = frozenset({Capability.MarketOrders, Capability.FetchOrder, …})

What ccxt does that must not be done with orders is corrected here: nothing is sent twice, nothing waits in its
throttle, every order has our client order id, errors are ours and hold no signed URLs, and numbers stay exact.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

from axon_quant.clock import MILLISECOND, Clock
from axon_quant.errors import AmbiguousError, ConfigError, NotFoundError, RejectedError
from axon_quant.exchange import ccxt_streams
from axon_quant.exchange.budget import Request, Sleep
from axon_quant.exchange.capabilities import Channel
from axon_quant.exchange.ccxt_calls import CcxtCalls
from axon_quant.exchange.ccxt_records import fill_of, instrument_of, number, state_of, terms, update_of
from axon_quant.exchange.config import ExchangeConfig
from axon_quant.exchange.ledger import Balance
from axon_quant.exchange.link import Link
from axon_quant.exchange.order_log import OrderLog
from axon_quant.exchange.primitives import FundingRate, MarginMode, Position
from axon_quant.exchange.stream import BalanceUpdate
from axon_quant.market.instrument import Instrument
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Fill, Order, OrderStatus, OrderUpdate

_T = TypeVar("_T")
_TICK_SIZE, _SIGNIFICANT_DIGITS = 4, 3
_REMEMBERED = 100_000
_MARGIN_MS = 60_000
"""How far the venue's clock may be behind ours when orders are searched by time."""


class CcxtAdapter(CcxtCalls):
    """A venue through ccxt's unified calls; every primitive is written, so a subclass declares what it wants.

    `client_options` are ccxt's `options`; `error_codes` the venue's codes, or texts, that ccxt sorts wrongly;
    `request_timeout` is in seconds. `finds_by_client_id` says that ccxt's fetch_order and cancel_order take a client
    order id there; where they do not, open and closed orders are searched. `fills_by_symbol` says that its
    fetch_my_trades needs a symbol. A venue that wants client order ids of another shape overrides `_wire_id`; one with
    an account stream of its own sets `watches_account` to False, so that ccxt.pro, which is large, stays out.

    Raises PluginMissingError without ccxt when it is first used.
    """

    finds_by_client_id: ClassVar[bool] = False
    fills_by_symbol: ClassVar[bool] = False

    def __init__(
        self,
        config: ExchangeConfig | None,
        *,
        clock: Clock | None = None,
        sleep: Sleep | None = None,
        order_log: OrderLog | None = None,
    ) -> None:
        super().__init__(config, clock=clock, sleep=sleep, order_log=order_log)
        self._watches: ccxt_streams.Watches | None = None
        self._watched: set[tuple[Channel, str]] = set()
        self._own_ids: dict[str, str] = {}
        self._seen: dict[str, None] = {}

    # Connection.

    async def _connect(self) -> None:
        await self._close()
        await self._asked(None, lambda: self.client.load_markets())

    async def _fetch_instruments(self) -> Iterable[Instrument]:
        client = self.client
        if client.precisionMode == _SIGNIFICANT_DIGITS:
            raise ConfigError(f"{self.name}: ccxt knows its prices by significant digits, not by a grid")
        found = (
            instrument_of(self.name, market, client.precisionMode == _TICK_SIZE)
            for market in client.markets.values()
            if market.get("active") is not False
        )
        return [instrument for instrument in found if instrument is not None]

    async def _fetch_time(self) -> int:
        return int(await self._asked(None, lambda: self.client.fetch_time())) * MILLISECOND

    # Orders.

    async def _send_order(self, order: Order) -> str:
        self._note(order)
        given = await self._given(order)
        answer = await self._changing(order.symbol, lambda: self.client.create_order(*given))
        if not answer.get("id"):
            raise AmbiguousError("the answer names no order", venue=self.name, symbol=order.symbol)
        return str(answer["id"])

    async def _send_cancel(self, state: OrderState) -> None:
        symbol = state.order.symbol
        order_id, given = await self._naming(state)
        await self._changing(symbol, lambda: self.client.cancel_order(order_id, self._unified(symbol), given))

    async def _send_cancel_all(self, symbol: str | None) -> None:
        unified = None if symbol is None else self._unified(symbol)
        await self._changing(symbol, lambda: self.client.cancel_all_orders(unified))

    async def _send_amend(self, state: OrderState, price: Decimal | None, quantity: Decimal | None) -> None:
        order = state.order
        order_id, given = await self._naming(state)
        new_price = price if price is not None else order.price
        arguments = (
            order_id,
            self._unified(order.symbol),
            "limit" if order.order_type.has_price else "market",
            order.side.value,
            self._number(quantity if quantity is not None else order.quantity, "quantity", order.symbol),
            None if new_price is None else self._number(new_price, "price", order.symbol),
            given,
        )
        await self._changing(order.symbol, lambda: self.client.edit_order(*arguments))

    async def _send_replace(self, state: OrderState, order: Order) -> str:
        self._note(order)
        order_id, _ = await self._naming(state)
        given = await self._given(order)
        answer = await self._changing(order.symbol, lambda: self.client.edit_order(order_id, *given))
        return str(answer["id"])

    async def _send_cancel_after(self, seconds: float) -> None:
        await self._changing(None, lambda: self.client.cancel_all_orders_after(round(seconds * 1000)))

    async def _send_leverage(self, symbol: str, leverage: int) -> None:
        await self._changing(symbol, lambda: self.client.set_leverage(leverage, self._unified(symbol)))

    async def _send_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        await self._changing(symbol, lambda: self.client.set_margin_mode(mode.value, self._unified(symbol)))

    # Look-ups.

    async def _fetch_order(self, state: OrderState) -> OrderState | None:
        symbol = state.order.symbol
        unified = self._unified(symbol)
        wire_id = self._wire_id(state.order.client_order_id)
        try:
            if state.venue_order_id:
                order_id = state.venue_order_id
                found = await self._asked(symbol, lambda: self.client.fetch_order(order_id, unified))
            elif self.finds_by_client_id:
                given = {"clientOrderId": wire_id}
                found = await self._asked(symbol, lambda: self.client.fetch_order(None, unified, given))
            else:
                found = await self._searched(symbol, wire_id, state.created_at)
        except NotFoundError:
            return None
        return None if found is None else state_of(found, symbol, state.order.client_order_id)

    async def _fetch_open_orders(self, symbol: str | None) -> list[OrderState]:
        unified = None if symbol is None else self._unified(symbol)
        found = await self._asked(symbol, lambda: self.client.fetch_open_orders(unified))
        states = [state_of(order, self._native(order["symbol"]), self._own_id(order)) for order in found]
        return [state for state in states if state is not None]

    async def _fetch_fills(self, since: int) -> list[Fill]:
        fills: dict[str, Fill] = {}
        symbols: list[str | None] = [*self._seen] if self.fills_by_symbol else [None]
        requests = 0
        for symbol in symbols:
            unified = None if symbol is None else self._unified(symbol)
            start = since // MILLISECOND or None
            while True:
                if requests:  # the first is paid for by who asked
                    await self._spend(Request.Query, "_fetch_fills")
                requests += 1
                page = await self._trades(symbol, unified, start)
                fresh = [fill for fill in page if fill.fill_id not in fills]
                fills.update((fill.fill_id, fill) for fill in fresh)
                latest = max((fill.at for fill in fresh), default=0) // MILLISECOND
                if start is None or not fresh or latest < start:
                    break
                start = latest
        return [fill for fill in fills.values() if fill.at >= since]

    async def _trades(self, symbol: str | None, unified: str | None, start: int | None) -> list[Fill]:
        page = await self._asked(symbol, lambda: self.client.fetch_my_trades(unified, start))
        return [fill_of(trade, self._native(trade["symbol"])) for trade in page]

    async def _fetch_balances(self) -> dict[str, Balance]:
        found = await self._asked(None, lambda: self.client.fetch_balance())
        return {asset: _balance(asset, found[asset]) for asset in found.get("total", {})}

    async def _fetch_positions(self) -> list[Position]:
        found = await self._asked(None, lambda: self.client.fetch_positions())
        held = []
        for position in found:
            quantity = Decimal(str(position["contracts"] or 0)) * Decimal(str(position.get("contractSize") or 1))
            if quantity:
                signed = -quantity if position["side"] == "short" else quantity
                entry = Decimal(str(position.get("entryPrice") or 0))
                held.append(Position(self._native(position["symbol"]), signed, entry or None))
        return held

    async def _fetch_funding_rate(self, symbol: str) -> FundingRate:
        found = await self._asked(symbol, lambda: self.client.fetch_funding_rate(self._unified(symbol)))
        next_at = found.get("fundingTimestamp") or found.get("nextFundingTimestamp") or 0
        return FundingRate(symbol, Decimal(str(found["fundingRate"])), int(next_at) * MILLISECOND)

    # Streams.

    async def _run_account(self, link: Link) -> None:
        client = self.client
        reports: list[tuple[str, Callable[[], Awaitable[object]], Callable[[Any], None]]] = [
            ("watchOrders", lambda: client.watch_orders(), self._on_orders),
            ("watchMyTrades", lambda: client.watch_my_trades(), self._on_trades),
            ("watchBalance", lambda: client.watch_balance(), self._on_balance),
        ]
        watches = ccxt_streams.Watches(client, link)
        for name, watch, report in reports:
            if client.has.get(name):
                watches.add(watch, report)
        await self._asked(None, watches.run)

    async def _run_market(self, link: Link) -> None:
        if self._market_client is None:
            self._market_client = self._make_client(streams=True, exact=False)
        client = self._market_client
        await self._asked(None, lambda: client.load_markets())
        self._watches = ccxt_streams.Watches(client, link)
        self._watched.clear()
        try:
            for channel, symbol in self.wanted:
                self._watch(channel, symbol)
            await self._asked(None, self._watches.run)
        finally:
            self._watches = None

    async def _subscribe(self, channel: Channel, symbol: str) -> None:
        self._watch(channel, symbol)

    def _watch(self, channel: Channel, symbol: str) -> None:
        if self._watches is None or (channel, symbol) in self._watched:
            return
        self._watched.add((channel, symbol))
        unified, client = self._unified(symbol), self._market_client
        watch = ccxt_streams.MarketWatch(client, channel, symbol, unified, self.clock, self._publish)
        self._watches.add(*watch.pair())

    def _on_orders(self, found: list[Any]) -> None:
        for order in found:
            symbol = self._native(order["symbol"])
            self._seen.setdefault(symbol)
            self._deliver(update_of(order, symbol, self._own_id(order), self.clock.now()))

    def _on_trades(self, found: list[Any]) -> None:
        for trade in found:
            fill = fill_of(trade, self._native(trade["symbol"]))
            self._deliver(
                OrderUpdate(
                    fill.client_order_id,
                    OrderStatus.PartiallyFilled,
                    self.clock.now(),
                    fill.symbol,
                    fill.client_order_id,
                    fill=fill,
                )
            )

    def _on_balance(self, found: Any) -> None:
        now = self.clock.now()
        for asset in found.get("total", {}):
            balance = _balance(asset, found[asset])
            self._publish_balance(BalanceUpdate(asset, balance.free, balance.locked, now))

    # Names.

    def track(self, state: OrderState) -> None:
        self._note(state.order)
        super().track(state)

    def _wire_id(self, client_order_id: str) -> str:
        """The client order id as the venue gets it; the same each time."""
        return client_order_id

    def _note(self, order: Order) -> None:
        self._seen.setdefault(order.symbol)
        self._own_ids[self._wire_id(order.client_order_id)] = order.client_order_id
        if len(self._own_ids) > _REMEMBERED:
            del self._own_ids[next(iter(self._own_ids))]

    def _own_id(self, found: Mapping[str, Any]) -> str:
        """Our client order id of one of ccxt's orders; the venue's text, or its own id, for one that is not ours."""
        wire_id = str(found.get("clientOrderId") or "")
        if wire_id in self._own_ids:
            return self._own_ids[wire_id]
        info = found.get("info")  # ccxt does not always look where the venue puts it
        for value in info.values() if isinstance(info, dict) else ():
            if isinstance(value, str) and value in self._own_ids:
                return self._own_ids[value]
        return wire_id if wire_id.strip("0") else str(found["id"])

    def _unified(self, symbol: str) -> str:
        markets = self.client.markets_by_id.get(symbol)
        if not markets:
            raise RejectedError("the venue has no such symbol", venue=self.name, symbol=symbol)
        return str(markets[0]["symbol"])

    def _native(self, unified: str) -> str:
        market = self.client.markets.get(unified)
        return unified if market is None else str(market["id"])

    # Inside.

    def _number(self, value: Decimal, what: str, symbol: str) -> float:
        return number(value, what, self.name, symbol)

    async def _given(self, order: Order) -> tuple[object, ...]:
        """The arguments of ccxt's create_order."""
        symbol = order.symbol
        rising = None if order.stop_price is None else order.stop_price > await self._last_price(symbol)
        kind, given = terms(order, self._wire_id(order.client_order_id), rising=rising)
        return (
            self._unified(symbol),
            kind,
            order.side.value,
            self._number(order.quantity, "quantity", symbol),
            None if order.price is None else self._number(order.price, "price", symbol),
            given,
        )

    async def _naming(self, state: OrderState) -> tuple[str | None, dict[str, object]]:
        """The venue's id of an order, or parameters that name it otherwise. Raises NotFoundError."""
        if state.venue_order_id:
            return state.venue_order_id, {}
        if self.finds_by_client_id:
            return None, {"clientOrderId": self._wire_id(state.order.client_order_id)}
        await self._spend(Request.Query, "_fetch_order")
        found = await self._fetch_order(state)
        if found is None:
            raise NotFoundError("the venue has no such order", venue=self.name, symbol=state.order.symbol)
        return found.venue_order_id, {}

    async def _searched(self, symbol: str, wire_id: str, since: int) -> Any | None:
        """An order among the open ones, then among those that are over."""
        unified, start = self._unified(symbol), since // MILLISECOND - _MARGIN_MS if since else None
        for ask in (
            lambda: self.client.fetch_open_orders(unified),
            lambda: self.client.fetch_closed_orders(unified, start),
        ):
            for found in await self._asked(symbol, ask):
                if found.get("clientOrderId") == wire_id:
                    return found
        return None

    async def _last_price(self, symbol: str) -> Decimal:
        await self._spend(Request.Query, "_last_price")
        found = await self._asked(symbol, lambda: self.client.fetch_ticker(self._unified(symbol)))
        return Decimal(str(found["last"]))


def _balance(asset: str, entry: Mapping[str, Any]) -> Balance:
    total = Decimal(str(entry.get("total") or 0))
    used = entry.get("used")
    free = entry.get("free")
    if used is None:
        used = total - Decimal(str(free if free is not None else total))
    locked = Decimal(str(used))
    return Balance(asset, total - locked, locked)
