"""Backends of a few lines, one good, one modest, and one for each defect the suite must find. Run by test_suites.py."""

import io
import threading
import time
from pathlib import Path

import attrs
import numpy as np
import pytest
from msgspec.structs import replace

from axon_quant.errors import DeviceError, ModelLoadError, UnsupportedError
from axon_quant.inference import Action, Backend, Device
from axon_quant.inference.batch import BatchResult
from axon_quant.inference.files import ModelFiles
from axon_quant.plugins import BackendDescriptor, Capability
from axon_quant.testing import BackendConformance, Mlp, ReferenceModel

ALL = frozenset({Capability.Batch, Capability.HalfPrecision, Capability.MultiThread})


def make_npz(folder, request):
    mlp = Mlp.of(request)
    file = io.BytesIO()
    more = {"surprise": mlp.output} if request.extra_output else {}
    hidden = () if request.side_files else mlp.hidden
    np.savez(file, hidden=hidden, output=mlp.output, shape=request.window, actions=request.actions or (), **more)
    path = folder / "model.npz"
    path.write_bytes(file.getvalue())
    if not request.side_files:
        return ReferenceModel(path, mlp.reference, raw=mlp.reference)
    side = folder / "weights" / "hidden.f32"
    side.parent.mkdir()
    side.write_bytes(mlp.hidden.tobytes())
    return ReferenceModel(path, mlp.reference, sides=(side,))


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


class Half(NpzSession):
    """Every result in half precision."""

    def run(self, x):
        flat = x.reshape(len(x), -1).astype(np.float16)
        hidden = np.maximum(flat @ self.hidden.astype(np.float16), np.float16(0))
        return (hidden @ self.output.astype(np.float16)).astype(np.float32)


class NpzBackend(Backend):
    kind = "npz"
    session_class = NpzSession
    half_class = Half

    known: frozenset[str] | None = frozenset({"hidden", "output", "shape", "actions"})

    def build_session(self, path: Path):
        self.check_device()
        with np.load(io.BytesIO(path.read_bytes())) as data:
            if self.known is not None and set(data) != self.known:
                raise ModelLoadError(f"expected {sorted(self.known)}, found {sorted(data)}")
            actions = tuple(map(str, data["actions"])) or None
            window = tuple(map(int, data["shape"]))
            hidden = data["hidden"]
            for side in self.side_files(path):
                hidden = np.frombuffer(side.read_bytes(), np.float32).reshape(-1, len(data["output"]))
            kind = self.half_class if self.config.fp16 else self.session_class
            session = kind(hidden, data["output"], window, actions, self.config.device)
            if self.config.fp16:
                session.plan["precision"] = "float16"
            return session

    def side_files(self, path: Path):
        side = path.parent / "weights" / "hidden.f32"
        return (side,) if side.exists() else ()

    def bare(self, path: Path):
        return self.build_session(path).run

    def check_device(self):
        if self.config.device != Device.CPU:
            raise DeviceError(f"numpy runs on the cpu, not on {self.config.device}")


class Toy(BackendConformance):
    engine: type[Backend] = NpzBackend
    capabilities = ALL
    devices: tuple[str, ...] = ("cpu",)
    suffixes: tuple[str, ...] = (".npz",)
    summary = "A toy."

    @pytest.fixture
    def descriptor(self):
        return BackendDescriptor(
            name="npz",
            target="nowhere:NpzBackend",
            summary=self.summary,
            suffixes=self.suffixes,
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


class WideBackend(NpzBackend):
    def build_session(self, path):
        session = super().build_session(path)
        session.plan["precision"] = "float32"
        return session


class TestComputesInAnotherPrecisionThanAsked(Toy):
    engine = WideBackend


class SingleOnly(NpzBackend):
    def build_session(self, path):
        if self.config.fp16:
            raise DeviceError("precision: expected float16, numpy has only float32 on this processor", file=path)
        return super().build_session(path)


class TestHasNoHalfPrecisionHere(Toy):
    """Declares it, and says that this device has none."""

    engine = SingleOnly


class TestComputesInSinglePrecisionAndSaysHalf(Toy):
    engine = type("Liar", (NpzBackend,), {"half_class": NpzSession})


class Curt(NpzBackend):
    def build_session(self, path):
        if self.config.fp16:
            raise DeviceError("not on this device", file=path)
        return super().build_session(path)


class TestRefusesHalfPrecisionWithoutSayingSo(Toy):
    engine = Curt


class Unpinned(NpzBackend):
    def load(self, path=None, *, plan=None):
        self.config = attrs.evolve(self.config, sha256=None)
        return super().load(path, plan=plan)


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
        old = None if self._serving is None else self.session
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

    def load(self, path=None, *, plan=None):
        self._serving = None
        return super().load(path, plan=plan)


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


class TestDeclaresAnotherSuffix(Toy):
    suffixes = (".npy",)


class TestForgetsItsSideFiles(Toy):
    engine = type("Forgetful", (NpzBackend,), {"files": lambda self, path: ModelFiles.at(path)})


class SameKind(NpzBackend):
    def infer(self, x):
        scores = super().infer(x)
        return scores.view(type(x))


class TestReturnsTheKindOfArrayItGot(Toy):
    engine = SameKind


class FirstOnly(NpzBackend):
    def predict(self, observation):
        first = isinstance(observation, np.ndarray) and observation.ndim == 3
        return super().predict(observation[:1] if first else observation)


class TestDecidesOnTheFirstOfABatch(Toy):
    engine = FirstOnly


class TestIgnoresASecondOutput(Toy):
    engine = type("Ignorant", (NpzBackend,), {"known": None})


class Cutting(NpzSession):
    def run(self, x):
        output = self.output[: self.hidden.shape[1]]
        return NpzSession(self.hidden, output, self.window, self.actions, batches=self.batches).run(x)


class TestCutsWeightsToFit(Toy):
    engine = type("CutsToFit", (NpzBackend,), {"session_class": Cutting})


class Raw(NpzBackend):
    def load(self, path=None, *, plan=None):
        try:
            return super().load(path, plan=plan)
        except ModelLoadError as error:
            if "CRC" in str(error):
                raise RuntimeError("bad checksum") from error
            raise


class TestRaisesWhatItsRuntimeRaises(Toy):
    engine = Raw


class Locking(NpzBackend):
    """Builds under the lock that its readers take. Slow only where there are some."""

    def __init__(self, config):
        super().__init__(config)
        self._gate = threading.Lock()

    def load(self, path=None, *, plan=None):
        with self._gate:
            if self._serving is not None and threading.active_count() > 2:
                time.sleep(0.3)
            return super().load(path, plan=plan)

    def predict(self, observation):
        with self._gate:
            return super().predict(observation)


class TestLocksItsReadersOut(Toy):
    engine = Locking


class Uncounted(NpzBackend):
    def serve(self, prepared):
        number = self.version + 1
        time.sleep(0.002)
        model = super().serve(prepared)
        return model if model.number == number else replace(model, identity=replace(model.identity, number=number))


class TestCountsVersionsWithoutALock(Toy):
    engine = Uncounted


class Hoarding(NpzBackend):
    def build_session(self, path):
        session = super().build_session(path)
        vars(self).setdefault("hoard", []).append(session)
        return session


class TestHoardsItsSessions(Toy):
    engine = Hoarding


class Touching(NpzSession):
    def run(self, x):
        return super().run(x) * np.float32(1.0 if len(x) == 1 else 1.00001)


class TestLetsTheRowsOfABatchTouch(Toy):
    engine = type("Touches", (NpzBackend,), {"session_class": Touching})


class Backwards(NpzBackend):
    def infer_batch(self, windows, **options):
        result = super().infer_batch(windows, **options)
        return BatchResult(result.model, result.answers[::-1], result.batched)


class TestAnswersABatchBackwards(Toy):
    engine = Backwards


class AllOrNothing(NpzBackend):
    def infer_batch(self, windows, **options):
        result = super().infer_batch(windows, **options)
        for error in result.errors.values():
            raise error
        return result


class TestFailsABatchForOneWindow(Toy):
    engine = AllOrNothing


class Losing(NpzBackend):
    def infer_batch(self, windows, **options):
        result = super().infer_batch(windows, **options)
        lost = len(result) == 16
        return BatchResult(result.model, result.answers[lost:], result.batched)


class TestLosesAnAnswerOfAFullBatch(Toy):
    engine = Losing


class Hasty(NpzBackend):
    def prepare(self, path=None, **how):
        prepared = super().prepare(path, **how)
        super().serve(prepared)
        return prepared

    def load(self, path=None, *, plan=None):
        return self.serve(super().prepare(path, plan=plan))


class TestServesWhatWasOnlyPrepared(Toy):
    engine = Hasty


class Measuring(NpzBackend):
    """Its plan is another one each time, also when it is given one."""

    built = 0

    def build_session(self, path):
        session = super().build_session(path)
        Measuring.built += 1
        session.plan = {**session.plan, "kernel": str(Measuring.built)}
        return session


class TestCannotKeepAPlan(Toy):
    engine = Measuring


class Planless(NpzBackend):
    def load(self, path=None, *, plan=None):
        return super().load(path)


class TestIgnoresThePlan(Toy):
    engine = Planless


@attrs.define
class Reading(NpzSession):
    path: Path | None = None

    def run(self, x):
        self.path.stat()
        return super().run(x)


class Lazy(NpzBackend):
    session_class = Reading

    def build_session(self, path):
        session = super().build_session(path)
        session.path = path
        return session


class TestNeedsItsFileWhileItServes(Toy):
    engine = Lazy


class Remembering(NpzBackend):
    def files(self, path):
        known = vars(self).setdefault("known_files", {})
        if path not in known:
            known[path] = super().files(path)
        return known[path]


class TestRemembersTheHashOfAPath(Toy):
    engine = Remembering


class Slow(NpzSession):
    def run(self, x):
        time.sleep(0.0015)
        return super().run(x)


class TestIsSlow(Toy):
    engine = type("SlowBackend", (NpzBackend,), {"session_class": Slow})


class Elsewhere(NpzBackend):
    def bare(self, path):
        return lambda x: np.zeros((1, 3), np.float32)


class TestNamesAnotherRuntimeAsItsOwn(Toy):
    engine = Elsewhere


class Tight(NpzBackend):
    def check_device(self):
        if self.config.device != Device.CPU:
            raise DeviceError("numpy cannot do that")


class TestDoesNotNameTheDevice(Toy):
    engine = Tight


class TestForgetsItsFixtures(BackendConformance):
    pass
