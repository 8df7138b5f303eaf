"""The built-in models as checkpoints that name their own module: the ONNX backend's models, weight by weight."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import torch

from axon_backend_torch import modules
from axon_quant.inference.action import TRADING_ACTIONS
from axon_quant.inference.demo import cached_model, demo_weights


def build_demo(name: str, feature_names: Sequence[str] | None = None) -> bytes:
    """The file of a built-in model. Raises ConfigError as `demo_weights` does."""
    weights = demo_weights(name, feature_names)
    rows, features = weights.demo.rows, weights.demo.features
    tensors = {
        "averages.weight": torch.tensor(weights.averages, dtype=torch.float32),
        "signals.weight": torch.tensor(weights.signals, dtype=torch.float32),
        "scores.weight": torch.tensor(weights.gains, dtype=torch.float32).reshape(-1, 3).T.contiguous(),
        "scores.bias": torch.tensor(weights.thresholds, dtype=torch.float32),
    }
    says = {
        "factory": f"{modules.__name__}:{modules.demo.__name__}",
        "arguments": {"rows": rows, "features": features},
        "input_shape": [None, rows, features],
        "actions": list(TRADING_ACTIONS),
    }
    file = io.BytesIO()
    torch.save({"state_dict": tensors, "axon": says}, file)
    return file.getvalue()


def builtin_model(name: str, feature_names: Sequence[str] | None = None) -> Path:
    """The path of a built-in model in the cache. Raises what `build_demo` and `cached_model` raise."""
    return cached_model(name, ".pt", build_demo(name, feature_names))
