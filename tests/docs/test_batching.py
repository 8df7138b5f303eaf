"""The examples of docs/batching.md work as written."""

from __future__ import annotations

import asyncio
import re
from textwrap import indent

import numpy as np
import pytest

from axon_quant import ModelConfig, OnnxBackend
from axon_quant.inference import Action


@pytest.fixture(scope="module")
def examples(root):
    return re.findall(r"```python\n(.*?)```", (root / "docs" / "batching.md").read_text(), re.S)


@pytest.fixture(scope="module")
def engine():
    engine = OnnxBackend(ModelConfig(OnnxBackend.builtin("demo-64x128"), "onnx"))
    engine.load()
    return engine


def test_infer_batch_works_as_told(examples, engine):
    windows = list(np.random.default_rng(0).standard_normal((5, 64, 128), np.float32))
    names = {"engine": engine, "windows": windows}
    exec(examples[0], names)
    np.testing.assert_array_equal(names["result"].scores(), engine.infer(np.stack(windows)))


def test_the_micro_batcher_works_as_told(examples, engine):
    window = np.random.default_rng(0).standard_normal((64, 128), np.float32)
    names = {"engine": engine, "window": window}
    exec(f"async def scenario():\n{indent(examples[1], '    ')}    return action", names)
    action = asyncio.run(names["scenario"]())
    assert isinstance(action, Action)
    assert action.name == engine.predict(window).name
