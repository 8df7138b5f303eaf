"""A connected adapter, its simulator, and everything that was reported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

from scripted_okx import KEY, PASSPHRASE, SECRET

from axon_exchange_okx import OkxAdapter
from axon_exchange_okx.simulator import OkxSimulator
from axon_quant.exchange import Channel, EventStream, ExchangeConfig, RateLimitConfig, ReconnectConfig
from axon_quant.exchange.simulator import FaultPlan
from axon_quant.market import Quote
from axon_quant.orders import Order, OrderStatus

SYMBOL = "BTC-USDT"


class Desk:
    """A connected adapter, its simulator, and everything that was reported."""

    def __init__(self, simulator: OkxSimulator, adapter: OkxAdapter) -> None:
        self.simulator = simulator
        self.adapter = adapter
        self.events: list[object] = []
        self.mid = 50_000.0

    async def read(self, stream: EventStream) -> None:
        async for event in stream:
            self.events.append(event)
            if isinstance(event, Quote):
                self.mid = event.mid

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    def price(self, factor: float) -> Decimal:
        return Decimal(f"{self.mid * factor:.1f}")

    def status(self, order: Order) -> OrderStatus:
        return self.adapter.orders.get(order.client_order_id).status

    async def until(self, order: Order, *statuses: OrderStatus) -> None:
        await until(lambda: self.status(order) in statuses)


async def until(condition: Callable[[], object], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def desk(faults: FaultPlan | None = None, symbol: str = SYMBOL, **options: object) -> AsyncIterator[Desk]:
    simulator = OkxSimulator(faults=faults, **options)
    if faults is not None:
        faults.paused = True
    roots = await simulator.start()
    config = ExchangeConfig(
        KEY,
        SECRET,
        passphrase=PASSPHRASE,
        base_urls=roots,
        rate_limit=RateLimitConfig(1_000, 100_000, max_wait_ms=10_000),
        reconnect=ReconnectConfig(max_retries=1_000, initial_backoff_ms=20, max_backoff_ms=200),
    )
    adapter = OkxAdapter(config)
    reading = None
    try:
        await adapter.connect()
        here = Desk(simulator, adapter)
        reading = asyncio.create_task(here.read(adapter.events()))
        await adapter.subscribe(Channel.Quotes, symbol)
        await until(lambda: here.of(Quote))
        yield here
    finally:
        await adapter.close()
        if reading is not None:
            await reading
        await simulator.stop()
