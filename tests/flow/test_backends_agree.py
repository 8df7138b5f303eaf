"""The same weights give the same scores, whichever backend serves them."""

import importlib.util
import logging
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")  # with which torch writes ONNX
pytest.importorskip("axon_backend_onnx")
pytest.importorskip("axon_backend_safetensors")
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "agreement.py"


@pytest.fixture(scope="module")
def agreement():
    spec = importlib.util.spec_from_file_location("agreement", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    return module


@pytest.mark.parametrize("name", ["MLP", "GRU", "LSTM", "transformer", "conv"])
def test_three_backends_agree_alone_and_in_a_batch(name, agreement, tmp_path):
    row = agreement.compare(name, tmp_path, 8)
    assert row["largest_score"] > 0.1  # otherwise agreeing would be easy
    for pair in ("torch-onnx", "torch-safetensors", "onnx-safetensors"):
        assert row[pair] <= 1e-5, row
