"""What a risk check, a strategy's decision and a mark cost. Prints one JSON object; times are microseconds per call.

    python benchmarks/risk.py [--rounds 20000]

Every call is timed alone; p50 and p99 include the timer, whose own cost is `timer`.
"""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from time import perf_counter_ns

from axon_quant.clock import SimClock
from axon_quant.inference.action import Action
from axon_quant.market import Instrument, Quote
from axon_quant.orders import Fill, Liquidity, Order, OrderState, OrderStatus, OrderUpdate, Side
from axon_quant.portfolio import Portfolio
from axon_quant.risk import LastPrices, RiskEngine, RiskLimits
from axon_quant.strategy import TargetPosition

BTC = Instrument(
    venue="paper", symbol="BTCUSDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.00001", min_notional="5"
)
START = 1_700_000_000 * 10**9


class Desk:
    """A portfolio and a risk engine on a simulated clock."""

    def __init__(self) -> None:
        self.clock = SimClock(START)
        self.portfolio = Portfolio({"USDT": 100_000}, [BTC])
        self.portfolio.mark("BTCUSDT", 50_000.0)
        self.prices = LastPrices(self.clock)
        self.engine = RiskEngine(
            RiskLimits(), [BTC], account=self.portfolio, prices=self.prices, clock=self.clock, allow_short=True
        )

    def step(self, price: float) -> None:
        """Two seconds later, with a new price."""
        self.clock.advance(self.clock.now() + 2 * 10**9)
        self.prices.mark("BTCUSDT", price)
        self.portfolio.mark("BTCUSDT", price)


class View:
    """The context of a strategy whose position is where it should be, over a real portfolio."""

    symbol = "BTCUSDT"

    def __init__(self, desk: Desk, orders: list[OrderState]) -> None:
        self._desk = desk
        self._orders = orders
        self._quote = Quote("BTCUSDT", START, 49_999.99, 1.0, 50_000.01, 1.0)

    @property
    def now(self) -> int:
        return self._desk.clock.now()

    @property
    def equity(self) -> Decimal:
        return self._desk.portfolio.equity

    def position(self, symbol: str) -> Decimal:
        return self._desk.portfolio.position(symbol)

    def quote(self, symbol: str) -> Quote | None:  # noqa: ARG002
        return self._quote

    def reference_price(self, symbol: str) -> float | None:  # noqa: ARG002
        return self._quote.mid

    def instrument(self, symbol: str) -> Instrument:  # noqa: ARG002
        return BTC

    def open_orders(self, symbol: str) -> list[OrderState]:
        return [state for state in self._orders if state.order.symbol == symbol]


def measure(calls: Iterable[Callable[[], object]]) -> dict[str, float]:
    """p50 and p99 of the calls, each made once and timed alone."""
    times = []
    for call in calls:
        start = perf_counter_ns()
        call()
        times.append(perf_counter_ns() - start)
    times.sort()
    return {"p50": times[len(times) // 2] / 1e3, "p99": times[len(times) * 99 // 100] / 1e3}


def checks(desk: Desk, rounds: int, *, accepted: bool) -> Iterable[Callable[[], object]]:
    """Risk checks of fresh orders, each cancelled after it was checked."""
    quantity = "0.01" if accepted else "10"
    for number in range(rounds):
        price = 50_000 + number % 97 / 100
        order = Order("BTCUSDT", Side.Buy, price=Decimal(repr(price)), quantity=Decimal(quantity))
        desk.step(price)
        yield partial(desk.engine.check_order, order)
        desk.engine.on_update(OrderUpdate(order.client_order_id, OrderStatus.Cancelled, desk.clock.now()))


def hold_target(desk: Desk) -> None:
    """Buy what the strategy wants to hold."""
    price, quantity = Decimal(50_000), Decimal("0.02")
    desk.portfolio.apply_fill(
        Fill("c", "BTCUSDT", Side.Buy, price, quantity, Decimal(0), "USDT", Liquidity.Maker, "1", START)
    )


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=20_000)
    rounds = arguments.parse_args().rounds
    desk, held = Desk(), Desk()
    hold_target(held)
    buy, hold = Action("buy", 0, 0.9, (0.9, 0.0, 0.1)), Action("hold", 2, 0.9, (0.0, 0.1, 0.9))
    strategy = TargetPosition()
    working = [
        OrderState(Order("BTCUSDT", Side.Buy, price=Decimal("49999.99"), quantity=Decimal("0.02")), created_at=START)
    ]
    at_target, waiting, missing = View(held, []), View(held, working), View(desk, [])
    gc.collect()
    gc.freeze()
    figures = {
        "timer": measure((lambda: None) for _ in range(rounds)),
        "check_order_accepted": measure(checks(desk, rounds, accepted=True)),
        "check_order_refused": measure(checks(desk, rounds, accepted=False)),
        "on_equity": measure(partial(desk.engine.on_equity, desk.portfolio.equity, START) for _ in range(rounds)),
        "strategy_at_target": measure((lambda: strategy.on_decision(at_target, buy)) for _ in range(rounds)),
        "strategy_order_working": measure((lambda: strategy.on_decision(waiting, buy)) for _ in range(rounds)),
        "strategy_hold": measure((lambda: strategy.on_decision(at_target, hold)) for _ in range(rounds)),
        "strategy_new_order": measure(
            (lambda: TargetPosition().on_decision(missing, buy)) for _ in range(rounds // 10)
        ),
        "portfolio_mark": measure((lambda: held.portfolio.mark("BTCUSDT", 50_000.5)) for _ in range(rounds)),
        "portfolio_equity": measure((lambda: held.portfolio.equity) for _ in range(rounds)),
    }
    print(json.dumps({"unit": "us", "rounds": rounds, **figures}, indent=2))


if __name__ == "__main__":
    main()
