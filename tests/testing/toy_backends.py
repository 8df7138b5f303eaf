"""Backends of a few lines, one good, one modest, and one for each defect the suite must find. Run by test_suites.py."""

import io
import time
from pathlib import Path

import attrs
import numpy as np
import pytest

from axon_quant.errors import DeviceError, UnsupportedError
from axon_quant.inference import Action, Backend, Device
from axon_quant.plugins import BackendDescriptor, Capability
from axon_quant.testing import BackendConformance, Mlp, ReferenceModel

ALL = frozenset({Capability.Batch, Capability.HalfPrecision, Capability.MultiThread})


def make_npz(folder, request):
    mlp = Mlp.of(request)
    file = io.BytesIO()
    np.savez(file, hidden=mlp.hidden, output=mlp.output, shape=request.window, actions=request.actions or ())
    path = folder / "model.npz"
    path.write_bytes(file.getvalue())
    return ReferenceModel(path, mlp.reference, raw=mlp.reference)


@attrs.define
class NpzSession:
    hidden: np.ndarray
    output: np.ndarray
    window: tuple[int, ...]
    actions: tuple[str, ...] | None
    device: Device = Device.CPU
    schema_sha256: str | None = None
    batches: bool = True
    plan: dict[str, str] = attrs.field(factory=lambda: {"runtime": "numpy"})

    @property
    def input_shape(self):
        return (None, *self.window)

    @property
    def output_dim(self):
        return self.output.shape[1]

    def run(self, x):
        if len(x) > 1 and not self.batches:
            raise UnsupportedError("one window at a time")
        flat = x.reshape(len(x), -1).astype(np.float64)
        return (np.maximum(flat @ self.hidden, 0) @ self.output).astype(np.float32)


class NpzBackend(Backend):
    kind = "npz"
    session_class = NpzSession

    def build_session(self, path: Path):
        self.check_device()
        with np.load(io.BytesIO(path.read_bytes())) as data:
            actions = tuple(map(str, data["actions"])) or None
            window = tuple(map(int, data["shape"]))
            return self.session_class(data["hidden"], data["output"], window, actions, self.config.device)

    def check_device(self):
        if self.config.device != Device.CPU:
            raise DeviceError("numpy runs on the cpu")


class Toy(BackendConformance):
    engine: type[Backend] = NpzBackend
    capabilities = ALL
    devices: tuple[str, ...] = ("cpu",)
    summary = "A toy."

    @pytest.fixture
    def descriptor(self):
        return BackendDescriptor(
            name="npz",
            target="nowhere:NpzBackend",
            summary=self.summary,
            suffixes=(".npz",),
            devices=self.devices,
            capabilities=self.capabilities,
        )

    @pytest.fixture
    def backend(self):
        return self.engine

    @pytest.fixture
    def make_model(self):
        return make_npz


class TestGood(Toy):
    pass


class ModestBackend(NpzBackend):
    def build_session(self, path):
        if self.config.fp16 or self.config.num_threads > 1:
            raise UnsupportedError("plain arithmetic only")
        session = super().build_session(path)
        session.batches = False
        return session


class TestModest(Toy):
    """Declares nothing, and says so when it is asked."""

    engine = ModestBackend
    capabilities = frozenset()


class Unpinned(NpzBackend):
    def load(self, path=None):
        self.config = attrs.evolve(self.config, sha256=None)
        return super().load(path)


class TestIgnoresThePinnedHash(Toy):
    engine = Unpinned


@attrs.define
class SharedBuffer(NpzSession):
    buffer: np.ndarray = attrs.field(factory=lambda: np.zeros((1, 0), np.float32))

    def run(self, x):
        scores = super().run(x)
        if self.buffer.shape != scores.shape:
            self.buffer = scores
        self.buffer[...] = scores
        return self.buffer if len(x) == 1 else scores


class TestReturnsASharedBuffer(Toy):
    engine = type("Shared", (NpzBackend,), {"session_class": SharedBuffer})


class NanSwallower(NpzBackend):
    def infer(self, x):
        return super().infer(np.nan_to_num(x) if isinstance(x, np.ndarray) else x)

    def predict(self, observation):
        return super().predict(np.nan_to_num(observation) if isinstance(observation, np.ndarray) else observation)


class TestSwallowsNan(Toy):
    engine = NanSwallower


class Alphabetical(NpzBackend):
    def predict(self, observation):
        action = super().predict(observation)
        name = sorted(self.model.actions)[action.index]
        return Action(name, action.index, action.confidence, action.scores, action.version, (), action.models)


class TestNamesActionsInTheWrongOrder(Toy):
    engine = Alphabetical


@attrs.define
class Unsafe(NpzSession):
    x: np.ndarray | None = None

    def run(self, x):
        self.x = x
        time.sleep(0)
        return super().run(self.x)


class TestIsNotThreadSafe(Toy):
    engine = type("NotThreadSafe", (NpzBackend,), {"session_class": Unsafe})


class TestFallsBackSilently(Toy):
    engine = type("Fallback", (NpzBackend,), {"check_device": lambda self: None})
    devices = ("cpu", "cuda")


class TestDeclaresACapabilityItLacks(Toy):
    engine = ModestBackend
    capabilities = frozenset({Capability.HalfPrecision})


class TestDeclaresNothingAndDoesItAll(Toy):
    capabilities = frozenset()


class TestOverridesATest(Toy):
    def test_b010_scores_are_those_of_the_reference(self):
        pass


class Lenient(Toy):
    @pytest.fixture
    def bench(self):
        return None


class TestOverridesAPartOfTheSuite(Lenient):
    pass


class InPlace(NpzBackend):
    """Writes the new weights over those that serve, one matrix at a time."""

    def build_session(self, path):
        new = super().build_session(path)
        old = None if self._serving is None else self._serving.session
        if old is None or (old.window, old.output_dim) != (new.window, new.output_dim):
            return new
        old.hidden = new.hidden
        time.sleep(0.002)
        old.output = new.output
        return old


class TestSwapsInPlace(Toy):
    engine = InPlace


class Forgiving(NpzBackend):
    """A file that it cannot read is taken for the one before it."""

    def build_session(self, path):
        try:
            return super().build_session(path)
        except Exception:
            if self._serving is None:
                raise
            return self.session


class TestServesCorruptFiles(Toy):
    engine = Forgiving


class Dropping(NpzBackend):
    """Lets go of the old model before the new one is there."""

    def load(self, path=None):
        self._serving = None
        return super().load(path)


class TestDropsTheOldModel(Toy):
    engine = Dropping


class OneForAll(NpzBackend):
    """Keeps its session on the class."""

    def build_session(self, path):
        type(self).latest = super().build_session(path)
        return self.latest

    def infer(self, x):
        scores = super().infer(x)
        return self.latest.run(x) if scores.shape[1] == self.latest.output_dim else scores


class TestSharesStateBetweenEngines(Toy):
    engine = OneForAll


class TestMakesNoModels(Toy):
    @pytest.fixture
    def make_model(self):
        def refuse(folder, request):
            raise UnsupportedError("no model today")

        return refuse


class Rounding(NpzSession):
    """Half precision without having been asked."""

    def run(self, x):
        return super().run(x).astype(np.float16).astype(np.float32)


class TestComputesInHalfPrecisionUnasked(Toy):
    engine = type("Half", (NpzBackend,), {"session_class": Rounding})


class TestSaysNothingOfItself(Toy):
    summary = ""


class Eager(NpzBackend):
    def __init__(self, config):
        super().__init__(config)
        config.path.read_bytes()


class TestReadsItsFileTooEarly(Toy):
    engine = Eager


class Boastful(NpzBackend):
    def build_session(self, path):
        session = super().build_session(path)
        session.device = Device.CUDA(0)
        return session


class TestNamesAnotherDevice(Toy):
    engine = Boastful


class Improvising(NpzBackend):
    @classmethod
    def builtin(cls, name, feature_names=None):
        return Path(name)


class TestHasAnyBuiltInModel(Toy):
    engine = Improvising


class Drifting(NpzBackend):
    """Each session is a little different."""

    built = 0

    def build_session(self, path):
        session = super().build_session(path)
        Drifting.built += 1
        session.output = session.output * np.float32(1.0 + 2e-6 * Drifting.built % 1e-5)
        return session


class TestIsNotRepeatable(Toy):
    engine = Drifting


class Clipping(NpzSession):
    def run(self, x):
        np.clip(x, -1e4, 1e4, out=x)
        return super().run(x)


class TestWritesToItsInputs(Toy):
    engine = type("Clips", (NpzBackend,), {"session_class": Clipping})


class Twisted(NpzBackend):
    def predict(self, observation):
        batch = isinstance(observation, np.ndarray) and observation.ndim == 3
        return super().predict(observation[:, ::-1] if batch else observation)


class TestReadsABatchOfOneDifferently(Toy):
    engine = Twisted


class Unchecked(NpzBackend):
    """Computes whatever it is given, as its runtime would."""

    def infer(self, x):
        with np.errstate(all="ignore"):
            return self.session.run(np.asarray(x, np.float32).reshape(-1, *self.model.input_shape[1:]))


class TestChecksNoInput(Toy):
    engine = Unchecked


class Doubling(NpzBackend):
    def check_device(self):
        pass

    def infer(self, x):
        return super().infer(x) * (1.0 if self.config.device == Device.CPU else np.float32(2.0))


class TestAnswersDifferentlyOnAnAccelerator(Toy):
    engine = Doubling
    devices = ("cpu", "cuda")


class TestForgetsItsFixtures(BackendConformance):
    pass
