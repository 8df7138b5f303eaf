"""A backend of our own beside the installed ones, and the command as a function."""

from __future__ import annotations

import sys
import types

import attrs
import numpy as np
import pytest
from click.testing import CliRunner

from axon_quant.cli import main
from axon_quant.inference.backend import Backend
from axon_quant.inference.config import Device
from axon_quant.plugins import BackendDescriptor, discovery, hookimpl, installed, registry


@attrs.define
class MeanSession:
    """scores = mean of the window × weights."""

    weights: np.ndarray
    input_shape: tuple[int | None, ...] = (None, 2, 2)
    actions: tuple[str, ...] | None = None
    schema_sha256: str | None = None
    device: Device = Device.CPU
    plan: dict[str, str] = attrs.field(factory=lambda: {"provider": "numpy"})

    @property
    def output_dim(self):
        return len(self.weights)

    def run(self, x):
        return x.reshape(len(x), -1).mean(axis=1, keepdims=True) * self.weights


class MeanBackend(Backend):
    """Its model file holds the weights as text; an empty one is refused."""

    kind = "mean"

    def build_session(self, path):
        return MeanSession(np.array(path.read_text().split(), np.float32))

    def bare(self, path):
        return self.build_session(path).run


class PlainBackend(MeanBackend):
    """One without a raw runtime."""

    kind = "plain"
    bare = Backend.bare


@pytest.fixture
def add_backend(monkeypatch):
    """Make backends discoverable beside what is installed: `add_backend(name, cls, suffixes)`."""

    def add(name, cls, suffixes=()):
        module = types.ModuleType(f"axon_test_{name}")
        descriptor = BackendDescriptor(name=name, target=f"{module.__name__}:Engine", suffixes=suffixes)
        module.Engine = cls

        @hookimpl
        def axon_backends():
            return [descriptor]

        module.axon_backends = axon_backends
        monkeypatch.setitem(sys.modules, module.__name__, module)
        before = registry.sources
        own = discovery.Source(name, f"axon-test-{name}", "1.0", lambda: module, module.__name__)
        monkeypatch.setattr(registry, "sources", lambda: [*before(), own])
        installed.cache_clear()

    yield add
    monkeypatch.undo()
    installed.cache_clear()


@pytest.fixture
def mean_model(add_backend, tmp_path):
    add_backend("mean", MeanBackend, (".mean",))
    path = tmp_path / "signal.mean"
    path.write_text("1 2 3")
    return path


@pytest.fixture
def plain_backend():
    return PlainBackend


@pytest.fixture
def axon():
    """Run `axon …` in this process."""
    runner = CliRunner()
    return lambda *arguments, **more: runner.invoke(main, [*map(str, arguments)], **more)
