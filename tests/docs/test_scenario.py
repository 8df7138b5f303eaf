"""The code of the deployment guide runs as written, given only the objects it names.

The blocks stand here, because the guide is not part of the repository; where it is at hand, they are compared with it.
"""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import textwrap
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest

from axon_backend_safetensors.blas import set_threads
from axon_quant import (
    CandleBackend,
    Device,
    InferenceBackend,
    Instrument,
    ModelConfig,
    OnnxBackend,
    Order,
    OrderType,
    PaperAdapter,
    Quote,
    RiskEngine,
    RiskLimits,
    SafetensorsBackend,
    Side,
)
from axon_quant.clock import LiveClock, SimClock
from axon_quant.ensemble import DynamicWeightedEnsemble
from axon_quant.errors import DeviceError, ModelLoadError
from axon_quant.exchange import RateLimitConfig, ReconnectConfig
from axon_quant.inference.accelerators import nvidia_gpus
from axon_quant.risk import FixedAccount, LastPrices

no_gpu = pytest.mark.skipif(nvidia_gpus() > 0, reason="this machine has a GPU")

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

HOT_UPDATE = '''
import asyncio
from axon_quant import ModelHotReloader, OnnxBackend, ModelConfig

async def setup_hot_reload():
    """
    Configure model hot update system.

    When the model file changes, automatically:
    1. Verify SHA256 checksum
    2. Acquire write lock
    3. Load new model
    4. Broadcast version change
    """
    config = ModelConfig(
        path="models/production.onnx",
        backend=InferenceBackend.ONNX,
        device=Device.CUDA(0),
    )

    engine = OnnxBackend(config)
    engine.load(Path(config.path))

    reloader = ModelHotReloader(engine, config)

    # Start file watcher
    reloader.spawn_watcher()

    # Subscribe to version changes
    version_rx = reloader.subscribe()

    async def watch_versions():
        while True:
            await version_rx.changed()
            version = version_rx.borrow()
            print(f"Model updated to version {version}")

    asyncio.create_task(watch_versions())

    return reloader
'''

ATTRIBUTION = """
from axon_quant.explain import KernelSHAP

explainer = KernelSHAP(model)

# Explain a single prediction
explanation = explainer.explain(
    observation=obs,
    action=predicted_action,
    background_data=background_samples,
)

# Visualize feature importance
print("Feature importance:")
for feature, importance in sorted(
    zip(explanation.feature_names, explanation.feature_importances),
    key=lambda x: abs(x[1]),
    reverse=True,
):
    print(f"  {feature}: {importance:.4f}")
"""

COUNTERFACTUALS = """
from axon_quant.explain import CounterfactualGenerator

generator = CounterfactualGenerator(model)

# Generate counterfactual: "What if the action was different?"
counterfactuals = generator.generate(
    observation=obs,
    original_action=original_action,
    n_samples=100,
)

# Analyze: "What would need to change for a different outcome?"
for cf in counterfactuals:
    print(f"Change {cf.feature_name} by {cf.delta:.4f}")
    print(f"  Original: {cf.original_value:.4f}")
    print(f"  Counterfactual: {cf.counterfactual_value:.4f}")
"""

REPORT = """
from axon_quant.explain import ReportGenerator

generator = ReportGenerator(model)

# Generate comprehensive decision report
report = generator.generate_report(
    observation=obs,
    action=predicted_action,
    include_shap=True,
    include_counterfactuals=True,
    include_feature_importance=True,
)

# Export as HTML/PDF
report.export_html("decision_report.html")
report.export_pdf("decision_report.pdf")
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

ADAPTER = """
from axon_quant.exchange import BinanceAdapter, ExchangeConfig

config = ExchangeConfig(
    api_key="YOUR_API_KEY",
    api_secret="YOUR_API_SECRET",
    testnet=False,  # Production
    rate_limit=RateLimitConfig(
        requests_per_second=10,
        orders_per_minute=60,
    ),
    reconnect=ReconnectConfig(
        max_retries=10,
        initial_backoff_ms=500,
    ),
)

adapter = BinanceAdapter(config)
await adapter.connect()
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

METRICS = """
from axon_quant.metrics import MetricsCollector

collector = MetricsCollector()

# Record trading metrics
collector.record_order(side="buy", symbol="BTCUSDT", quantity=0.001)
collector.record_latency(operation="place_order", duration_ms=45.2)
collector.record_pnl(pnl=150.0, symbol="BTCUSDT")

# Export to Prometheus
collector.export_prometheus(port=9100)
"""


def run(code: str, **given: object) -> dict[str, object]:
    names = dict(given)
    exec(textwrap.dedent(code), names)
    return names


@pytest.fixture(autouse=True)
def threads_of_linear_algebra() -> Iterator[None]:
    """A safetensors model sets numpy's for the whole process; more than there are cores are slow."""
    yield
    set_threads(1)


def put(model: Path, path: Path) -> None:
    """Replace a file at once, as a deployment should."""
    path.with_suffix(".new").write_bytes(model.read_bytes())
    path.with_suffix(".new").replace(path)


@pytest.mark.parametrize(
    "copy",
    [CONFIGURATION, HOT_UPDATE, ATTRIBUTION, COUNTERFACTUALS, REPORT, ENSEMBLE, ADAPTER, ORDER_FLOW, METRICS],
    ids=["1.3", "2.2", "3.1", "3.2", "3.3", "4", "5.1", "5.2", "6.1"],
)
def test_the_blocks_here_are_those_of_the_guide(guide, copy):
    def lines(text: str) -> str:
        return "\n".join(line.rstrip() for line in text.strip().splitlines())

    blocks = [lines(block) for block in re.findall(r"^```python\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)]
    assert any(
        lines(copy) == "\n\n".join(blocks[first:last])
        for first in range(len(blocks))
        for last in range(first + 1, len(blocks) + 1)
    )


def test_a_model_is_configured_as_in_section_1_3_without_touching_the_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run(CONFIGURATION)
    assert str(names["onnx_config"].device) == "cuda:0"
    assert names["onnx_config"].input_shape == (1, 64, 128)
    assert (names["onnx_config"].fp16, names["onnx_config"].num_threads) == (True, 4)
    assert names["candle_config"].backend == "safetensors"
    for backend, config in ((OnnxBackend, names["onnx_config"]), (CandleBackend, names["candle_config"])):
        with pytest.raises(ModelLoadError, match="No such file") as caught:
            backend(config).load()
        assert caught.value.file == str(config.path)


@no_gpu
def test_the_onnx_configuration_of_section_1_3_is_an_error_without_its_gpu(models):
    put(OnnxBackend.builtin("demo-64x128"), models / "production.onnx")
    with pytest.raises(DeviceError) as caught:
        OnnxBackend(run(CONFIGURATION)["onnx_config"]).load()
    assert caught.value.file == "models/production.onnx"
    assert caught.value.hint


def test_the_candle_configuration_of_section_1_3_serves(models):
    put(SafetensorsBackend.builtin("demo-4x1"), models / "production.safetensors")
    engine = CandleBackend(run(CONFIGURATION)["candle_config"])
    model = engine.load()
    assert (model.input_shape, model.output_dim, model.actions) == ((1, 4, 1), 3, ("buy", "sell", "hold"))
    assert engine.infer(np.zeros((1, 4, 1), np.float32)).shape == (1, 3)
    assert engine.predict(np.zeros((4, 1), np.float32)).name == "hold"


GIVEN = {"InferenceBackend": InferenceBackend, "Device": Device, "Path": Path}
"""What the block of section 2.2 names and does not import."""


@no_gpu
def test_a_gpu_that_is_not_there_is_told_where_section_2_2_asks_for_it(models):
    put(OnnxBackend.builtin("demo-64x128"), models / "production.onnx")
    with pytest.raises(DeviceError) as caught:
        asyncio.run(run(HOT_UPDATE, **GIVEN)["setup_hot_reload"]())
    error = caught.value
    assert error.file == "models/production.onnx"
    assert "cuda" in error.message.lower()  # expected
    assert "cpu" in error.message.lower()  # found
    assert error.hint


def test_a_model_is_replaced_as_in_section_2_2(models, capsys):
    """As written but for the device; the loop is live, and the file is really replaced."""
    put(OnnxBackend.builtin("demo-64x128"), models / "production.onnx")
    assert HOT_UPDATE.count("Device.CUDA(0)") == 1
    setup = run(HOT_UPDATE.replace("Device.CUDA(0)", "Device.CPU"), **GIVEN)["setup_hot_reload"]

    async def deploy() -> str:
        reloader = await setup()
        gc.collect()  # nobody but the channel holds the task that waits
        assert reloader.version == 1
        try:
            put(OnnxBackend.builtin("demo-64x128-reversion"), models / "production.onnx")
            printed = ""
            async with asyncio.timeout(20):
                while "\n" not in printed:
                    await asyncio.sleep(0.02)
                    printed += capsys.readouterr().out
            assert reloader.version == 2
        finally:
            reloader.stop()
        return printed

    assert asyncio.run(deploy()) == "Model updated to version 2\n"


@pytest.mark.parametrize("batch_axis", [False, True], ids=["window", "batch of one"])
@pytest.mark.parametrize("name", ["demo-64x128", "demo-4x1"])
def test_counterfactuals_are_found_as_in_section_3_2(name, batch_axis, capsys):
    engine = OnnxBackend(ModelConfig(OnnxBackend.builtin(name), "onnx"))
    model = engine.load()
    obs = np.random.default_rng(3).standard_normal(model.input_shape, np.float32)
    original_action = engine.predict(obs[0])
    with pytest.warns(UserWarning, match="no background data"):
        names = run(COUNTERFACTUALS, model=engine, obs=obs if batch_axis else obs[0], original_action=original_action)
    assert names["counterfactuals"]
    for cf in names["counterfactuals"]:
        assert engine.predict(cf.observation).name == cf.action != original_action.name
        assert cf.counterfactual_value == pytest.approx(cf.original_value + cf.delta)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 * len(names["counterfactuals"])
    assert re.fullmatch(r"Change f\d+(\[t(-\d+)?\])? by -?\d+\.\d{4}", lines[0])
    assert "0.0000" not in lines[0]


@pytest.mark.parametrize("kind", ["function", "index", "classifier"])
def test_the_model_of_section_3_2_may_be_anything_that_decides(kind, capsys):
    weights = np.random.default_rng(1).standard_normal((12, 3))

    class Classifier:
        def predict_proba(self, x):
            scores = np.exp(x @ weights)
            return scores / scores.sum(axis=1, keepdims=True)

    def function(x):
        return x @ weights

    obs = np.random.default_rng(2).standard_normal(12)
    chosen = int((obs @ weights).argmax())
    given = {"model": Classifier() if kind == "classifier" else function, "obs": obs}
    given["original_action"] = chosen if kind == "index" else ("buy", "sell", "hold")[chosen]
    with pytest.warns(UserWarning, match="no background data"):
        run(COUNTERFACTUALS, **given)
    assert capsys.readouterr().out.count("Change f") == 4


def test_a_production_window_is_attributed_as_in_section_3_1(capsys):
    engine = OnnxBackend(ModelConfig(OnnxBackend.builtin("demo-64x128"), "onnx"))
    engine.load()
    windows = np.random.default_rng(0).standard_normal((6, 64, 128)).astype(np.float32)
    for obs in (windows[0], windows[:1]):
        action = engine.predict(obs)
        names = run(ATTRIBUTION, model=engine, obs=obs, predicted_action=action, background_samples=windows[1:])
        printed = capsys.readouterr().out.splitlines()
        assert printed[0] == "Feature importance:"
        assert len(printed) == 1 + 128
        shown = [abs(float(line.rpartition(" ")[2])) for line in printed[1:]]
        assert shown == sorted(shown, reverse=True)
        explanation = names["explanation"]
        total = explanation.base_value + explanation.feature_importances.sum()
        assert total == pytest.approx(action.scores[action.index], abs=1e-5)


def test_a_function_is_attributed_as_in_section_3_1(capsys):
    weights = np.array([3.0, -2.0, 0.5])
    run(
        ATTRIBUTION,
        model=lambda batch: batch @ weights,
        obs=np.array([1.0, 1.0, 1.0]),
        predicted_action=0,
        background_samples=np.zeros((4, 3)),
    )
    printed = capsys.readouterr().out
    assert printed == "Feature importance:\n  f0: 3.0000\n  f1: -2.0000\n  f2: 0.5000\n"


@pytest.mark.parametrize("kind", ["window", "ensemble", "function"])
def test_a_decision_is_written_down_as_in_section_3_3(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    engines = [OnnxBackend(ModelConfig(OnnxBackend.builtin(f"demo-64x128{end}"), "onnx")) for end in ("", "-reversion")]
    for engine in engines:
        engine.load()
    obs = np.random.default_rng(3).standard_normal((1, 64, 128), np.float32)
    model = {"window": engines[0], "ensemble": DynamicWeightedEnsemble(engines), "function": lambda x: x[:, :3]}[kind]
    obs, predicted = (obs[0, 0, :3], "sell") if kind == "function" else (obs, model.predict(obs))
    with pytest.warns(UserWarning, match="no background data"):
        names = run(REPORT, model=model, obs=obs, predicted_action=predicted)
    page = (tmp_path / "decision_report.html").read_text()
    assert len(page) < 500_000
    assert (tmp_path / "decision_report.pdf").read_bytes().startswith(b"%PDF-")
    facts = names["report"].facts
    assert [found.sha256 for found in facts.models] == (
        [None] if kind == "function" else [engine.model.sha256 for engine in engines][: len(facts.models)]
    )
    assert len(facts.models) == (2 if kind == "ensemble" else 1)
    assert all(found.explained for found in facts.models)
    if kind != "function":
        assert all(found.sha256 in page for found in facts.models)
        assert (facts.decision.confidence, facts.decision.action) == (predicted.confidence, predicted.name)
        assert facts.heat_map is not None


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


def test_an_order_is_placed_at_binance_as_in_sections_5_1_and_5_2(capsys, monkeypatch):
    """Both sections as one program; the environment sends it to the simulator, as it may only do to loopback."""
    simulator = pytest.importorskip("axon_exchange_binance.simulator").BinanceSimulator(prices={"BTCUSDT": 50_000.0})
    body = textwrap.indent(ADAPTER + ORDER_FLOW, "    ") + "    return adapter\n"

    async def trade() -> None:
        roots = await simulator.start()
        monkeypatch.setenv("AXON_BINANCE_REST_URL", roots["rest"])
        monkeypatch.setenv("AXON_BINANCE_WS_URL", roots["ws"])
        instrument = next(one for one in simulator.exchange.instruments.values() if one.symbol == "BTCUSDT")
        prices = LastPrices(LiveClock())
        prices.mark("BTCUSDT", 50_000.0)
        account = FixedAccount(10_000, {"USDT": 10_000})
        given = {"RateLimitConfig": RateLimitConfig, "ReconnectConfig": ReconnectConfig}
        given |= {"Order": Order, "Side": Side, "OrderType": OrderType}
        given["risk_engine"] = RiskEngine(RiskLimits(), [instrument], account=account, prices=prices, clock=LiveClock())
        adapter = await run(f"async def flow():\n{body}", **given)["flow"]()
        await adapter.close()
        await simulator.stop()

    asyncio.run(trade())
    (order,) = simulator.truth()["accounts"]["main"]["orders"]
    assert capsys.readouterr().out == f"Order placed: {order['venue_order_id']}\n"
    assert (order["price"], order["quantity"], order["side"]) == ("50000.0", "0.001", "buy")


def test_metrics_are_recorded_and_served_as_in_section_6_1():
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 9100))
        except OSError:
            pytest.skip("port 9100 is taken on this machine")
    with run(METRICS)["collector"], urlopen("http://127.0.0.1:9100/metrics", timeout=5) as answer:
        text = answer.read().decode()
    assert 'trading_orders_total{side="buy",symbol="BTCUSDT"} 1.0' in text
    assert "trading_order_latency_seconds 0.0452" in text
    assert 'trading_pnl{symbol="BTCUSDT"} 150.0' in text
