"""The built-in models as safetensors files: the ONNX backend's models, weight by weight.

transpose, linear, transpose   two averages over time        [batch, 2, F]
flatten, linear, relu          signals with both signs       [batch, 8]
linear                         buy, sell, hold               [batch, 3]
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from axon_backend_safetensors.reader import ARCHITECTURE
from axon_backend_safetensors.writer import pack
from axon_quant.inference.action import TRADING_ACTIONS
from axon_quant.inference.demo import cached_model, demo_weights


def build_demo(name: str, feature_names: Sequence[str] | None = None) -> bytes:
    """The file of a built-in model. Raises ConfigError as `demo_weights` does."""
    weights = demo_weights(name, feature_names)
    demo = weights.demo
    tensors = {
        "averages.weight": np.array(weights.averages, np.float32),
        "signals.weight": np.array(weights.signals, np.float32),
        "scores.weight": np.array(weights.gains, np.float32).reshape(-1, 3).T,
        "scores.bias": np.array(weights.thresholds, np.float32),
    }
    layers = [
        {"type": "transpose"},
        {"type": "linear", "name": "averages"},
        {"type": "transpose"},
        {"type": "flatten"},
        {"type": "linear", "name": "signals"},
        {"type": "relu"},
        {"type": "linear", "name": "scores"},
    ]
    architecture = {"input_shape": [1, demo.rows, demo.features], "layers": layers}
    return pack(tensors, {ARCHITECTURE: json.dumps(architecture), "axon.actions": ",".join(TRADING_ACTIONS)})


def builtin_model(name: str, feature_names: Sequence[str] | None = None) -> Path:
    """The path of a built-in model in the cache. Raises what `build_demo` and `cached_model` raise."""
    return cached_model(name, ".safetensors", build_demo(name, feature_names))
