"""The backend: builds sessions that run where they were asked to, as fast as the model's bits allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

from axon_backend_onnx.demo import builtin_model
from axon_backend_onnx.weights import Content, private_copy, read_architecture, read_content
from axon_quant.clock import Clock
from axon_quant.errors import PluginError, PluginMissingError
from axon_quant.inference.backend import Backend
from axon_quant.inference.choosing import fastest_equal
from axon_quant.inference.config import ModelConfig
from axon_quant.inference.files import ModelFiles
from axon_quant.inference.pausing import pause
from axon_quant.inference.session import FloatArray

try:
    import onnxruntime as ort

    from axon_backend_onnx.precision import precision
    from axon_backend_onnx.providers import PROVIDERS, Settings, open_session, pick
    from axon_backend_onnx.session import OnnxSession
except ImportError as error:
    raise PluginMissingError(
        'OnnxBackend needs onnxruntime, which is not installed: pip install "axon-backend-onnx[cpu]"',
        plugin="onnx",
        hint="or [gpu] on a machine with an NVIDIA GPU, never both",
    ) from error

if len(owners := [name for name in ("onnxruntime", "onnxruntime-gpu") if any(distributions(name=name))]) > 1:
    raise PluginError(
        f"{' and '.join(owners)} are both installed, and own the same folder: nobody can say which one runs",
        plugin="onnx",
        hint=f"pip uninstall {' '.join(owners)}, then install one of the extras again",
    )

LEVELS = ("basic", "extended", "all")
"""onnxruntime's graph optimisation levels, from the one that keeps the graph's own arithmetic upwards."""


class _Choice(NamedTuple):
    """The optimisation level that is the best one for an architecture here."""

    architecture: str
    level: str


class OnnxBackend(Backend):
    """Serves an `.onnx` file through ONNX Runtime, with `num_threads` intra-op threads and one inter-op thread.

    The optimisation level is `basic`, unless a higher one is at least 5 % faster here *and* gives the same bits on
    seeded noise: timing differs from run to run, and a replay must not. The choice is kept for models that differ from
    the last one in nothing but their weights, so that a new version is built once and not at each level.
    `optimisation` fixes the level instead. The model's plan says which one runs.

    On a GPU the `provider` is `cuda`, or `tensorrt` where it is asked for. A model whose weights stand in other files
    is loaded from a private copy of all of them. `fp16=True` is refused where onnxruntime would compute in float32.
    """

    kind = "onnx"

    def __init__(
        self,
        config: ModelConfig,
        *,
        optimisation: str | None = None,
        provider: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        if optimisation is not None and optimisation not in LEVELS:
            raise ValueError(f"optimisation must be one of {', '.join(LEVELS)}, got {optimisation!r}")
        if provider is not None and provider not in PROVIDERS:
            raise ValueError(f"provider must be one of {', '.join(PROVIDERS)}, got {provider!r}")
        super().__init__(config, clock=clock)
        self._provider = provider
        self._levels = LEVELS if optimisation is None else (optimisation,)
        self._kept: _Choice | None = None

    @classmethod
    def builtin(cls, name: str, feature_names: Sequence[str] | None = None) -> Path:
        """The file of `demo-{T}x{F}` or `demo-{T}x{F}-reversion`. Raises ConfigError for another name."""
        return builtin_model(name, feature_names)

    def side_files(self, path: Path) -> Sequence[Path]:
        """The files that the model keeps its weights in, as it names them."""
        return read_content(path).sides(path)

    def build_session(self, path: Path) -> OnnxSession:
        """Load the file at each level and keep the best one, or at the level that is known from another version.

        Raises ModelLoadError for a file that is not ONNX, or whose weights are not beside it; DeviceError for a
        provider or a precision that is not there.
        """
        architecture = read_architecture(path)
        pause()
        kept = self._kept
        if kept is not None and kept.architecture == architecture and kept.level in self._levels:
            return self._build_at(path, (kept.level,))
        return self._keep(architecture, self._build_at(path, self._levels), path)

    def rebuild_session(self, path: Path, plan: Mapping[str, str]) -> OnnxSession:
        """Load the file at the plan's level. Raises as `build_session` does."""
        architecture, level = read_architecture(path), plan.get("optimisation")
        session = self._build_at(path, self._levels if level not in LEVELS else (level,))
        return self._keep(architecture, session, path)

    def bare(self, path: Path) -> Callable[[FloatArray], object]:
        """`InferenceSession.run` with a feed, on the CPU with one thread: the way its documentation shows."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda x: session.run(None, {name: x})[0]

    def _keep(self, architecture: str, session: OnnxSession, path: Path) -> OnnxSession:
        if read_architecture(path) == architecture:  # and not that of a file that was written meanwhile
            self._kept = _Choice(architecture, session.plan["optimisation"])
        return session

    def _build_at(self, path: Path, levels: Sequence[str]) -> OnnxSession:
        content = read_content(path)
        pause()
        sides = content.sides(path)
        if not sides:
            return self._best_of(path, levels, content)
        with private_copy(ModelFiles.at(path, sides), self.expected) as copy:
            return self._best_of(copy, levels, content)

    def _best_of(self, path: Path, levels: Sequence[str], content: Content) -> OnnxSession:
        config = self.config
        providers = pick(self._provider, config.device, fp16=config.fp16)
        computed_in = precision(content, path, fp16=config.fp16, cpu=config.device.kind == "cpu")
        pause()
        first, *others = [self._session_at(path, level, providers, computed_in) for level in levels]
        return _fastest_equal(first, others) if others else first

    def _session_at(self, path: Path, level: str, providers: Settings, computed_in: Mapping[str, str]) -> OnnxSession:
        config = self.config
        options = ort.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised; its own messages would go to stderr
        options.intra_op_num_threads = config.num_threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_ENABLE_{level.upper()}")
        session = open_session(path, options, providers, config.device)
        pause()
        plan = {
            "runtime": f"onnxruntime {ort.__version__}",
            "provider": providers[0][0],
            "optimisation": level,
            "threads": str(config.num_threads),
            **computed_in,
        }
        return OnnxSession(session, config.device, plan)


def _fastest_equal(first: OnnxSession, others: Sequence[OnnxSession]) -> OnnxSession:
    """`first`, unless another one gives the same bits in less time."""
    if None in first.input_shape[1:]:
        return first  # nothing to time it on
    shape = (first.input_shape[0] or 1, *(size for size in first.input_shape[1:] if size is not None))
    return fastest_equal([first, *others], shape)
