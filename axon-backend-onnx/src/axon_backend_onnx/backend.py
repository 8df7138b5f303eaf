"""The backend: builds sessions that run where they were asked to, as fast as the model's bits allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

from axon_backend_onnx.demo import builtin_model
from axon_backend_onnx.precision import check_precision, check_really_half
from axon_backend_onnx.weights import private_copy, read_architecture, read_weights
from axon_quant.clock import Clock
from axon_quant.errors import DeviceError, PluginError, PluginMissingError
from axon_quant.inference.backend import Backend
from axon_quant.inference.choosing import fastest_equal
from axon_quant.inference.config import ModelConfig
from axon_quant.inference.files import ModelFiles
from axon_quant.inference.pausing import pause
from axon_quant.inference.session import FloatArray

try:
    import onnxruntime as ort

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

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_NO_GPU = "the CUDA and cuDNN libraries, the driver or the GPU itself are missing: see nvidia-smi"
_DEVICES = {"cpu": ("cpu",), "cuda": ("cuda", "tensorrt")}
"""Kind of device → the providers that can run a model there."""


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
    is loaded from a private copy of all of them.
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
        if provider is not None and provider not in _PROVIDERS:
            raise ValueError(f"provider must be one of {', '.join(_PROVIDERS)}, got {provider!r}")
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
        return read_weights(path).sides

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
        weights = read_weights(path)
        check_precision(weights, fp16=self.config.fp16)
        if self.config.fp16 and self.config.device.kind == "cpu":
            check_really_half(path)
        pause()
        if not weights.sides:
            first, *others = [self._session_at(path, level) for level in levels]
        else:
            with private_copy(ModelFiles.at(path, weights.sides), self.expected) as copy:
                first, *others = [self._session_at(copy, level) for level in levels]
        return _fastest_equal(first, others) if others else first

    def _session_at(self, path: Path, level: str) -> OnnxSession:
        config = self.config
        providers = self._providers(path)
        options = ort.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised; its own messages would go to stderr
        options.intra_op_num_threads = config.num_threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_ENABLE_{level.upper()}")
        settings: dict[str, int] = {}
        if config.device.kind == "cuda":
            settings["device_id"] = config.device.index
            # Part of a model on the CPU is not the device that was asked for.
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        session = self._open(path, options, [(name, settings) for name in providers])
        pause()
        used = session.get_providers()[0]
        if used != providers[0]:  # onnxruntime falls back to the CPU without an exception
            raise DeviceError(
                f"device: expected {providers[0]}, found {used}",
                file=path,
                hint=_NO_GPU,
            )
        plan = {
            "runtime": f"onnxruntime {ort.__version__}",
            "provider": used,
            "optimisation": level,
            "threads": str(config.num_threads),
            "precision": "float16" if config.fp16 else "float32",
        }
        return OnnxSession(session, config.device, plan)

    def _open(
        self, path: Path, options: ort.SessionOptions, providers: list[tuple[str, dict[str, int]]]
    ) -> ort.InferenceSession:
        try:
            return ort.InferenceSession(path, options, providers=providers)
        except Exception as error:
            if self.config.device.kind == "cpu":
                raise
            # Without the CPU to fall back on, onnxruntime may say so with an exception of its own.
            raise DeviceError(
                f"device: {providers[0][0]} on {self.config.device} cannot run the model: {error}",
                file=path,
                hint=_NO_GPU,
            ) from error

    def _providers(self, path: Path) -> list[str]:
        """onnxruntime's names of what runs the model, first the one that was asked for."""
        kind = self.config.device.kind
        if kind not in _DEVICES:
            raise DeviceError(f"device: expected {' or '.join(_DEVICES)}, found {self.config.device}", file=path)
        wanted = self._provider or kind
        if wanted not in _DEVICES[kind]:
            raise DeviceError(
                f"provider: expected {' or '.join(_DEVICES[kind])} on {self.config.device}, found {wanted}", file=path
            )
        # What TensorRT has no kernel for runs on the same GPU with CUDA.
        return [_available(name, self.config, path) for name in dict.fromkeys([wanted, kind])]


def _available(provider: str, config: ModelConfig, path: Path) -> str:
    """onnxruntime's name of a provider. Raises DeviceError where it does not fit the device, or is not there."""
    name = _PROVIDERS[provider]
    available = ort.get_available_providers()
    if name not in available:
        raise DeviceError(
            f"device: {config.device} needs {name}, this onnxruntime has {', '.join(available)}",
            file=path,
            hint='pip uninstall onnxruntime, then pip install "axon-backend-onnx[gpu]"',
        )
    return name


def _fastest_equal(first: OnnxSession, others: Sequence[OnnxSession]) -> OnnxSession:
    """`first`, unless another one gives the same bits in less time."""
    if None in first.input_shape[1:]:
        return first  # nothing to time it on
    shape = (first.input_shape[0] or 1, *(size for size in first.input_shape[1:] if size is not None))
    return fastest_equal([first, *others], shape)
