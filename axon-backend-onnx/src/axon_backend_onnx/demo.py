"""The built-in models as ONNX files: the same bytes on every machine, by `axon_quant.inference.demo`'s recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from axon_backend_onnx import protobuf
from axon_quant.inference.action import TRADING_ACTIONS
from axon_quant.inference.demo import cached_model, demo_weights


def build_demo(name: str, feature_names: Sequence[str] | None = None) -> bytes:
    """The ONNX file of a built-in model: MatMul over time, Gemm to signals, Relu, Gemm to scores.

    Raises ConfigError as `demo_weights` does.
    """
    weights = demo_weights(name, feature_names)
    demo, averages, signals = weights.demo, weights.averages, weights.signals
    graph = protobuf.graph(
        demo.text,
        [
            protobuf.node("MatMul", ["averages", "observation"], ["averaged"]),
            protobuf.node("Flatten", ["averaged"], ["flat"], axis=1),
            protobuf.node("Gemm", ["flat", "signals", "no_bias"], ["signed"], transB=1),
            protobuf.node("Relu", ["signed"], ["strengths"]),
            protobuf.node("Gemm", ["strengths", "gains", "thresholds"], ["scores"]),
        ],
        initializers=[
            protobuf.tensor("averages", [2, demo.rows], [w for average in averages for w in average]),
            protobuf.tensor("signals", [len(signals), 2 * demo.features], [w for signal in signals for w in signal]),
            protobuf.tensor("no_bias", [len(signals)], [0.0] * len(signals)),
            protobuf.tensor("gains", [len(signals), 3], weights.gains),
            protobuf.tensor("thresholds", [3], weights.thresholds),
        ],
        inputs=[protobuf.value("observation", ["batch", demo.rows, demo.features])],
        outputs=[protobuf.value("scores", ["batch", 3])],
    )
    return protobuf.model(graph, metadata={"axon.actions": ",".join(TRADING_ACTIONS)})


def builtin_model(name: str, feature_names: Sequence[str] | None = None) -> Path:
    """The path of a built-in model in the cache. Raises what `build_demo` and `cached_model` raise."""
    return cached_model(name, ".onnx", build_demo(name, feature_names))
