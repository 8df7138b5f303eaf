"""The suite of backends."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from axon_quant.errors import (
    ConfigError,
    DeviceError,
    ModelCheckError,
    ModelError,
    ModelLoadError,
    UnsupportedError,
)
from axon_quant.inference.backend import Backend
from axon_quant.inference.config import Device, ModelConfig
from axon_quant.plugins import BackendDescriptor, Capability
from axon_quant.plugins.descriptors import API
from axon_quant.testing.answers import Answers
from axon_quant.testing.cases import Conformance, ask, case, overridden
from axon_quant.testing.models import ModelMaker
from axon_quant.testing.workbench import WINDOW, Workbench, assert_refused, assert_scores, latencies, noise, together

CAPABILITIES = frozenset({Capability.Batch, Capability.HalfPrecision, Capability.MultiThread})
"""Of backends."""
SLOWEST_US = 50_000.0
"""For one small window; only an accident takes longer."""


class BackendConformance(Answers, Conformance, supplied=("descriptor", "make_model", "backend")):
    """Everything axon relies on in a backend. Subclass it in your tests as `TestYourBackend` and supply

    - `descriptor`: the BackendDescriptor that your plugin yields,
    - `make_model`: a ModelMaker, which writes the models that the suite asks for,
    - `backend`, only if the descriptor's target cannot be imported: the Backend class.
    """

    @pytest.fixture
    def descriptor(self) -> BackendDescriptor:
        """What the plugin declares. Supply it."""
        pytest.fail(f"{type(self).__name__} supplies no fixture `descriptor`", pytrace=False)

    @pytest.fixture
    def make_model(self) -> ModelMaker:
        """How the suite gets its models. Supply it."""
        pytest.fail(f"{type(self).__name__} supplies no fixture `make_model`", pytrace=False)

    @pytest.fixture
    def backend(self, descriptor: BackendDescriptor) -> Callable[[ModelConfig], Backend]:
        """What makes an engine of a ModelConfig: the descriptor's target."""
        module, _, name = descriptor.target.partition(":")
        return cast("Callable[[ModelConfig], Backend]", getattr(import_module(module), name))

    @pytest.fixture
    def bench(
        self,
        descriptor: BackendDescriptor,
        backend: Callable[[ModelConfig], Backend],
        make_model: ModelMaker,
        tmp_path: Path,
    ) -> Workbench:
        """Models and engines of one test."""
        return Workbench(descriptor, backend, make_model, tmp_path)

    # What it says of itself

    @case("B-000")
    def test_b000_nothing_of_the_suite_is_overridden(self) -> None:
        """A subclass supplies fixtures; it replaces no test and no other part of the suite."""
        replaced = overridden(type(self))
        assert not replaced, f"{type(self).__name__} overrides {', '.join(replaced)}"

    @case("B-001")
    def test_b001_the_descriptor_is_complete(
        self, descriptor: BackendDescriptor, backend: Callable[[ModelConfig], Backend]
    ) -> None:
        """The descriptor has a summary, the current api number, suffixes, devices and only backends' capabilities."""
        assert isinstance(descriptor, BackendDescriptor)
        assert descriptor.api == API
        assert descriptor.summary
        assert descriptor.suffixes
        assert all(suffix.startswith(".") for suffix in descriptor.suffixes)
        assert descriptor.devices
        assert descriptor.capabilities <= CAPABILITIES
        assert callable(backend)

    @case("B-002")
    def test_b002_nothing_serves_before_the_first_load(self, bench: Workbench) -> None:
        """Construction reads no file; before `load` the version is 0 and `infer` and `predict` raise ModelError."""
        engine = bench.engine(bench.folder() / "not-there")
        assert engine.version == 0
        with pytest.raises(ModelError):
            engine.infer(noise(1, *WINDOW))
        with pytest.raises(ModelError):
            engine.predict(noise(*WINDOW))

    @case("B-003")
    def test_b003_a_loaded_model_says_what_it_is(self, bench: Workbench) -> None:
        """Version, path, SHA-256 of the bytes, shapes, the device it runs on, and a plan of how it computes."""
        made = bench.model()
        engine = bench.engine(made.path)
        model = engine.load()
        assert (model.number, engine.version, model.path) == (1, 1, made.path)
        assert model.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()
        assert (model.input_shape[1:], model.output_dim) == (WINDOW, 3)
        assert model.device == bench.device
        assert model.plan
        assert all(isinstance(part, str) for item in model.plan.items() for part in item)

    @case("B-004")
    def test_b004_an_unknown_built_in_model_is_refused(self, backend: type[Backend]) -> None:
        """`builtin` raises ConfigError for a name it does not know, UnsupportedError if it has no models at all."""
        with pytest.raises((ConfigError, UnsupportedError)):
            backend.builtin("no such model")

    # What it refuses to serve

    @case("B-030")
    def test_b030_a_missing_file_is_refused(self, bench: Workbench) -> None:
        """A file that is not there, and a folder, raise ModelLoadError with the path; the old model keeps serving."""
        model = bench.model()
        engine = bench.serve(model)
        assert_refused(engine, bench.folder() / model.path.name, ModelLoadError, model)
        assert_refused(engine, bench.folder(), ModelLoadError, model)

    @case("B-031")
    def test_b031_garbage_is_refused(self, bench: Workbench) -> None:
        """An empty file, zeros, text and noise raise ModelError with the path; the old model keeps serving."""
        model = bench.model()
        engine = bench.serve(model)
        for data in (b"", b"\0" * 100, b"\xff" * 100, b"this is no model", np.random.default_rng(0).bytes(4096)):
            assert_refused(engine, bench.file(model, data), ModelError, model)

    @case("B-032")
    def test_b032_a_truncated_file_is_refused(self, bench: Workbench) -> None:
        """A file cut off anywhere raises ModelError with the path; the old model keeps serving."""
        model = bench.model()
        engine = bench.serve(model)
        data = model.path.read_bytes()
        for length in (1, len(data) // 4, len(data) // 2, 3 * len(data) // 4, len(data) - 1):
            assert_refused(engine, bench.file(model, data[:length]), ModelError, model)

    @case("B-033", skip_when="the format cannot hold other sizes")
    def test_b033_another_shape_than_configured_is_refused(self, bench: Workbench) -> None:
        """Another window or number of outputs than configured raises ModelCheckError; the old model keeps serving."""
        model = bench.model()
        engine = bench.engine(model.path, input_shape=(1, *WINDOW), output_dim=3)
        engine.load()
        assert_refused(engine, bench.model(window=(4, 5)).path, ModelCheckError, model)
        assert_refused(engine, bench.model(outputs=2).path, ModelCheckError, model)

    @case("B-034", skip_when="the format cannot hold NaN")
    def test_b034_weights_that_are_not_finite_are_refused(self, bench: Workbench) -> None:
        """A model whose scores are NaN raises ModelCheckError when it is loaded; the old model keeps serving."""
        model, broken = bench.model(), bench.model(finite=False)
        assert_refused(bench.serve(model), broken.path, ModelCheckError, model)

    @case("B-035")
    def test_b035_another_hash_than_the_pinned_one_is_refused(self, bench: Workbench) -> None:
        """With `sha256` in the configuration only those bytes are served; others raise ModelCheckError."""
        model, other = bench.model(), bench.model(1)
        engine = bench.engine(model.path, sha256=hashlib.sha256(model.path.read_bytes()).hexdigest())
        engine.load()
        assert_refused(engine, other.path, ModelCheckError, model)
        with pytest.raises(ModelCheckError):
            bench.engine(model.path, sha256="0" * 64).load()

    @case("B-036")
    def test_b036_after_a_refusal_a_good_file_is_served(self, bench: Workbench) -> None:
        """A refused file leaves nothing behind: the next good one becomes version 2 and answers as its reference."""
        model, other = bench.model(), bench.model(1)
        engine = bench.serve(model)
        assert_refused(engine, bench.file(model, b"this is no model"), ModelError, model)
        assert engine.load(other.path).number == 2
        x = noise(1, *WINDOW)
        assert_scores(other, x, engine.infer(x))

    # Threads and swaps

    @case("B-040")
    def test_b040_threads_get_their_own_answers(self, bench: Workbench) -> None:
        """Four threads that infer different windows at once each get the answers to their own, and keep them."""
        model = bench.model()
        engine = bench.serve(model)

        def caller(number: int) -> Callable[[], None]:
            windows = [noise(1, *WINDOW, seed=100 * number + i) for i in range(10)]

            def work() -> None:
                for _ in range(20):
                    answers = [engine.infer(x) for x in windows]
                    assert_scores(model, np.concatenate(windows), np.concatenate(answers))

            return work

        together(*map(caller, range(4)))

    @case("B-041")
    def test_b041_a_swap_under_load_mixes_no_answers(self, bench: Workbench) -> None:
        """While models are replaced, every answer is wholly of the version it names, and versions only grow."""
        models = (bench.model(0), bench.model(1))
        engine = bench.serve(models[0])
        x = noise(1, *WINDOW)
        hashes = [hashlib.sha256(model.path.read_bytes()).hexdigest() for model in models]
        reading, done = threading.Event(), threading.Event()

        def swap() -> None:
            try:
                reading.wait(10)  # a reader that fails says so itself
                for number in range(2, 10):
                    assert engine.load(models[(number - 1) % 2].path).number == number
            finally:
                done.set()

        def read() -> None:
            last, finished = 0, False
            while not finished:
                finished = done.is_set()  # one more answer after the last swap
                action = engine.predict(x)
                reading.set()
                assert action.version >= last, f"version {action.version} answered after version {last}"
                last = action.version
                serving = (last - 1) % 2
                assert_scores(models[serving], x, [action.scores])
                assert [identity.sha256 for identity in action.models] == [hashes[serving]]
            assert last == engine.version

        together(swap, read, read, read)
        assert engine.version == 9

    @case("B-042")
    def test_b042_engines_share_nothing(self, bench: Workbench) -> None:
        """Two engines with different models, called in turns and replaced apart, each answer as their own model."""
        models = (bench.model(0), bench.model(1))
        engines = [bench.serve(model) for model in models]
        for seed in range(10):
            x = noise(1, *WINDOW, seed=seed)
            for model, engine in zip(models, engines, strict=True):
                assert_scores(model, x, engine.infer(x))
        engines[0].load(models[1].path)
        assert [engine.version for engine in engines] == [2, 1]

    # Devices

    @case("B-050")
    def test_b050_a_device_that_is_not_declared_is_refused(
        self, bench: Workbench, descriptor: BackendDescriptor
    ) -> None:
        """A kind of device that the descriptor does not name raises DeviceError: no quiet run on another one."""
        model = bench.model()
        for kind in sorted({"cpu", "cuda", "abacus"} - set(descriptor.devices)):
            engine = bench.engine(model.path, device=Device(kind))
            with pytest.raises(DeviceError):
                engine.load()
            assert engine.version == 0

    @case("B-051", skip_when="only the CPU is declared")
    def test_b051_a_device_that_is_not_there_is_refused(self, bench: Workbench, descriptor: BackendDescriptor) -> None:
        """A declared kind with a number that no machine has raises DeviceError: no quiet fall-back to the CPU."""
        kinds = [kind for kind in descriptor.devices if kind != "cpu"]
        if not kinds:
            pytest.skip("only the CPU is declared")
        model = bench.model()
        for kind in kinds:
            with pytest.raises(DeviceError):
                bench.engine(model.path, device=Device(kind, 4095)).load()

    @case("B-052", skip_when="no declared accelerator is here")
    def test_b052_an_accelerator_gives_the_references_scores(
        self, bench: Workbench, descriptor: BackendDescriptor
    ) -> None:
        """On every declared accelerator that is here the model runs there, and agrees with the reference."""
        model = bench.model()
        missing = []
        for kind in descriptor.devices:
            engine = bench.engine(model.path, device=Device(kind))
            try:
                engine.load()
            except DeviceError as error:
                missing.append(f"{kind}: {error}")
                continue
            assert engine.model.device == Device(kind)
            for seed in range(5):
                x = noise(1, *WINDOW, seed=seed)
                assert_scores(model, x, engine.infer(x), looser=100.0)  # TF32 has 10 bits
        accelerators = set(descriptor.devices) - {"cpu"}
        if len(missing) >= len(accelerators):
            pytest.skip("; ".join(missing) or "only the CPU is declared")

    # Capabilities

    @case("B-060", capability=Capability.Batch)
    def test_b060_a_batch_gives_the_scores_of_its_rows(self, bench: Workbench, descriptor: BackendDescriptor) -> None:
        """`infer` takes several windows at once and answers each as it does alone."""
        model = bench.model()
        engine = bench.serve(model)
        for rows in (2, 7):
            x = noise(rows, *WINDOW, seed=rows)
            scores = ask(descriptor, Capability.Batch, lambda x=x: engine.infer(x))  # type: ignore[misc]
            if scores is not None:
                assert_scores(model, x, scores)
                kept = scores.tobytes()
                engine.infer(noise(rows, *WINDOW, seed=rows + 1))
                assert scores.tobytes() == kept, "a later call changed scores that the caller holds"

    @case("B-061", capability=Capability.HalfPrecision)
    def test_b061_half_precision_is_close_to_the_reference(
        self, bench: Workbench, descriptor: BackendDescriptor
    ) -> None:
        """`fp16=True` computes in half precision, within 2 % of the reference, and returns float32."""
        model = bench.model(half=Capability.HalfPrecision in descriptor.capabilities)
        engine = bench.engine(model.path, fp16=True)
        if ask(descriptor, Capability.HalfPrecision, engine.load) is not None:
            for seed in range(5):
                x = noise(1, *WINDOW, seed=seed)
                scores = engine.infer(x)
                assert scores.dtype == np.float32
                np.testing.assert_allclose(scores, model.reference(x), rtol=0.02, atol=0.05)

    @case("B-062", capability=Capability.MultiThread)
    def test_b062_several_threads_give_the_references_scores(
        self, bench: Workbench, descriptor: BackendDescriptor
    ) -> None:
        """`num_threads=2` is accepted and the scores stay those of the reference."""
        model = bench.model()
        engine = bench.engine(model.path, num_threads=2)
        if ask(descriptor, Capability.MultiThread, engine.load) is not None:
            x = noise(1, *WINDOW)
            assert_scores(model, x, engine.infer(x))

    # Latency

    @case("B-090")
    def test_b090_latency_is_reported_beside_the_raw_runtime(
        self, bench: Workbench, record_property: Callable[[str, object], None]
    ) -> None:
        """Median and 99th percentile of `infer`, beside the bare runtime in turns; only an accident fails."""
        model = bench.model()
        engine = bench.serve(model)
        x = noise(1, *WINDOW)
        calls: dict[str, Callable[[], object]] = {"infer": lambda: engine.infer(x)}
        if (raw := model.raw) is not None:
            calls["raw"] = lambda: raw(x)
        found = latencies(calls)
        note = ", ".join(f"{name} p50 {p50:.1f} µs p99 {p99:.1f} µs" for name, (p50, p99) in found.items())
        if "raw" in found:
            note += f", ratio {found['infer'][0] / found['raw'][0]:.2f}"
        record_property("axon-note", note)
        assert found["infer"][0] < SLOWEST_US
