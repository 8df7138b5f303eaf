"""What the backend suite works with: models and engines of one test, and inputs to give them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns

import numpy as np
import pytest

from axon_quant.errors import AxonError, UnsupportedError
from axon_quant.inference.backend import Backend
from axon_quant.inference.config import Device, InferenceBackend, ModelConfig
from axon_quant.inference.session import FloatArray
from axon_quant.plugins import BackendDescriptor
from axon_quant.testing.models import ModelMaker, ModelRequest, ReferenceModel

WINDOW = (4, 3)
"""Of the models that a test asks for without saying more."""


class Workbench:
    """Makes models, each in a folder of its own, and engines that serve them."""

    def __init__(
        self, descriptor: BackendDescriptor, backend: Callable[[ModelConfig], Backend], make: ModelMaker, folder: Path
    ) -> None:
        self._descriptor = descriptor
        self._backend = backend
        self._make = make
        self._folder = folder
        self._count = 0

    @property
    def device(self) -> Device:
        """Where everything runs that is not about devices: the CPU, if the backend can."""
        devices = self._descriptor.devices
        return Device.CPU if "cpu" in devices else Device(devices[0])

    def folder(self) -> Path:
        """A new, empty folder."""
        self._count += 1
        path = self._folder / f"model-{self._count}"
        path.mkdir()
        return path

    def model(
        self,
        seed: int = 0,
        *,
        window: tuple[int, ...] = WINDOW,
        outputs: int = 3,
        actions: tuple[str, ...] | None = None,
        half: bool = False,
        finite: bool = True,
    ) -> ReferenceModel:
        """A model from the author's maker.

        The test is skipped where the format cannot hold it, but it has to hold the plainest one, and to keep what the
        descriptor promises: otherwise there would be nothing to test, and nothing would fail.
        """
        request = ModelRequest(self._descriptor.name, window, outputs, seed, actions, half, finite)
        try:
            return self._make(self.folder(), request)
        except UnsupportedError as error:
            if half or request == ModelRequest(self._descriptor.name, seed=seed):
                pytest.fail(f"make_model refuses a model that it must make: {error}", pytrace=False)
            pytest.skip(str(error))

    def file(self, like: ReferenceModel, data: bytes) -> Path:
        """A file of the model's name that holds other bytes."""
        path = self.folder() / like.path.name
        path.write_bytes(data)
        return path

    def engine(
        self,
        path: Path,
        *,
        device: Device | None = None,
        input_shape: Sequence[int] | None = None,
        output_dim: int | None = None,
        actions: Sequence[str] | None = None,
        sha256: str | None = None,
        fp16: bool = False,
        num_threads: int = 1,
    ) -> Backend:
        """An engine that has not loaded yet."""
        config = ModelConfig(
            path,
            InferenceBackend(self._descriptor.name),
            device or self.device,
            input_shape,
            output_dim,
            fp16,
            num_threads,
            actions,
            sha256,
        )
        return self._backend(config)

    def serve(self, model: ReferenceModel) -> Backend:
        """An engine that serves this model."""
        engine = self.engine(model.path)
        engine.load()
        return engine


def noise(*shape: int, seed: int = 0) -> FloatArray:
    """Standard normal float32."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def assert_scores(model: ReferenceModel, x: FloatArray, scores: object, *, looser: float = 1.0) -> None:
    """Fail unless these are the reference's scores for `x`, within the model's tolerance times `looser`."""
    found = np.asarray(scores)
    expected = model.reference(x)
    assert found.shape == expected.shape, f"scores: expected {expected.shape}, found {found.shape}"
    np.testing.assert_allclose(found, expected, rtol=looser * model.rtol, atol=looser * model.atol)


def assert_refused(engine: Backend, path: Path, errors: type[AxonError], model: ReferenceModel) -> None:
    """Fail unless loading `path` raises one of `errors` with the file, and `model` goes on serving as it did."""
    x = noise(1, *WINDOW, seed=99)
    version, before = engine.version, engine.infer(x)
    with pytest.raises(errors) as caught:
        engine.load(path)
    assert caught.value.file == str(path), f"the error does not name the file: {caught.value}"
    assert engine.version == version, "the version changed, although the model was refused"
    assert engine.infer(x).tobytes() == before.tobytes(), "the model before it does not serve any more"
    assert_scores(model, x, before)


def together(*work: Callable[[], None]) -> None:
    """Run every function in a thread of its own, all at once, switching often; raises the first of their errors."""
    barrier = threading.Barrier(len(work))
    errors: list[BaseException] = []

    def run(function: Callable[[], None]) -> None:
        try:
            barrier.wait(60)
            function()
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread of the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(function,), daemon=True) for function in work]
    with _switching_often():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads), "a thread did not come to an end within two minutes"


@contextmanager
def _switching_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def latencies(calls: dict[str, Callable[[], object]], *, rounds: int = 20, block: int = 25) -> dict[str, list[float]]:
    """Median and 99th percentile of each call in µs. Blocks take turns: a busy machine is busy for all of them."""
    taken: dict[str, list[int]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            for _ in range(block):
                started = perf_counter_ns()
                call()
                taken[name].append(perf_counter_ns() - started)
    return {name: (np.percentile(times, [50, 99]) / 1e3).tolist() for name, times in taken.items()}
