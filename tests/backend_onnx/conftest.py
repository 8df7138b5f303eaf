import attrs
import numpy as np
import pytest

from axon_backend_onnx import protobuf
from axon_backend_onnx.backend import OnnxBackend
from axon_backend_onnx.protobuf import ElementType
from axon_quant.inference import ModelConfig


@attrs.frozen(eq=False)
class Mlp:
    """Flatten → Gemm → Relu → Gemm with weights that numpy knows too."""

    shape: tuple[int, ...]
    hidden: np.ndarray
    output: np.ndarray

    @classmethod
    def seeded(cls, seed, shape=(4, 3), width=8, outputs=3):
        rng = np.random.default_rng(seed)
        flat = int(np.prod(shape))
        return cls(
            shape,
            rng.standard_normal((flat, width)).astype(np.float32),
            rng.standard_normal((width, outputs)).astype(np.float32),
        )

    def reference(self, x):
        flat = x.reshape(len(x), -1).astype(np.float64)
        return np.maximum(flat @ self.hidden, 0) @ self.output

    def onnx(self, *, batch="batch", open_rows=False, element=ElementType.FLOAT, metadata=None):
        graph = protobuf.graph(
            "mlp",
            [
                protobuf.node("Flatten", ["x"], ["flat"], axis=1),
                protobuf.node("MatMul", ["flat", "hidden"], ["hidden_sums"]),
                protobuf.node("Relu", ["hidden_sums"], ["relu"]),
                protobuf.node("MatMul", ["relu", "output"], ["scores"]),
            ],
            initializers=[
                protobuf.tensor("hidden", self.hidden.shape, self.hidden.ravel().tolist(), element),
                protobuf.tensor("output", self.output.shape, self.output.ravel().tolist(), element),
            ],
            inputs=[protobuf.value("x", [batch, "rows" if open_rows else self.shape[0], *self.shape[1:]], element)],
            outputs=[protobuf.value("scores", [batch, self.output.shape[1]], element)],
        )
        return protobuf.model(graph, metadata=metadata)


@pytest.fixture
def mlp():
    return Mlp.seeded


@pytest.fixture
def onnx_file(tmp_path):
    def write(data, name="model.onnx"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.fixture
def serve(onnx_file):
    """Write a model and load it."""

    def serve(data, *, optimisation=None, **config):
        engine = OnnxBackend(ModelConfig(onnx_file(data), "onnx", **config), optimisation=optimisation)
        engine.load()
        return engine

    return serve


@pytest.fixture
def noise():
    def noise(*shape, seed=0):
        return np.random.default_rng(seed).standard_normal(shape, np.float32)

    return noise
