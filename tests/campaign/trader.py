"""The trader on our adapter."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from contextlib import suppress
from time import monotonic
from types import MappingProxyType

from desk import Intention, Trader, main, say

from axon_exchange_binance import BinanceAdapter, BinanceFuturesAdapter
from axon_exchange_okx import OkxAdapter
from axon_quant.clock import NANOSECONDS
from axon_quant.errors import ExchangeError, RateLimitedError
from axon_quant.exchange import (
    BalanceUpdate,
    Capability,
    Channel,
    ExchangeConfig,
    RateLimitConfig,
    ReconnectConfig,
    StreamState,
)
from axon_quant.exchange.budget import VenueLimit
from axon_quant.exchange.capabilities import needed_by
from axon_quant.exchange.primitives import MarginMode
from axon_quant.market import Quote
from axon_quant.orders import Order, OrderStatus, OrderType, OrderUpdate

SENT: dict[str, float] = {}
"""When each order left, by client order id."""
_STANDING = (OrderStatus.Open, OrderStatus.PartiallyFilled)
_RECENT = 10 * NANOSECONDS


class Binance(BinanceAdapter):
    """Notes when orders leave. The simulator's limits are raised, and so is the one assumed until they are read."""

    venue_limits = (VenueLimit("weight", 10**9, 60.0),)

    async def _send_order(self, order: Order) -> str:
        SENT[order.client_order_id] = monotonic()
        return await super()._send_order(order)

    async def _send_replace(self, state, order: Order) -> str:
        SENT[order.client_order_id] = monotonic()
        return await super()._send_replace(state, order)


class BinanceFutures(BinanceFuturesAdapter):
    """The same of futures."""

    venue_limits = (VenueLimit("weight", 10**9, 60.0),)

    async def _send_order(self, order: Order) -> str:
        SENT[order.client_order_id] = monotonic()
        return await super()._send_order(order)


class Okx(OkxAdapter):
    """The same, without the limits of OKX's endpoints, which a campaign would wait for."""

    venue_limits = ()
    endpoint_limits = MappingProxyType({})

    async def _send_order(self, order: Order) -> str:
        SENT[order.client_order_id] = monotonic()
        return await super()._send_order(order)


class Closures:
    """When the venue had us wait: what takes longer then is not the adapter's doing."""

    def __init__(self) -> None:
        self._spans: list[list[float]] = []

    async def watch(self, closed_for) -> None:
        """Look every few milliseconds."""
        while True:
            seconds, now = closed_for(), monotonic()
            if seconds > 0:
                if not self._spans or self._spans[-1][1] < now:
                    self._spans.append([now, now])
                self._spans[-1][1] = now + seconds
            await asyncio.sleep(0.02)

    def open_since(self, start: float) -> float:
        """`start`, later by as long as the venue was closed since."""
        return start + sum(max(0.0, min(until, monotonic()) - max(begin, start)) for begin, until in self._spans)


_ADAPTERS = {"binance": Binance, "binance-futures": BinanceFutures, "okx": Okx, "okx-swaps": Okx}


class OwnTrader(Trader):
    """Trades by the adapter alone, and writes down what it reports."""

    def __init__(self, given: argparse.Namespace) -> None:
        super().__init__(given)
        roots, at_okx = {"rest": given.rest, "ws": given.ws}, given.venue.startswith("okx")
        config = ExchangeConfig(
            "YOUR_API_KEY",
            "YOUR_API_SECRET",
            passphrase="YOUR_PASSPHRASE" if at_okx else None,
            testnet=at_okx,
            base_urls=roots,
            rate_limit=RateLimitConfig(5_000, 300_000, max_wait_ms=10_000),
            reconnect=ReconnectConfig(max_retries=1_000, initial_backoff_ms=100, max_backoff_ms=2_000),
        )
        self.adapter = _ADAPTERS[given.venue](config, order_log=_Counted(self))
        self.balances: dict[str, dict[str, str]] = {}
        self.closures = Closures()
        self._in_doubt: dict[str, float] = {}
        self._up_at = 0.0
        self._is_repaired = False
        self._last_event = monotonic()

    async def start(self) -> None:
        logger = logging.getLogger("axon_quant.exchange")
        logger.setLevel(logging.INFO)
        logger.addHandler(_Repairs(self))
        stream = self.adapter.events()
        last = max((state.ended or state.placed for state in self.past.values()), default=0)
        for order in self.past.values():
            lacks = order.status is OrderStatus.Filled and order.filled < order.order.quantity
            if not order.status.is_terminal or lacks or order.ended > last - _RECENT:
                self.adapter.track(order.state())
        self._tasks = [
            asyncio.create_task(self._read(stream)),
            asyncio.create_task(self.closures.watch(lambda: self.adapter.budget.closed_for)),
        ]
        while True:
            try:
                await self.adapter.connect()
            except ExchangeError as error:
                print(f"connect: {error}", file=sys.stderr)
                await asyncio.sleep(getattr(error, "retry_after", 0.0) or 0.2)
            else:
                break
        while self.swaps:
            try:
                await self.adapter.set_margin_mode(self.symbols[0], MarginMode.Isolated)
            except ExchangeError as error:
                print(f"margin mode: {error}", file=sys.stderr)
                await asyncio.sleep(getattr(error, "retry_after", 0.0) or 0.2)
            else:
                break
        for symbol in self.symbols:
            while True:
                try:
                    await self.adapter.subscribe(Channel.Quotes, symbol)
                except ExchangeError as error:
                    print(f"subscribe: {error}", file=sys.stderr)
                    await asyncio.sleep(getattr(error, "retry_after", 0.0) or 0.2)
                else:
                    break

    async def trade(self, intention: Intention) -> None:
        adapter, order = self.adapter, intention.order
        if not needed_by(order) <= adapter.capabilities:
            return
        try:
            await adapter.place_order(order)
        except RateLimitedError as error:
            await asyncio.sleep(max(error.retry_after, 0.05))
            return
        except ExchangeError:
            return
        await asyncio.sleep(intention.wait)
        state = adapter.orders.get(order.client_order_id)
        if state is None or state.status not in _STANDING or not intention.then:
            return
        with suppress(ExchangeError):
            if intention.then == "cancel":
                await adapter.cancel_order(order.client_order_id)
            elif Capability.ReplaceOrders in adapter.capabilities:
                await adapter.replace_order(order.client_order_id, self._moved(order))
            else:
                await adapter.amend_order(order.client_order_id, price=self._moved(order).price)

    def _moved(self, order: Order) -> Order:
        """The same order, a little further from the market."""
        assert order.price is not None
        away = order.price / 1000
        price = order.price - order.side.sign * away
        return Order(order.symbol, order.side, OrderType.Limit, round(price, 1), order.quantity)

    async def finish(self) -> dict[str, object]:
        deadline = monotonic() + 30
        while self.adapter.orders.open and monotonic() < deadline:
            for state in list(self.adapter.orders.open.values()):
                if state.status in _STANDING:
                    with suppress(ExchangeError):
                        await self.adapter.cancel_order(state.order.client_order_id)
            await asyncio.sleep(0.2)
        with suppress(ExchangeError):
            await self.adapter.repair()
        while monotonic() - self._last_event < 3.0 and monotonic() < deadline:  # noqa: ASYNC110 - quiet is no event
            await asyncio.sleep(0.1)
        positions = await self._positions()
        await self.adapter.close()
        for task in self._tasks:
            task.cancel()
        return {"balances": self.balances, "positions": positions}

    async def _positions(self) -> dict[str, str]:
        """What the adapter says that we hold of swaps, in base units."""
        if Capability.Positions not in self.adapter.capabilities:
            return {}
        while True:
            try:
                return {one.symbol: f"{one.quantity:f}" for one in await self.adapter.positions()}
            except ExchangeError as error:
                print(f"positions: {error}", file=sys.stderr)
                await asyncio.sleep(0.2)

    async def _read(self, stream) -> None:
        async for event in stream:
            if isinstance(event, Quote):
                self.mids[event.symbol] = event.mid
                continue
            self._last_event = monotonic()
            if isinstance(event, OrderUpdate):
                self.record.update(event)
                self._note_doubt(event)
            elif isinstance(event, BalanceUpdate):
                self.balances[event.asset] = {"free": f"{event.free:f}", "locked": f"{event.locked:f}"}
            elif isinstance(event, StreamState) and event.stream == "account" and event.up:
                self._up_at = monotonic()

    def _note_doubt(self, update: OrderUpdate) -> None:
        name = update.client_order_id
        if update.status is OrderStatus.Unknown:
            self._in_doubt[name] = SENT.get(name, 0.0)
        elif name in self._in_doubt:
            sent = self._in_doubt.pop(name)
            seconds = max(0.0, monotonic() - self.closures.open_since(sent or self._up_at or monotonic()))
            say(**{"doubt" if sent else "old_doubt": seconds}, outcome=update.status.value)
            print(f"doubt {name} {update.status.value} {seconds:.3f} s, {bool(sent)}", file=sys.stderr)

    def repaired(self) -> None:
        """The account is up to date again after a reconnect."""
        if self._up_at:
            seconds = max(0.0, monotonic() - self.closures.open_since(self._up_at))
            say(**{"reconnect" if self._is_repaired else "restart": seconds})
            print(f"reconnect took {seconds:.3f} s", file=sys.stderr)
            self._is_repaired = True


class _Counted:
    """The record as the adapter's order log."""

    def __init__(self, trader: Trader) -> None:
        self._trader = trader

    def record(self, order: Order):
        self._trader.placed += 1
        return self._trader.record.record(order)


class _Repairs(logging.Handler):
    """Hears of repairs that are done, and passes on what is worth a look."""

    def __init__(self, trader: OwnTrader) -> None:
        super().__init__()
        self._trader = trader

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if ": repaired: " in message:
            asyncio.get_running_loop().call_soon(self._trader.repaired)
        if record.levelno >= logging.INFO:
            print(f"{record.levelname} {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(OwnTrader)
