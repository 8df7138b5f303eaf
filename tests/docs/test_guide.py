"""The whole deployment guide in one go: its blocks, taken from its own text, by one user in one folder.

What the guide leaves to the reader (a model file, an observation, the market) is given; a block is changed only where
it names a GPU.
"""

from __future__ import annotations

import asyncio
import re
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from axon_exchange_binance.simulator import BinanceSimulator
from axon_quant import (
    Device,
    InferenceBackend,
    ModelConfig,
    ModelHotReloader,
    OnnxBackend,
    Order,
    OrderType,
    RiskEngine,
    RiskLimits,
    Side,
)
from axon_quant.cli import main
from axon_quant.clock import LiveClock
from axon_quant.exchange import RateLimitConfig, ReconnectConfig
from axon_quant.inference.accelerators import nvidia_gpus
from axon_quant.preflight import CHECKS
from axon_quant.preflight.rows import GUIDE
from axon_quant.risk import FixedAccount, LastPrices

GIVEN = {"InferenceBackend": InferenceBackend, "Device": Device, "Path": Path}
"""What the block of section 2.2 names and does not import."""
pytestmark = pytest.mark.filterwarnings("ignore:no background data")


def run(code: str, **given: object) -> dict[str, object]:
    names = dict(given)
    exec(code, names)
    return names


def put(model: Path, path: Path) -> None:
    """Replace a file at once, as a deployment should."""
    path.with_suffix(".new").write_bytes(model.read_bytes())
    path.with_suffix(".new").replace(path)


def blocks(guide: str, language: str = "python") -> dict[str, str]:
    """Section number → its block."""
    found = {}
    for part in re.split(r"^### ", guide, flags=re.MULTILINE)[1:]:
        number = part.split(" ", 1)[0]
        for block in re.findall(rf"^```{language}\n(.*?)^```", part, re.DOTALL | re.MULTILINE):
            assert number not in found
            found[number] = block
    return found


@pytest.mark.skipif(nvidia_gpus() > 0, reason="this machine has a GPU")
def test_all_seven_sections_run(guide, models, root, monkeypatch, capsys):
    code = blocks(guide)
    assert list(code) == ["1.3", "2.2", "3.1", "3.2", "3.3", "4.1", "4.2", "5.1", "5.2", "6.1"]

    # 1. Configurations, and the model that one of them names.
    configured = run(code["1.3"])
    assert configured["onnx_config"].backend is InferenceBackend.ONNX
    production = models / "production.onnx"
    put(OnnxBackend.builtin("demo-64x128"), production)

    # 2. The model is replaced while it serves.
    assert code["2.2"].count("Device.CUDA(0)") == 1
    setup = run(code["2.2"].replace("Device.CUDA(0)", "Device.CPU"), **GIVEN)["setup_hot_reload"]
    asyncio.run(replaced(setup, OnnxBackend.builtin("demo-64x128-reversion"), production))
    assert "Model updated to version 2\n" in capsys.readouterr().out

    # 3. What it decides is explained and written down.
    model = OnnxBackend(ModelConfig(production, "onnx"))
    model.load()
    windows = np.random.default_rng(0).standard_normal((6, 64, 128)).astype(np.float32)
    decided = model.predict(windows[0])
    given = {"model": model, "obs": windows[:1], "predicted_action": decided, "original_action": decided}
    run(code["3.1"], **given, background_samples=windows[1:])
    assert capsys.readouterr().out.startswith("Feature importance:\n")
    assert run(code["3.2"], **given)["counterfactuals"][0].action != decided.name
    assert "Counterfactual: " in capsys.readouterr().out
    run(code["3.3"], **given)
    assert decided.name in Path("decision_report.html").read_text()
    assert Path("decision_report.pdf").read_bytes().startswith(b"%PDF-")

    # 4. It decides together with others.
    members = {"ppo_model": model, "sac_model": lambda _: np.float32([1, 0, 0]), "rule_based_model": lambda _: "hold"}
    sharpes = {"ppo_sharpe": 0.8, "sac_sharpe": 0.4, "rule_sharpe": -0.1}
    voted = run(code["4.1"], **members, **sharpes, observation=windows[0])
    run(code["4.2"], ensemble=voted["ensemble"])
    assert "Active models: 3" in capsys.readouterr().out

    # 5. Its order reaches the venue.
    order = asyncio.run(traded(code["5.1"] + code["5.2"], monkeypatch))
    assert capsys.readouterr().out == f"Order placed: {order['venue_order_id']}\n"

    # 6. What happened is counted, and watched by the rules that are shipped.
    collector = run(code["6.1"].replace("port=9100", "port=0"))["collector"]
    assert 'trading_orders_total{side="buy",symbol="BTCUSDT"} 1' in collector.render()
    collector.close()
    assert CliRunner().invoke(main, ["alerts", "--out", "alerts"]).exit_code == 0
    assert yaml.safe_load(Path("alerts/trading.yml").read_text()) == yaml.safe_load(blocks(guide, "yaml")["6.2"])

    # 7. The checklist's command, on the configuration that is shipped; and every other line has a check of ours.
    checklist = guide[guide.index("## 7.") :]
    (command,) = re.findall(r"`axon (validate-config -c \S+)`", checklist)
    Path("production.toml").write_bytes((root / "examples" / "production" / "production.toml").read_bytes())
    monkeypatch.setenv("BINANCE_API_KEY", "YOUR_API_KEY")
    monkeypatch.setenv("BINANCE_API_SECRET", "YOUR_API_SECRET")
    checked = CliRunner().invoke(main, command.split())
    assert checked.exit_code == 0, checked.output
    lines = [line.partition(":")[0] for line in re.findall(r"^- \[ \] (.+)$", checklist, re.MULTILINE)]
    assert lines == list(GUIDE.values())
    assert {check.line for check in CHECKS} == set(GUIDE)


async def replaced(setup: Callable[[], Awaitable[ModelHotReloader]], model: Path, path: Path) -> None:
    reloader = await setup()
    put(model, path)
    try:
        async with asyncio.timeout(20):
            while reloader.version < 2:  # noqa: ASYNC110 - the block holds the channel that tells
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)  # the block's task prints
    finally:
        reloader.stop()


async def traded(code: str, monkeypatch) -> dict[str, str]:
    """The order, as the venue has it."""
    simulator = BinanceSimulator(prices={"BTCUSDT": 50_000.0})
    roots = await simulator.start()
    monkeypatch.setenv("AXON_BINANCE_REST_URL", roots["rest"])
    monkeypatch.setenv("AXON_BINANCE_WS_URL", roots["ws"])
    prices = LastPrices(LiveClock())
    prices.mark("BTCUSDT", 50_000.0)
    instrument = next(one for one in simulator.exchange.instruments.values() if one.symbol == "BTCUSDT")
    account = FixedAccount(10_000, {"USDT": 10_000})
    risk_engine = RiskEngine(RiskLimits(), [instrument], account=account, prices=prices, clock=LiveClock())
    names = {"RateLimitConfig": RateLimitConfig, "ReconnectConfig": ReconnectConfig, "Order": Order, "Side": Side}
    body = textwrap.indent(code, "    ")
    flow = run(f"async def flow():\n{body}    return adapter\n", **names, OrderType=OrderType, risk_engine=risk_engine)[
        "flow"
    ]
    adapter = await flow()
    await adapter.close()
    await simulator.stop()
    (order,) = simulator.truth()["accounts"]["main"]["orders"]
    return order
