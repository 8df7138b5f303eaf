"""docs/explain.md works as written, and its tables tell what there is."""

from __future__ import annotations

import re

import attrs
import numpy as np
import pytest

from axon_quant import ModelConfig, OnnxBackend
from axon_quant.explain import KernelSHAP


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "explain.md").read_text()


@pytest.fixture
def names():
    """What the page names and does not make."""
    engine = OnnxBackend(ModelConfig(OnnxBackend.builtin("demo-64x128"), "onnx"))
    engine.load()
    rng = np.random.default_rng(0)
    return {
        "np": np,
        "engine": engine,
        "windows": rng.standard_normal((4, 64, 128)).astype(np.float32),
        "weights": rng.standard_normal((5, 3)),
        "row": rng.standard_normal(5),
        "rows": rng.standard_normal((50, 5)),
    }


def test_every_block_works_in_the_order_of_the_page(page, names, capsys):
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        if "import shap" not in block:
            exec(block, names)
    assert len(capsys.readouterr().out.splitlines()) == 128
    assert names["explanation"].action == "sell"
    assert names["by_time"].feature_names[-1] == "t"
    assert names["by_kind"].feature_names == ("prices", "sizes", "flow")
    assert len(names["explanations"]) == 3
    assert names["relative"] == 0


def test_the_plots_of_shap_work_as_told(page, names):
    pytest.importorskip("shap", reason="shap is not installed: nox -s explain")
    pytest.importorskip("matplotlib").use("agg")
    (block,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "import shap" in block]
    names["explanation"] = KernelSHAP(lambda batch: batch.sum(axis=1)).explain(names["row"], 0, names["rows"])
    exec(block, names)


def test_the_table_has_every_field(page):
    from axon_explain import Explanation

    table = page.partition("## Fields of an explanation")[2]
    assert set(re.findall(r"`(\w+)`", table)) >= {field.name for field in attrs.fields(Explanation)}
