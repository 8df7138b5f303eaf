import json
from itertools import pairwise

import numpy as np
import pytest

from axon_backend_safetensors.backend import SafetensorsBackend
from axon_backend_safetensors.reader import ARCHITECTURE
from axon_backend_safetensors.writer import pack
from axon_quant.inference import ModelConfig


@pytest.fixture(autouse=True, scope="session")
def _cache(tmp_path_factory):
    """Which engine is the faster one is written down in a folder of this run's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AXON_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def noise():
    def noise(*shape, seed=0):
        return np.random.default_rng(seed).standard_normal(shape, np.float32)

    return noise


@pytest.fixture
def save(tmp_path):
    """Write a model: its layers go into the metadata, or into a config.json with `beside=True`."""

    def save(tensors, layers=None, window=None, *, name="model.safetensors", beside=False, metadata=None, **config):
        if layers is not None:
            config["layers"] = layers
        if window is not None:
            config["input_shape"] = [1, *window]
        metadata = dict(metadata or {})
        if beside:
            (tmp_path / "config.json").write_text(json.dumps(config))
        elif config:
            metadata[ARCHITECTURE] = json.dumps(config)
        path = tmp_path / name
        path.write_bytes(pack(tensors, metadata))
        return path

    return save


@pytest.fixture
def load():
    """Serve a file."""

    def load(path, *, engine="auto", **config):
        backend = SafetensorsBackend(ModelConfig(path, "safetensors", **config), engine=engine)
        backend.load()
        return backend

    return load


@pytest.fixture
def serve(save, load):
    """Write a model and serve it."""
    return lambda *model, engine="auto", **options: load(save(*model, **options), engine=engine)


@pytest.fixture
def mlp(noise):
    """Tensors of a Sequential of Linear layers, an activation between them."""

    def mlp(*sizes, seed=0, prefix=""):
        tensors = {}
        for index, (given, wanted) in enumerate(pairwise(sizes)):
            tensors[f"{prefix}{2 * index}.weight"] = noise(wanted, given, seed=seed + index) / np.float32(given**0.5)
            tensors[f"{prefix}{2 * index}.bias"] = noise(wanted, seed=100 + seed + index)
        return tensors

    return mlp


@pytest.fixture
def mlp_scores():
    """What that Sequential computes, in float64."""

    def scores(tensors, x, activation=lambda v: np.maximum(v, 0), prefix=""):
        numbers = sorted({int(name.removeprefix(prefix).split(".")[0]) for name in tensors})
        x = x.reshape(len(x), -1).astype(np.float64)
        for number in numbers:
            x = x @ tensors[f"{prefix}{number}.weight"].T + tensors[f"{prefix}{number}.bias"]
            x = x if number == numbers[-1] else activation(x)
        return x

    return scores
