"""Orders at Binance, on a simulated venue of its own: what happens when an answer is lost or a stream breaks.

    python examples/09_exchange/binance_demo.py

The venue speaks Binance's wire protocol on loopback (`axon simulate binance` starts one for other programs), so nothing
here needs a key, and nothing can be lost. With your own keys of the test network the same code trades there: leave out
`base_urls` and set `testnet=True`.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from axon_exchange_binance.simulator import BinanceSimulator
from axon_quant import Order, OrderType, RiskEngine, RiskLimits, Side
from axon_quant.errors import RejectedError
from axon_quant.exchange import (
    BinanceAdapter,
    Channel,
    EventStream,
    ExchangeConfig,
    RateLimitConfig,
    ReconnectConfig,
    StreamState,
)
from axon_quant.exchange.simulator import FaultPlan, FaultRule
from axon_quant.market import Quote
from axon_quant.orders import OrderUpdate
from axon_quant.risk import FixedAccount, LastPrices

SYMBOL = "BTCUSDT"


async def demo(venue: BinanceSimulator, seed: int) -> None:
    """Trade a little, and let things go wrong."""
    config = ExchangeConfig(
        api_key="YOUR_API_KEY",
        api_secret="YOUR_API_SECRET",
        base_urls=await venue.start(),
        rate_limit=RateLimitConfig(requests_per_second=50, orders_per_minute=300),
        reconnect=ReconnectConfig(max_retries=10, initial_backoff_ms=100),
    )
    adapter = BinanceAdapter(config)
    events = adapter.events()
    await adapter.connect()
    try:
        instrument = (await adapter.instruments())[SYMBOL]
        held = {asset: balance.total for asset, balance in (await adapter.balances()).items()}
        usdt, btc = (held[asset].normalize() for asset in ("USDT", "BTC"))
        print(f"connected: {len(await adapter.instruments())} symbols, {usdt:f} USDT, {btc:f} BTC")

        await adapter.subscribe(Channel.Quotes, SYMBOL)
        quote = await next_quote(events)
        prices = LastPrices(adapter.clock)
        prices.mark(SYMBOL, quote.mid)
        account = FixedAccount(held["USDT"], {"USDT": held["USDT"]})
        risk = RiskEngine(RiskLimits(), [instrument], account=account, prices=prices, clock=adapter.clock)

        print("\nA limit order, checked before it is sent:")
        order = Order(SYMBOL, Side.Buy, OrderType.Limit, instrument.round_price(quote.bid * 0.98), "0.01")
        print(f"  the risk engine {'accepts' if risk.check_order(order) else 'refuses'} it")
        print(f"  Binance's id: {await adapter.place_order(order)}")
        await adapter.cancel_order(order.client_order_id)
        await asyncio.sleep(0.1)
        print(f"  and it is {adapter.orders.get(order.client_order_id).status.value}")

        print("\nAn order off the grid is refused before anything is sent:")
        try:
            await adapter.place_order(Order(SYMBOL, Side.Buy, OrderType.Limit, "49000.005", "0.01"))
        except RejectedError as error:
            print(f"  {error}")

        print("\nThe answer to an order is lost after the venue has accepted it:")
        venue.faults = FaultPlan([FaultRule("lose-response", where="request:order.place", every=1, limit=1)], seed=seed)
        await place(adapter, Order(SYMBOL, Side.Buy, OrderType.Market, quantity="0.01"))

        print("\nThe request itself is lost, and never arrives:")
        venue.faults = FaultPlan([FaultRule("lose-request", where="request:order.place", every=1, limit=1)], seed=seed)
        await place(adapter, Order(SYMBOL, Side.Buy, OrderType.Market, quantity="0.01"))

        print("\nThe account's stream breaks just when an order fills:")
        venue.faults = FaultPlan([FaultRule("disconnect", where="stream:account*", every=1, limit=1)], seed=seed)
        events.take()
        order = Order(SYMBOL, Side.Buy, OrderType.Market, quantity="0.01")
        await adapter.place_order(order)
        await repaired(events, order)

        ledger = venue.truth()["accounts"]["main"]  # type: ignore[index]
        ours = sum(len(state.fill_ids) for state in map(adapter.orders.get, names_at(ledger)) if state is not None)
        orders, fills = len(ledger["orders"]), len(ledger["fills"])
        print(f"\nThe venue's ledger: {orders} orders, {fills} fills; we counted {ours} fills.")
    finally:
        await adapter.close()
        await venue.stop()


async def next_quote(events: EventStream) -> Quote:
    """The next best bid and ask."""
    async for event in events:
        if isinstance(event, Quote):
            return event
    raise RuntimeError("the stream ended")


async def place(adapter: BinanceAdapter, order: Order) -> None:
    """Place an order and say what became of it."""
    began = time.monotonic()
    try:
        found = f"found by its client order id: Binance's id {await adapter.place_order(order)}"
    except RejectedError as error:
        found = f"proven not to exist ({error.message})"
    print(f"  {found}, after {time.monotonic() - began:.1f} s; sent once")


async def repaired(events: EventStream, order: Order) -> None:
    """Watch the stream until it is up again and the order's fills are known."""
    is_up = is_over = False
    async with asyncio.timeout(10):
        async for event in events:
            if isinstance(event, StreamState):
                is_up = event.up
                print(f"  the {event.stream}'s stream is {'up' if event.up else 'down: ' + event.reason}")
            elif isinstance(event, OrderUpdate) and event.client_order_id == order.client_order_id:
                is_over = event.status.is_terminal
                print(
                    f"  the order is {event.status.value}, {event.filled_quantity.normalize():f} of {order.quantity:f}"
                )
            if is_up and is_over:
                return


def names_at(ledger: dict[str, list[dict[str, str]]]) -> list[str]:
    """The client order ids that the venue has."""
    return [order["client_order_id"] for order in ledger["orders"]]


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="of the market and of what goes wrong")
    seed = parser.parse_args().seed
    asyncio.run(demo(BinanceSimulator(seed=seed), seed))


if __name__ == "__main__":
    main()
