from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from axon_quant import events
from axon_quant.events import ModelIdentity, Reject
from axon_quant.metrics import METRICS, LatencyWindow, MetricsCollector, names
from axon_quant.orders import Fill, Liquidity, Order, OrderStatus, OrderUpdate, Side

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def collector() -> Iterator[MetricsCollector]:
    with MetricsCollector(initial_equity=100_000.0) as made:
        yield made


@pytest.fixture
def samples() -> Callable[[str], Samples]:
    """Parse a scrape into its samples, by name and labels."""

    def parse(text: str) -> Samples:
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    return parse


@pytest.fixture
def value(samples: Callable[[str], Samples]) -> Callable[..., float | None]:
    """One sample of a collector's scrape, or None when it is absent."""

    def read(collector: MetricsCollector, name: str, **labels: str) -> float | None:
        return samples(collector.render()).get((name, frozenset(labels.items())))

    return read


MODEL = ModelIdentity("ppo", 1, "ab" * 32)
ORDER = Order("BTCUSDT", Side.Buy, price=Decimal(50_000), quantity=Decimal("0.25"), client_order_id="ax1")
FILL = Fill("ax1", "BTCUSDT", Side.Buy, Decimal(50_000), Decimal("0.1"), Decimal(0), "USDT", Liquidity.Maker, "f1", 9)

EVENTS: tuple[events.Event, ...] = (
    events.RunStarted(1, "replay", 7, "c0", "5c", (MODEL,)),
    events.BookGap(2, "BTCUSDT", 5, 9),
    events.BookWhole(3, "BTCUSDT", 9),
    events.WindowReset(3, "BTCUSDT", 10),
    events.FeatureRow(4, "BTCUSDT", 0, b""),
    events.Decision(5, "BTCUSDT", 1, 0, 63, "0b", "buy", 0.9, (1.0, 0.0, 0.0), (), (MODEL,)),
    events.ModelLoaded(6, ModelIdentity("ppo", 2, "cd" * 32)),
    events.ModelRefused(6, "ppo", "not finite"),
    events.MemberFailed(6, "sac", "raised", deactivated=True),
    events.MemberDrifted(6, "sac", "confidence", deactivated=False),
    events.WeightsChanged(6, ("ppo", "sac"), (0.75, 0.25)),
    events.OrderRefused(7, ORDER, (Reject("max_notional", "2", "1"), Reject("collar", "0.1", "0.05"))),
    events.OrderPlaced(8, ORDER, 1),
    events.OrderUpdated(9, OrderUpdate("ax1", OrderStatus.PartiallyFilled, 9, "BTCUSDT", fill=FILL)),
    events.OrderUpdated(9, OrderUpdate("ax2", OrderStatus.Rejected, 9, "BTCUSDT")),
    events.CancelRequested(10, "BTCUSDT", "ax1"),
    events.StreamChanged(10, "account", up=False, reason="lost"),
    events.StreamChanged(10, "account", up=True, reason=""),
    events.OperatorActed(10, "halt", "drill", "user 0"),
    events.RiskStateChanged(11, "HALTED", "drawdown"),
    events.RolloutChanged(11, "ppo", MODEL, "running", 1, 0.25, ("BTCUSDT",), "started"),
    events.RolloutJudged(11, "ppo", 1, "fail", ("errors",), 9, 7, 1, 1, 7, 2, 0.1, 0.1, 0.0, 0.0, 0.0, 0.0),
    events.RunEnded(12, "completed"),
)

WATCHED = (
    *(names.MARKET_AGE, names.MEMBER_ACTIVE, names.OPEN_ORDERS, names.UNRESOLVED_ORDERS, names.STREAM_QUEUE),
    *(names.REQUESTS_IN_FLIGHT, names.RATE_BUDGET, names.RATE_PENALTY, names.FEES, names.DAY_PNL),
    *(names.JOURNAL_FAILED, names.LOOP_LAG),
)
"""What only a run has to tell."""


@pytest.fixture
def busy(collector: MetricsCollector) -> MetricsCollector:
    """A collector with everything recorded at least once."""
    for event in EVENTS:
        collector.on_event(event)
    collector.record_message("BTCUSDT")
    collector.record_malformed("BTCUSDT")
    collector.record_latency("place_order", 2.0)
    collector.record_pnl(float("nan"), "BTCUSDT")
    collector.record_pnl(1.0, "BTCUSDT")
    collector.set_position("BTCUSDT", Decimal("0.1"), Decimal(5000))
    collector.set_cash(95_000)
    collector.set_journal(0.004, 3)
    collector.set_gauge(names.ROLLOUT_QUEUE, 4, "ppo")
    collector.record_slippage("BTCUSDT", Side.Buy, 50_010.0, 0.1, 50_000.0)
    collector.watch_latency("infer", LatencyWindow())
    for metric in WATCHED:
        collector.watch(metric, lambda metric=metric: {"one": 1.0} if metric.labels else 1.0)
    collector.watch(next(m for m in METRICS if m.name == "trading_book_whole"), lambda: 1 / 0)
    collector.render()  # the failure of this scrape is counted in the next
    collector.watch(next(m for m in METRICS if m.name == "trading_book_whole"), lambda: {"BTCUSDT": 1.0})
    return collector
