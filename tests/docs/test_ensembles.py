"""docs/ensembles.md works as written, from its first block to its last, and lists what there is."""

from __future__ import annotations

import re
import tomllib

import attrs
import numpy as np
import pytest

from axon_quant import ModelConfig, OnnxBackend
from axon_quant.config.schema import EnsembleConfig
from axon_quant.ensemble import DynamicWeightedEnsemble
from axon_quant.events import MemberDrifted
from axon_quant.plugins import installed


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "ensembles.md").read_text()


@pytest.fixture(scope="module")
def blocks(page):
    return re.findall(r"```python\n(.*?)```", page, re.S)


def served(name):
    engine = OnnxBackend(ModelConfig(OnnxBackend.builtin(name), "onnx"))
    engine.load()
    return engine


class Rule:
    actions = ("buy", "sell", "hold")

    def predict(self, observation):
        return "hold"


@pytest.fixture(scope="module")
def names():
    """What the page names and does not make."""
    rng = np.random.default_rng(0)
    return {
        "flow": served("demo-64x128"),
        "reversion": served("demo-64x128-reversion"),
        "rule": Rule(),
        "observation": rng.standard_normal((1, 64, 128), np.float32),
        "observations": rng.standard_normal((600, 64, 128), np.float32),
        "labels": rng.integers(3, size=600),
    }


def test_every_block_works_in_the_order_of_the_page(blocks, names, capsys):
    names = dict(names)
    for block in blocks:
        if "river" not in block:
            exec(block, names)
    assert len(names["action"].members) == 3
    assert names["watched"].names
    assert names["stacked"].weights == pytest.approx(names["fit"].weights)
    assert capsys.readouterr().out.startswith("(")


def test_the_adapter_of_river_works(blocks, names):
    pytest.importorskip("river")
    (block,) = [block for block in blocks if "river" in block]
    given = dict(names)
    exec(blocks[0], given)
    exec(block, given)
    assert given["other"].predict(names["observation"]).members


def test_inputs_that_drift_are_reported_as_told(blocks, names):
    (block,) = [block for block in blocks if "FeatureCusum" in block]
    setup, check = block.split("if inputs", 1)
    events = []
    given = {"watched": DynamicWeightedEnsemble([names["rule"]], emit=events.append)}
    exec(setup, given)
    rng = np.random.default_rng(1)
    for number in range(600):
        given["observation"] = rng.standard_normal((1, 64, 128))
        given["observation"][..., 5] += 3.0 * (number > 550)
        exec(f"if inputs{check}", given)
    assert [(event.member, event.stream) for event in events if isinstance(event, MemberDrifted)] == [
        ("Rule", "inputs (5,)")
    ]


def test_the_table_has_every_strategy(page):
    table = page.partition("## Strategies")[2].partition("Options go to")[0]
    assert set(re.findall(r"^\| `([\w-]+)`", table, re.M)) == {
        each.name for each in installed().descriptors("ensemble")
    }


def test_the_keys_of_the_configuration_exist(page):
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.S)
    EnsembleConfig(**tomllib.loads(text)["ensemble"])
    for key in ("horizon_rows", "save_every_rounds", "resume"):
        assert f"`{key}" in page
        assert key in attrs.fields_dict(EnsembleConfig)


def test_the_figures_of_the_simulation_are_those_of_its_program(root, page):
    """Its settings, that is: the figures themselves take a minute to compute."""
    program = (root / "benchmarks" / "ensemble_simulation.py").read_text()
    assert 'add_argument("--seeds", type=int, default=40)' in program
    assert 'add_argument("--steps", type=int, default=3_000)' in program
    assert "five members, 40 seeds of 3,000\nsteps, window 64, 1 bp" in page
    assert "MEMBERS, WINDOW = 5, 64" in program
    assert "COST = 0.01, 0.3, 1e-4" in program
