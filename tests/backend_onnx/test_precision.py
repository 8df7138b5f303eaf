"""Half precision is what really runs, or the request is refused; what runs instead is said."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

from axon_backend_onnx import protobuf
from axon_backend_onnx.protobuf import ElementType
from axon_quant.errors import DeviceError
from axon_quant.inference import GoldenVectors

HALF, SINGLE = ElementType.FLOAT16, ElementType.FLOAT


def difference(element=HALF):
    """(4096 + 1) - 4096, the sums stored in between: 1 in float32, 0 in float16, which has no 4097."""
    graph = protobuf.graph(
        "difference",
        [protobuf.node("MatMul", ["x", "sum"], ["sums"]), protobuf.node("MatMul", ["sums", "differ"], ["scores"])],
        initializers=[
            protobuf.tensor("sum", [2, 2], [4096.0, 4096.0, 1.0, 0.0], element),
            protobuf.tensor("differ", [2, 1], [1.0, -1.0], element),
        ],
        inputs=[protobuf.value("x", ["batch", 2], element)],
        outputs=[protobuf.value("scores", ["batch", 1], element)],
    )
    return protobuf.model(graph)


ONES = np.ones((1, 2), np.float32)


def computes_in_half():
    """What onnxruntime itself does here with float16, told from the answer alone."""
    session = ort.InferenceSession(difference(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": ONES.astype(np.float16)})[0].item() == 0.0


needs_none = pytest.mark.skipif(computes_in_half(), reason="onnxruntime computes in float16 on this processor")
needs_half = pytest.mark.skipif(not computes_in_half(), reason="onnxruntime computes in float32 on this processor")


@needs_none
def test_half_precision_that_would_be_computed_in_float32_is_refused(serve):
    with pytest.raises(DeviceError, match=r"expected float16.*found float32.*no float16 kernel for MatMul") as caught:
        serve(difference(), fp16=True)
    assert caught.value.file.endswith("model.onnx")
    assert "leave fp16 out" in caught.value.hint


@needs_none
def test_each_operator_that_is_widened_is_named(mlp, serve):
    with pytest.raises(DeviceError, match=r"no float16 kernel for MatMul, Relu \("):
        serve(mlp(0).onnx(element=HALF), fp16=True)


@needs_none
def test_a_float16_model_is_served_without_fp16_and_the_plan_says_float32(serve):
    engine = serve(difference())
    assert engine.infer(ONES).tolist() == [[1.0]]
    assert (engine.model.plan["precision"], engine.model.plan["weights"]) == ("float32", "float16")
    engine.load(plan=engine.model.plan)


@needs_none
def test_golden_vectors_allow_for_scores_that_are_rounded_to_float16(mlp, serve):
    half, single = serve(mlp(0).onnx(element=HALF)), serve(mlp(0).onnx())
    assert GoldenVectors.record(half.session).rtol > GoldenVectors.record(single.session).rtol


@needs_half
def test_half_precision_that_is_computed_so_is_served_when_asked_for_and_refused_else(serve):
    engine = serve(difference(), fp16=True)
    assert engine.infer(ONES).tolist() == [[0.0]]
    assert engine.model.plan["precision"] == "float16"
    with pytest.raises(DeviceError, match="set fp16=True"):
        serve(difference())


def larger(weight, *, nodes=(), inputs=SINGLE, read="w"):
    """Max(x, w): an operator that onnxruntime has a float16 kernel for on every processor."""
    element = SINGLE if nodes else inputs
    graph = protobuf.graph(
        "larger",
        [*nodes, protobuf.node("Max", ["x", read], ["scores"])],
        initializers=[weight],
        inputs=[protobuf.value("x", ["batch", 3], element)],
        outputs=[protobuf.value("scores", ["batch", 3], element)],
    )
    return protobuf.model(graph)


def test_an_operator_that_has_a_float16_kernel_runs_in_half_precision(serve):
    model = larger(protobuf.tensor("w", [1, 3], [1.0, 2.0, 3.0], HALF), inputs=HALF)
    engine = serve(model, fp16=True)
    assert engine.model.plan["precision"] == "float16"
    assert engine.infer(np.full((1, 3), 2.0004, np.float32)).tolist() == [[2.0, 2.0, 3.0]]
    with pytest.raises(DeviceError, match="expected float32, found a model in float16"):
        serve(model)


def test_a_model_in_float32_is_not_in_half_precision(mlp, serve):
    with pytest.raises(DeviceError, match=r"expected float16 \(fp16=True\), found a model in float32"):
        serve(mlp(0).onnx(), fp16=True)


def test_float16_weights_that_are_cast_to_float32_are_not_half_precision(serve):
    cast = [protobuf.node("Cast", ["w"], ["wide"], to=SINGLE)]
    model = larger(protobuf.tensor("w", [1, 3], [1.0, 2.0, 3.0], HALF), nodes=cast, read="wide")
    with pytest.raises(DeviceError, match="found weights that it casts to float32: w"):
        serve(model, fp16=True)
    assert serve(model).model.plan["precision"] == "float32"


def test_one_matrix_in_float32_is_not_half_precision(serve):
    graph = protobuf.graph(
        "both",
        [
            protobuf.node("Max", ["x", "w"], ["larger"]),
            protobuf.node("Cast", ["larger"], ["wide"], to=SINGLE),
            protobuf.node("MatMul", ["wide", "v"], ["scores"]),
        ],
        initializers=[
            protobuf.tensor("w", [1, 8], np.arange(8.0), HALF),
            protobuf.tensor("v", [8, 1], [1.0] * 8, SINGLE),
            protobuf.tensor("more", [8], [1.0] * 8, HALF),
        ],
        inputs=[protobuf.value("x", ["batch", 8], HALF)],
        outputs=[protobuf.value("scores", ["batch", 1], SINGLE)],
    )
    with pytest.raises(DeviceError, match="found weights in float32: v"):
        serve(protobuf.model(graph), fp16=True)
    plan = serve(protobuf.model(graph)).model.plan
    assert (plan["precision"], plan["weights"]) == ("mixed", "mixed")


def test_one_float16_constant_does_not_make_a_model_half_precision(serve):
    few, many = protobuf.tensor("few", [1], [1.0], HALF), protobuf.tensor("w", [3], [1.0, 2.0, 3.0])
    graph = protobuf.graph(
        "small",
        [protobuf.node("Mul", ["x", "w"], ["y"])],
        initializers=[many, few],
        inputs=[protobuf.value("x", ["batch", 3])],
        outputs=[protobuf.value("y", ["batch", 3])],
    )
    assert serve(protobuf.model(graph)).model.plan["precision"] == "float32"
    with pytest.raises(DeviceError, match="found a model in float32"):
        serve(protobuf.model(graph), fp16=True)
