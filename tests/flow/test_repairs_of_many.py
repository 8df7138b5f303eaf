"""Many orders that ended while nobody told us are found by a list, not one by one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from axon_exchange_binance import BinanceAdapter
from axon_exchange_binance.simulator import BinanceSimulator
from axon_exchange_okx import OkxAdapter
from axon_exchange_okx.simulator import OkxSimulator
from axon_quant.exchange import ExchangeConfig, RateLimitConfig
from axon_quant.exchange.simulator import FaultPlan, FaultRule
from axon_quant.orders import Order, OrderStatus, Side

VENUES = {
    "binance": (BinanceAdapter, BinanceSimulator, "BTCUSDT", "allOrders"),
    "okx": (OkxAdapter, OkxSimulator, "BTC-USDT", "orders.history"),
}


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("count", [4, 40])
async def test_orders_that_ended_unseen_are_listed_when_they_are_many(venue: str, count: int) -> None:
    made, simulated, symbol, listing = VENUES[venue]
    deaf = FaultPlan([FaultRule("drop", "stream:account:*", probability=1.0)])
    deaf.paused = True
    simulator = simulated(faults=deaf)
    roots = await simulator.start()
    passphrase = "YOUR_PASSPHRASE" if venue == "okx" else None
    limits = RateLimitConfig(1_000, 10_000)
    adapter = made(
        ExchangeConfig("YOUR_API_KEY", "YOUR_API_SECRET", passphrase=passphrase, base_urls=roots, rate_limit=limits)
    )
    try:
        await adapter.connect()
        orders = [Order(symbol, Side.Buy, price=Decimal(45_000 + number), quantity="0.001") for number in range(count)]
        for order in orders:
            await adapter.place_order(order)
        deaf.paused = False
        account = simulator.exchange.accounts["YOUR_API_KEY"]
        for placed in list(account.open.values()):
            simulator.exchange.cancel(account, placed)
        before = dict(deaf.places)
        repaired = await adapter.repair()
        assert repaired.orders == count
        assert {adapter.orders.get(order.client_order_id).status for order in orders} == {OrderStatus.Cancelled}
        asked = {place: number - before.get(place, 0) for place, number in deaf.places.items()}
        assert asked.get("request:order.status", 0) == (count if count == 4 else 0)
        assert asked.get(f"request:{listing}", 0) == (0 if count == 4 else 1)
    finally:
        await adapter.close()
        await simulator.stop()
