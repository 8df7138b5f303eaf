"""The code of the deployment guide runs as written, given only the objects it names."""

from __future__ import annotations

import asyncio
import textwrap
from decimal import Decimal

import numpy as np

from axon_quant import Instrument, Order, OrderType, PaperAdapter, Quote, RiskEngine, RiskLimits, Side
from axon_quant.clock import SimClock
from axon_quant.risk import FixedAccount, LastPrices

CONFIGURATION = """
from axon_quant import InferenceBackend, Device, ModelConfig

# ONNX production configuration
onnx_config = ModelConfig(
    path="models/production.onnx",
    backend=InferenceBackend.ONNX,
    device=Device.CUDA(0),          # Use first GPU
    input_shape=[1, 64, 128],       # [batch, seq_len, features]
    output_dim=3,                   # Buy / Sell / Hold
    fp16=True,                      # Enable FP16 inference
    num_threads=4,                  # ONNX Runtime threads
)

# Candle zero-dependency configuration
candle_config = ModelConfig(
    path="models/production.safetensors",
    backend=InferenceBackend.CANDLE,
    device=Device.CPU,
    input_shape=[1, 4, 1],          # input_dim = 1*4*1 = 4
    output_dim=3,
    fp16=False,                     # Candle doesn't support FP16 yet
    num_threads=4,
)
"""

ENSEMBLE = """
from axon_quant.ensemble import DynamicWeightedEnsemble

# Create ensemble with multiple models
ensemble = DynamicWeightedEnsemble(
    models=[ppo_model, sac_model, rule_based_model],
    initial_weights=[0.4, 0.4, 0.2],
    performance_window=100,  # Last 100 trades for weight calculation
)

# Update weights based on performance
ensemble.update_weights(
    performances=[ppo_sharpe, sac_sharpe, rule_sharpe]
)

# Get weighted prediction
action = ensemble.predict(observation)

# Monitor ensemble performance
metrics = ensemble.get_metrics()

print(f"Ensemble Sharpe: {metrics['sharpe']:.2f}")
print(f"Model weights: {ensemble.weights}")
print(f"Active models: {metrics['active_count']}")
"""

ORDER_FLOW = """
# Place order with risk checks
order = Order(
    symbol="BTCUSDT",
    side=Side.Buy,
    order_type=OrderType.Limit,
    price=50000.0,
    quantity=0.001,
)

# Risk check before submission
if risk_engine.check_order(order):
    order_id = await adapter.place_order(order)
    print(f"Order placed: {order_id}")
else:
    print("Order rejected by risk engine")
"""


def run(code: str, **given: object) -> dict[str, object]:
    names = dict(given)
    exec(textwrap.dedent(code), names)
    return names


def test_a_model_is_configured_as_in_section_1_3():
    names = run(CONFIGURATION)
    assert str(names["onnx_config"].device) == "cuda:0"
    assert names["onnx_config"].input_shape == (1, 64, 128)
    assert names["candle_config"].backend == "safetensors"


def test_an_ensemble_is_built_and_watched_as_in_section_4(capsys):
    def policy(*scores):
        return lambda _: np.array(scores, dtype=np.float32)

    names = run(
        ENSEMBLE,
        ppo_model=policy(2.0, 0.1, 0.0),
        sac_model=policy(1.0, 0.5, 0.0),
        rule_based_model=policy(0.0, 0.0, 1.0),
        ppo_sharpe=0.8,
        sac_sharpe=0.4,
        rule_sharpe=-0.1,
        observation=np.zeros((1, 4), dtype=np.float32),
    )
    assert names["action"].name == "buy"
    printed = capsys.readouterr().out
    assert "Active models: 3" in printed
    assert "nan" not in printed


def test_an_order_is_checked_and_placed_as_in_section_5_2(capsys):
    clock = SimClock(1_700_000_000_000_000_000)
    instrument = Instrument(
        venue="paper", symbol="BTCUSDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.00001"
    )
    prices = LastPrices(clock)
    prices.mark("BTCUSDT", 50_010.0)
    account = FixedAccount(10_000, {"USDT": 10_000})
    risk_engine = RiskEngine(RiskLimits(), [instrument], account=account, prices=prices, clock=clock)
    adapter = PaperAdapter(instruments=[instrument], balances={"USDT": Decimal(10_000)}, clock=clock)
    body = textwrap.indent(ORDER_FLOW, "    ")

    async def trade() -> None:
        await adapter.connect()
        adapter.feed(Quote("BTCUSDT", clock.now(), 50_009.99, 1.0, 50_010.01, 1.0))
        names = run(
            f"async def flow():\n{body}",
            Order=Order,
            Side=Side,
            OrderType=OrderType,
            adapter=adapter,
            risk_engine=risk_engine,
        )
        await names["flow"]()
        assert len(await adapter.open_orders()) == 1
        await adapter.close()

    asyncio.run(trade())
    assert "Order placed: " in capsys.readouterr().out
