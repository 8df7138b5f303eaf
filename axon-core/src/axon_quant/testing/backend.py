"""The suite of backends."""

from __future__ import annotations

import gc
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from axon_quant.errors import ConfigError, DeviceError, ModelError, UnsupportedError
from axon_quant.inference.backend import Backend
from axon_quant.inference.config import Device, ModelConfig
from axon_quant.inference.session import FloatArray
from axon_quant.plugins import BackendDescriptor, Capability
from axon_quant.plugins.descriptors import API
from axon_quant.testing.answers import Answers
from axon_quant.testing.batches import Batches
from axon_quant.testing.cases import Conformance, ask, case, overridden
from axon_quant.testing.lifecycle import Lifecycle
from axon_quant.testing.models import ModelMaker, ReferenceModel
from axon_quant.testing.refusals import Refusals
from axon_quant.testing.swaps import Swaps
from axon_quant.testing.workbench import WINDOW, Workbench, assert_refused, assert_scores, latencies, noise

CAPABILITIES = frozenset({Capability.Batch, Capability.HalfPrecision, Capability.MultiThread})
"""Of backends."""
SLOWEST_US = 50_000.0
"""For one small window; only an accident takes longer."""
MOST_TIMES_RAW = 20.0
"""What the bare runtime takes; only an accident takes longer, but anything is fast enough below"""
NEVER_SLOW_US = 1_000.0
"""for a small window."""


class BackendConformance(
    Answers, Refusals, Swaps, Lifecycle, Batches, Conformance, supplied=("descriptor", "make_model", "backend")
):
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
        assert model.sha256 == made.sha256
        assert (model.input_shape[1:], model.output_dim) == (WINDOW, 3)
        assert model.device == bench.device
        assert model.plan
        assert all(isinstance(part, str) for item in model.plan.items() for part in item)

    @case("B-004")
    def test_b004_an_unknown_built_in_model_is_refused(self, backend: type[Backend]) -> None:
        """`builtin` raises ConfigError for a name it does not know, UnsupportedError if it has no models at all."""
        with pytest.raises((ConfigError, UnsupportedError)):
            backend.builtin("no such model")

    @case("B-005")
    def test_b005_the_files_suffix_is_a_declared_one(self, bench: Workbench, descriptor: BackendDescriptor) -> None:
        """The model's file ends in a suffix that the descriptor names: by it axon chooses a backend for a file."""
        path = bench.model().path
        assert path.name.endswith(tuple(descriptor.suffixes)), f"{path.name} ends in none of {descriptor.suffixes}"

    @case("B-006", skip_when="a model is one file")
    def test_b006_side_files_belong_to_the_model(self, bench: Workbench) -> None:
        """`files` names each side file, the SHA-256 changes with it, and without it the model is refused."""
        made, plain = bench.model(side_files=True), bench.model(1)
        engine = bench.engine(bench.copy(made), sha256=made.sha256)
        engine.load()
        x = noise(1, *WINDOW)
        assert_scores(made, x, engine.infer(x))
        assert set(engine.files(made.path).sides) == set(made.sides)
        for side in made.sides:
            path = bench.copy(made)
            other = path.parent / side.relative_to(made.path.parent)
            other.write_bytes(other.read_bytes() + b"\n")
            assert engine.files(path).sha256 != made.sha256, f"the SHA-256 does not cover {side.name}"
            assert_refused(engine, path, ModelError, made)
            other.unlink()
            assert_refused(bench.serve(plain), path, ModelError, plain, about=(path, other))

    # Devices

    @case("B-050")
    def test_b050_a_device_that_is_not_declared_is_refused(
        self, bench: Workbench, descriptor: BackendDescriptor
    ) -> None:
        """A kind of device that the descriptor does not name raises DeviceError, which names it: no quiet run."""
        model = bench.model()
        for kind in sorted({"cpu", "cuda", "abacus"} - set(descriptor.devices)):
            engine = bench.engine(model.path, device=Device(kind))
            _assert_device_refused(engine, model)
            assert engine.version == 0

    @case("B-051", skip_when="only the CPU is declared")
    def test_b051_a_device_that_is_not_there_is_refused(self, bench: Workbench, descriptor: BackendDescriptor) -> None:
        """A declared kind with a number that no machine has raises DeviceError: no quiet fall-back to the CPU."""
        kinds = [kind for kind in descriptor.devices if kind != "cpu"]
        if not kinds:
            pytest.skip("only the CPU is declared")
        model = bench.model()
        for kind in kinds:
            _assert_device_refused(bench.engine(model.path, device=Device(kind, 4095)), model)

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

    @case("B-061", capability=Capability.HalfPrecision, skip_when="no device at hand computes in half precision")
    def test_b061_half_precision_really_is_or_is_refused(self, bench: Workbench, descriptor: BackendDescriptor) -> None:
        """On each device here `fp16=True` computes in float16, and the plan says so, or raises DeviceError about it."""
        model = bench.model(half=Capability.HalfPrecision in descriptor.capabilities)
        refused = []
        for kind in descriptor.devices:
            engine = bench.engine(model.path, device=Device(kind), fp16=True)
            try:
                answer = ask(descriptor, Capability.HalfPrecision, engine.load)
            except DeviceError as error:
                assert engine.version == 0
                if _is_here(bench, Device(kind)):
                    _assert_says_precision(error, model.path)
                refused.append(f"{kind}: {error}")
                continue
            if answer is not None:
                assert answer.plan.get("precision") == "float16", f"the plan does not say float16: {dict(answer.plan)}"
                _assert_half(engine, model)
        if len(refused) == len(descriptor.devices):
            pytest.skip("; ".join(refused))

    @case("B-062", capability=Capability.MultiThread)
    def test_b062_several_threads_give_the_references_scores(
        self, bench: Workbench, descriptor: BackendDescriptor
    ) -> None:
        """`num_threads=2` is accepted and the scores stay those of the reference."""
        gc.collect()  # engines of other tests may hold the threads, where those are the whole process's
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
        """Median and 99th percentile of `infer` and `predict`, beside the bare runtime; only an accident fails."""
        model = bench.model()
        engine = bench.serve(model)
        x = noise(1, *WINDOW)
        calls: dict[str, Callable[[], object]] = {"infer": lambda: engine.infer(x)}
        if (raw := model.raw or _bare(engine, model)) is not None:
            calls["raw"] = lambda: raw(x)
        calls["predict"] = lambda: engine.predict(x)
        found = latencies(calls)
        note = ", ".join(f"{name} p50 {p50:.1f} µs p99 {p99:.1f} µs" for name, (p50, p99) in found.items())
        bound = SLOWEST_US
        if "raw" in found:
            note += f", ratio {found['infer'][0] / found['raw'][0]:.2f}"
            bound = min(bound, max(MOST_TIMES_RAW * found["raw"][0], NEVER_SLOW_US))
        record_property("axon-note", note)
        for name in ("infer", "predict"):
            assert found[name][0] < bound, f"{name} takes {found[name][0]:.0f} µs, expected below {bound:.0f} µs"

    @case("B-091", skip_when="the backend names no bare runtime")
    def test_b091_the_bare_runtime_computes_the_same(self, bench: Workbench) -> None:
        """`bare` runs the runtime alone and gives the reference's scores: `axon bench` compares with it."""
        model = bench.model()
        bare = _bare(bench.serve(model), model)
        if bare is None:
            pytest.skip("the backend names no bare runtime")
        for seed in range(5):
            x = noise(1, *WINDOW, seed=seed)
            assert_scores(model, x, np.asarray(bare(x)).reshape(1, -1))


def _bare(engine: Backend, model: ReferenceModel) -> Callable[[FloatArray], object] | None:
    try:
        return engine.bare(model.path)
    except UnsupportedError:
        return None


def _is_here(bench: Workbench, device: Device) -> bool:
    try:
        bench.engine(bench.model().path, device=device).load()
    except DeviceError:
        return False
    return True


def _assert_says_precision(error: DeviceError, path: Path) -> None:
    """Fail unless the error says that it is about the precision, and of which file."""
    assert "float16" in str(error), f"the error does not name float16: {error}"
    assert error.file == str(path), f"the error does not name the file: {error}"


def _assert_half(engine: Backend, model: ReferenceModel) -> None:
    """Fail unless the scores are the reference's, as exact as float16 is and no more so."""
    for seed in range(5):
        x = noise(1, *WINDOW, seed=seed)
        scores = engine.infer(x)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, model.reference(x), rtol=0.02, atol=0.05)
        held = scores.astype(np.float16).astype(np.float32)
        assert scores.tobytes() == held.tobytes(), f"float16 cannot hold these scores: {scores.tolist()}"


def _assert_device_refused(engine: Backend, model: ReferenceModel) -> None:
    """Fail unless loading raises a DeviceError that says which device and which file."""
    with pytest.raises(DeviceError) as caught:
        engine.load(model.path)
    kind = engine.config.device.kind
    assert kind in str(caught.value), f"the error does not name the device {kind}: {caught.value}"
    assert caught.value.file == str(model.path), f"the error does not name the file: {caught.value}"
