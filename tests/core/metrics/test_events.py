from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from axon_quant import events
from axon_quant.events import ModelIdentity, Reject
from axon_quant.metrics import MetricsCollector
from axon_quant.orders import Fill, Liquidity, Order, OrderStatus, OrderUpdate, Side

Value = Callable[..., float | None]


def test_a_placed_order_and_its_fill_are_counted_by_side_and_symbol(collector: MetricsCollector, value: Value) -> None:
    order = Order("ETHUSDT", Side.Sell, price=Decimal(3000), quantity=Decimal(2), client_order_id="a1")
    fill = Fill("a1", "ETHUSDT", Side.Sell, Decimal(3000), Decimal("0.5"), Decimal(0), "USDT", Liquidity.Taker, "f", 2)
    collector.on_event(events.OrderPlaced(1, order, 1))
    collector.on_event(events.OrderUpdated(2, OrderUpdate("a1", OrderStatus.Open, 2)))
    collector.on_event(events.OrderUpdated(2, OrderUpdate("a1", OrderStatus.PartiallyFilled, 2, fill=fill)))
    assert value(collector, "trading_orders_total", side="sell", symbol="ETHUSDT") == 1
    assert value(collector, "trading_order_quantity_total", side="sell", symbol="ETHUSDT") == 2
    assert value(collector, "trading_fills_total", side="sell", symbol="ETHUSDT") == 1
    assert value(collector, "trading_filled_quantity_total", side="sell", symbol="ETHUSDT") == 0.5
    assert value(collector, "trading_order_updates_total", status="open") == 1


def test_a_refused_order_counts_once_for_each_control_and_not_as_an_order(
    collector: MetricsCollector, value: Value
) -> None:
    order = Order("ETHUSDT", Side.Sell, price=Decimal(3000), quantity=Decimal(2), client_order_id="a1")
    collector.on_event(events.OrderRefused(1, order, (Reject("collar", "1", "2"), Reject("state", "HALTED", "ACTIVE"))))
    assert value(collector, "trading_rejects_total", control="collar") == 1
    assert value(collector, "trading_rejects_total", control="state") == 1
    assert value(collector, "trading_orders_total", side="sell", symbol="ETHUSDT") is None


def test_a_rejection_by_the_venue_is_a_reject_too(collector: MetricsCollector, value: Value) -> None:
    collector.on_event(events.OrderUpdated(2, OrderUpdate("a1", OrderStatus.Rejected, 2)))
    assert value(collector, "trading_rejects_total", control="venue") == 1


def test_a_new_model_version_replaces_the_old_one(collector: MetricsCollector, value: Value) -> None:
    collector.on_event(events.ModelLoaded(1, ModelIdentity("ppo", 1, "aa")))
    assert value(collector, "trading_model_info", model="ppo", version="1", sha256="aa") == 1
    collector.on_event(events.ModelLoaded(2, ModelIdentity("ppo", 2, "bb")))
    collector.on_event(events.ModelRefused(3, "ppo", "shape"))
    assert value(collector, "trading_model_info", model="ppo", version="1", sha256="aa") is None
    assert value(collector, "trading_model_info", model="ppo", version="2", sha256="bb") == 1
    assert value(collector, "trading_model_reloads_total", model="ppo", outcome="loaded") == 2
    assert value(collector, "trading_model_reloads_total", model="ppo", outcome="refused") == 1


def test_exactly_one_risk_state_is_1(collector: MetricsCollector, value: Value) -> None:
    collector.on_event(events.RunStarted(0, "live", 0, "c", "s", ()))
    assert value(collector, "trading_risk_state", state="ACTIVE") == 1
    collector.on_event(events.RiskStateChanged(1, "HALTED", "drawdown"))
    states = {state: value(collector, "trading_risk_state", state=state) for state in ("ACTIVE", "REDUCING", "HALTED")}
    assert states == {"ACTIVE": 0, "REDUCING": 0, "HALTED": 1}


def test_a_halt_known_before_the_run_starts_is_not_overwritten(collector: MetricsCollector, value: Value) -> None:
    collector.set_risk_state("HALTED")
    collector.on_event(events.RunStarted(0, "live", 0, "c", "s", ()))
    assert value(collector, "trading_risk_state", state="HALTED") == 1


def test_a_gap_makes_the_book_partial_until_it_is_whole(collector: MetricsCollector, value: Value) -> None:
    collector.on_event(events.BookGap(1, "BTCUSDT", 4, 6))
    assert value(collector, "trading_book_whole", symbol="BTCUSDT") == 0
    assert value(collector, "trading_book_gaps_total", symbol="BTCUSDT") == 1
    collector.on_event(events.BookWhole(2, "BTCUSDT", 7))
    assert value(collector, "trading_book_whole", symbol="BTCUSDT") == 1


def test_an_event_without_a_metric_changes_nothing(collector: MetricsCollector) -> None:
    before = collector.render()
    collector.on_event(events.RunEnded(1, "completed"))
    assert collector.render() == before


def test_a_member_that_left_the_ensemble_has_no_weight(collector: MetricsCollector, value: Value) -> None:
    collector.on_event(events.WeightsChanged(1, ("ppo", "sac"), (0.75, 0.25)))
    assert value(collector, "trading_ensemble_weight", member="sac") == 0.25
    collector.on_event(events.WeightsChanged(2, ("ppo",), (1.0,)))
    assert value(collector, "trading_ensemble_weight", member="ppo") == 1.0
    assert value(collector, "trading_ensemble_weight", member="sac") is None


def test_a_rollout_is_in_exactly_one_state_and_its_windows_are_counted(
    collector: MetricsCollector, value: Value
) -> None:
    candidate = ModelIdentity("ppo:candidate", 1, "bb")
    collector.on_event(events.RolloutChanged(1, "ppo", candidate, "running", 1, 0.25, ("BTCUSDT",), "started"))
    collector.on_event(events.RolloutChanged(1, "sac", candidate, "running", 1, 0.0, (), "started"))
    figures = (0.1, 0.1, 0.0, 0.0, 0.0, 0.0)
    collector.on_event(events.RolloutJudged(2, "ppo", 1, "pass", (), 10, 8, 0, 2, 8, 2, *figures))
    collector.on_event(events.RolloutJudged(3, "ppo", 2, "fail", ("errors",), 10, 0, 10, 0, 0, 0, *figures))
    collector.on_event(events.RolloutChanged(4, "ppo", candidate, "rolled-back", 1, 0.0, (), "errors"))
    states = {
        state: value(collector, "trading_rollout_state", model="ppo", state=state)
        for state in ("running", "paused", "probation", "promoted", "rolled-back")
    }
    assert states == {"running": 0, "paused": 0, "probation": 0, "promoted": 0, "rolled-back": 1}
    assert value(collector, "trading_rollout_state", model="sac", state="running") == 1
    assert value(collector, "trading_rollout_share_ratio", model="ppo") == 0.0
    assert value(collector, "trading_rollout_windows_total", model="ppo", verdict="fail") == 1
    assert value(collector, "trading_rollout_errors_total", model="ppo") == 10
    assert value(collector, "trading_rollout_dropped_total", model="ppo") == 2
    assert value(collector, "trading_rollout_disagreement_ratio", model="ppo") == 0.25


def test_a_stream_that_comes_back_is_a_reconnect_and_one_that_comes_up_is_not(
    collector: MetricsCollector, value: Value
) -> None:
    collector.on_event(events.StreamChanged(1, "market", up=True, reason=""))
    assert value(collector, "trading_stream_up", stream="market") == 1
    assert value(collector, "trading_stream_reconnects_total", stream="market") == 0
    collector.on_event(events.StreamChanged(2, "market", up=False, reason="silence"))
    assert value(collector, "trading_stream_up", stream="market") == 0
    for _ in range(2):
        collector.on_event(events.StreamChanged(3, "market", up=True, reason=""))
    assert value(collector, "trading_stream_reconnects_total", stream="market") == 1


def test_counters_that_are_alerted_on_begin_at_zero(collector: MetricsCollector, value: Value) -> None:
    collector.on_event(events.RunStarted(0, "live", 0, "c", "s", (ModelIdentity("ppo", 1, "aa"),)))
    assert value(collector, "trading_model_reloads_total", model="ppo", outcome="refused") == 0
    assert value(collector, "trading_rejects_total", control="venue") == 0
