"""The networks that the benchmarks of ONNX models share. Printing nothing, it is a module, not a benchmark."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from axon_backend_onnx import protobuf

MODELS = {"SMALL": ((4, 1), (4, 64, 64, 3)), "W-MLP": ((64, 128), (8192, 256, 128, 3))}
"""Name → window, and the widths of the layers."""


def mlp(window: tuple[int, ...], widths: tuple[int, ...]) -> bytes:
    """A flattened MLP with ReLU between its layers, and an open batch."""
    rng = np.random.default_rng(0)
    nodes = [protobuf.node("Flatten", ["x"], ["r0"], axis=1)]
    tensors: list[bytes] = []
    for n, (given, wanted) in enumerate(pairwise(widths)):
        weight = rng.standard_normal((wanted, given), np.float32) / np.float32(np.sqrt(given))
        bias = rng.standard_normal(wanted, np.float32)
        tensors += [
            protobuf.tensor(f"{kind}{n}", a.shape, a.ravel().tolist()) for kind, a in (("w", weight), ("b", bias))
        ]
        last = n == len(widths) - 2
        out = "scores" if last else f"h{n}"
        nodes.append(protobuf.node("Gemm", [f"r{n}", f"w{n}", f"b{n}"], [out], transB=1))
        if not last:
            nodes.append(protobuf.node("Relu", [out], [f"r{n + 1}"]))
    inputs, outputs = [protobuf.value("x", ["batch", *window])], [protobuf.value("scores", ["batch", widths[-1]])]
    return protobuf.model(protobuf.graph("mlp", nodes, initializers=tensors, inputs=inputs, outputs=outputs))
