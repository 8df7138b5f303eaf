"""docs/counterfactuals.md works as written."""

from __future__ import annotations

import re

import numpy as np
import pytest

from axon_explain import CounterfactualGenerator, counterfactuals
from axon_quant import ModelConfig, OnnxBackend
from axon_quant.observation.features import FEATURES


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "counterfactuals.md").read_text()


@pytest.fixture(scope="module")
def names():
    """What the page names and does not make."""
    engine = OnnxBackend(ModelConfig(OnnxBackend.builtin("demo-64x128"), "onnx"))
    engine.load()
    windows = np.random.default_rng(0).standard_normal((41, 64, 128), np.float32)
    return {"engine": engine, "background": windows[1:], "observation": windows[0], "names": list(FEATURES)}


def test_every_block_works_in_the_order_of_the_page(page, names, capsys):
    names = dict(names)
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(blocks) == 3
    exec(blocks[0], names)
    assert len(names["counterfactuals"]) == 4
    assert capsys.readouterr().out.count(": change ") == 4
    exec(blocks[1], names)
    assert [cf.action for cf in names["counterfactuals"]] == ["buy"] * 2
    exec(blocks[2], names)
    assert capsys.readouterr().out == f"{names['counterfactuals'].evaluations}\n"


def test_an_empty_result_is_told_as_the_page_has_it(page, names, capsys):
    block = re.findall(r"```python\n(.*?)```", page, re.S)[2]
    given = {**names, "CounterfactualGenerator": CounterfactualGenerator}
    exec(block.replace("budget=2048", 'immutable=names, feature_names=names, groups="channel"'), given)
    assert not given["counterfactuals"]
    told = capsys.readouterr().out
    assert re.search(r"nothing that was tried turns (\w+) into anything but \1: ", told)
    assert "nothing that was tried turns hold into anything but hold: …" in page


def test_the_numbers_of_the_page_are_those_of_the_code(page):
    assert f"more than {counterfactuals.MANY_CELLS} cells" in page
    assert "budget=2048" in page
    assert CounterfactualGenerator.__init__.__kwdefaults__["budget"] == 2048
