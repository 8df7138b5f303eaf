"""What the backend suite works with: models and engines of one test, and inputs to give them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, perf_counter_ns, sleep

import attrs
import numpy as np
import pytest

from axon_quant.errors import AxonError, UnsupportedError
from axon_quant.inference.backend import Backend
from axon_quant.inference.config import Device, InferenceBackend, ModelConfig
from axon_quant.inference.files import write_whole
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
        fits: bool = True,
        extra_output: bool = False,
        side_files: bool = False,
    ) -> ReferenceModel:
        """A model from the author's maker.

        The test is skipped where the format cannot hold it, but it has to hold the plainest one, and to keep what the
        descriptor promises: otherwise there would be nothing to test, and nothing would fail.
        """
        request = ModelRequest(
            self._descriptor.name, window, outputs, seed, actions, half, finite, fits, extra_output, side_files
        )
        try:
            made = self._make(self.folder(), request)
        except UnsupportedError as error:
            if half or request == ModelRequest(self._descriptor.name, seed=seed):
                pytest.fail(f"make_model refuses a model that it must make: {error}", pytrace=False)
            pytest.skip(str(error))
        except Exception as error:  # of a maker that knows nothing of such weights; for others it is a mistake
            if fits:
                raise
            pytest.skip(f"make_model fails for {fits=}: {error!r}")
        if side_files and not made.sides:
            pytest.skip("make_model wrote no side files")
        if extra_output or not fits:
            plain = self._make(self.folder(), attrs.evolve(request, extra_output=False, fits=True))
            if made.sha256 == plain.sha256:
                pytest.skip(f"make_model wrote the plain model for {extra_output=}, {fits=}")
        return made

    def file(self, like: ReferenceModel, data: bytes) -> Path:
        """A file of the model's name that holds other bytes, beside the model's side files."""
        path = self.copy(like)
        path.write_bytes(data)
        return path

    def copy(self, model: ReferenceModel) -> Path:
        """The model's files in a new folder, and where the model itself is there."""
        folder = self.folder()
        for source in (model.path, *model.sides):
            target = folder / source.relative_to(model.path.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
        return folder / model.path.name

    def put(self, model: ReferenceModel, path: Path) -> None:
        """Replace the model at `path` by this one: the side files, then the file itself, each of them at once."""
        for source in (*model.sides, model.path):
            target = path.parent / source.relative_to(model.path.parent) if source != model.path else path
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, source.read_bytes())

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


def assert_refused(
    engine: Backend, path: Path, errors: type[AxonError], model: ReferenceModel, *, about: Sequence[Path] = ()
) -> None:
    """Fail unless loading `path` raises one of `errors` with the file, and `model` goes on serving as it did.

    `about` are the files that the error may name (default: `path`).
    """
    x = noise(1, *WINDOW, seed=99)
    version, before = engine.version, engine.infer(x)
    with pytest.raises(errors) as caught:
        engine.load(path)
    files = [str(file) for file in about or (path,)]
    assert caught.value.file in files, f"the error does not name the file: {caught.value}"
    assert engine.version == version, "the version changed, although the model was refused"
    assert engine.infer(x).tobytes() == before.tobytes(), "the model before it does not serve any more"
    assert_scores(model, x, before)


def together(*work: Callable[[], object]) -> None:
    """Run every function in a thread of its own, all at once, switching often; raises the first of their errors."""
    barrier = threading.Barrier(len(work))
    errors: list[BaseException] = []

    def run(function: Callable[[], object]) -> None:
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


def slowest_call(call: Callable[[], object], work: Callable[[], object], callers: int = 2) -> float:
    """Seconds of the longest of the calls that `callers` threads make about every millisecond while `work` runs."""
    done = threading.Event()
    longest = [0] * callers
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            while not done.is_set():
                started = perf_counter_ns()
                call()
                longest[number] = max(longest[number], perf_counter_ns() - started)
                sleep(0.001)
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread of the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(callers)]
    for thread in threads:
        thread.start()
    try:
        work()
    finally:
        done.set()
        for thread in threads:
            thread.join(60)
    if errors:
        raise errors[0]
    return max(longest) / 1e9


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 5.0) -> None:
    """Return once the condition holds; fail with `what` if it does not in time."""
    until = monotonic() + seconds
    while not condition():
        assert monotonic() < until, f"after {seconds:g} s still not: {what}"
        sleep(0.005)
