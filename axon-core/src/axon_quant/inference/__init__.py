"""Inference: from an observation window to an action, with models that can be replaced while they serve."""

from typing import TYPE_CHECKING

from axon_quant.inference.config import Device, InferenceBackend, ModelConfig

if TYPE_CHECKING:
    from axon_quant.inference.action import TRADING_ACTIONS, Action
    from axon_quant.inference.backend import Backend, ModelVersion
    from axon_quant.inference.batch import BatchCheck, BatchResult
    from axon_quant.inference.batching import MicroBatcher
    from axon_quant.inference.collector import quiet_collector
    from axon_quant.inference.golden import GoldenVectors
    from axon_quant.inference.recommendation import Recommendation, recommend_backend
    from axon_quant.inference.reloader import ModelHotReloader
    from axon_quant.inference.scorer import Scorer, as_scorer
    from axon_quant.inference.session import Session
    from axon_quant.inference.store import ModelStore
    from axon_quant.inference.watch import Receiver
else:
    # A configuration is often built where no model runs: numpy and watchdog come with the first name that needs them.
    _HOMES = {
        "TRADING_ACTIONS": "action",
        "Action": "action",
        "Backend": "backend",
        "BatchCheck": "batch",
        "BatchResult": "batch",
        "GoldenVectors": "golden",
        "MicroBatcher": "batching",
        "ModelHotReloader": "reloader",
        "ModelStore": "store",
        "ModelVersion": "backend",
        "Receiver": "watch",
        "Recommendation": "recommendation",
        "Scorer": "scorer",
        "Session": "session",
        "as_scorer": "scorer",
        "quiet_collector": "collector",
        "recommend_backend": "recommendation",
    }

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


__all__ = [
    "TRADING_ACTIONS",
    "Action",
    "Backend",
    "BatchCheck",
    "BatchResult",
    "Device",
    "GoldenVectors",
    "InferenceBackend",
    "MicroBatcher",
    "ModelConfig",
    "ModelHotReloader",
    "ModelStore",
    "ModelVersion",
    "Receiver",
    "Recommendation",
    "Scorer",
    "Session",
    "as_scorer",
    "quiet_collector",
    "recommend_backend",
]
