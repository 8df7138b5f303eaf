import attrs
import numpy as np
import pytest

from axon_quant.inference.backend import Backend
from axon_quant.inference.config import Device, ModelConfig

WINDOW = (4, 2)


@attrs.define
class LinearSession:
    """scores = mean of the window × weights: enough of a model to see which one answered."""

    weights: tuple[float, ...]
    input_shape: tuple[int | None, ...] = (None, *WINDOW)
    actions: tuple[str, ...] | None = None
    schema_sha256: str | None = None
    device: Device = Device.CPU
    calls: int = 0
    dtype: str = "float32"
    plan: dict[str, str] = attrs.field(factory=lambda: {"provider": "numpy"})

    @property
    def output_dim(self):
        return len(self.weights)

    def run(self, x):
        self.calls += 1
        mean = x.reshape(len(x), -1).mean(axis=1, keepdims=True, dtype=np.float64)
        return (mean * np.array(self.weights) + np.array(self.weights)).astype(self.dtype)


class LinearBackend(Backend):
    """Its model file holds the weights as text."""

    kind = "linear"

    def build_session(self, path):
        return LinearSession(tuple(float(word) for word in path.read_text().split()))


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "linear.txt"
    path.write_text("1 2 3")
    return path


@pytest.fixture
def engine(model_file):
    engine = LinearBackend(ModelConfig(model_file, "linear"))
    engine.load()
    return engine


@pytest.fixture
def linear_session():
    return LinearSession


@pytest.fixture
def linear_backend():
    return LinearBackend


@pytest.fixture
def window():
    return np.ones(WINDOW, np.float32)
