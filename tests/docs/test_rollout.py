"""docs/rollout.md: its configuration runs, and its defaults are those of the code."""

from __future__ import annotations

import re
from decimal import Decimal
from types import SimpleNamespace

import attrs
import pytest

from axon_quant.config import parse_config
from axon_quant.config.rollout import GateEntry, RolloutEntry
from axon_quant.market.generated import GeneratedMarket
from axon_quant.metrics import names
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.rollout import Rollout
from axon_quant.runtime.wiring import build_instruments


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "rollout.md").read_text()


def test_the_configuration_is_valid_and_runs(page, root, tmp_path):
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.S)
    example = (root / "examples" / "btcusdt.toml").read_text()
    config = parse_config(example + block, root / "examples" / "btcusdt.toml")
    assert config.rollout.steps == (0.0, 0.05, 0.25, 1.0)
    assert config.rollout.max_notional == Decimal(1_000)
    config = attrs.evolve(config, journal=attrs.evolve(config.journal, path=tmp_path / "run.db"))
    market = GeneratedMarket(build_instruments(config)[0], seconds=10, price=60_000.0)
    assert Replay(config, market=market).run().rollout.state == "running"


def test_every_setting_is_told_and_every_default_is_the_real_one(page):
    for entry in (RolloutEntry, GateEntry):
        for field in attrs.fields(entry):
            if field.name not in ("trusted", "backend", "queue", "gate"):
                assert re.search(rf"\b{field.name}\b", page), field.name
    told = dict(re.findall(r"`(\w+)`\s\(?([\d.]+)", page))
    defaults = {field.name: field.default for field in attrs.fields(GateEntry)}
    checked = {name: float(text) for name, text in told.items() if name in defaults}
    assert len(checked) >= 12
    assert checked == {name: defaults[name] for name in checked}


def test_what_a_person_may_call_is_there(page):
    (block,) = re.findall(r"```python\n(.*?)```", page, re.S)
    calls = []
    recorder = SimpleNamespace(
        status="fine",
        **{name: lambda name=name: calls.append(name) for name in ("pause", "resume", "promote", "abort")},
    )
    exec(block, {"rollout": recorder})
    assert calls == ["pause", "promote", "abort"]
    assert all(callable(getattr(Rollout, name)) for name in (*calls, "resume"))
    assert names.ROLLOUT_STATE.name.startswith("trading_rollout_")
