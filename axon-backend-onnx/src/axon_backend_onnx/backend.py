"""The backend: builds sessions that run where they were asked to, as fast as the model's bits allow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from axon_backend_onnx import protobuf
from axon_backend_onnx.demo import builtin_model
from axon_quant.clock import Clock
from axon_quant.errors import DeviceError, ModelLoadError, PluginMissingError
from axon_quant.inference.backend import Backend
from axon_quant.inference.choosing import fastest_equal
from axon_quant.inference.config import Device, ModelConfig

try:
    import onnxruntime as ort

    from axon_backend_onnx.session import OnnxSession
except ImportError as error:
    raise PluginMissingError(
        'OnnxBackend needs onnxruntime, which is not installed: pip install "axon-backend-onnx[cpu]"',
        plugin="onnx",
        hint="or [gpu] on a machine with an NVIDIA GPU, never both",
    ) from error

LEVELS = ("basic", "extended", "all")
"""onnxruntime's graph optimisation levels, from the one that keeps the graph's own arithmetic upwards."""

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxBackend(Backend):
    """Serves an `.onnx` file through ONNX Runtime, with `num_threads` intra-op threads and one inter-op thread.

    The optimisation level is `basic`, unless a higher one is at least 5 % faster here *and* gives the same bits on
    seeded noise: timing differs from run to run, and a replay must not. `optimisation` fixes the level instead. The
    model's plan says which one runs.
    """

    kind = "onnx"

    def __init__(self, config: ModelConfig, *, optimisation: str | None = None, clock: Clock | None = None) -> None:
        if optimisation is not None and optimisation not in LEVELS:
            raise ValueError(f"optimisation must be one of {', '.join(LEVELS)}, got {optimisation!r}")
        super().__init__(config, clock=clock)
        self._levels = LEVELS if optimisation is None else (optimisation,)

    @classmethod
    def builtin(cls, name: str, feature_names: Sequence[str] | None = None) -> Path:
        """The file of `demo-{T}x{F}` or `demo-{T}x{F}-reversion`. Raises ConfigError for another name."""
        return builtin_model(name, feature_names)

    def build_session(self, path: Path) -> OnnxSession:
        """Load the file at each level and keep the best one.

        Raises ModelLoadError for a file that is not ONNX or keeps its weights elsewhere, DeviceError for a provider or
        a precision that is not there.
        """
        _check_weights(path, self.config)
        first, *others = [self._session_at(path, level) for level in self._levels]
        return _fastest_equal(first, others) if others else first

    def _session_at(self, path: Path, level: str) -> OnnxSession:
        config = self.config
        provider = _provider(config.device, path)
        options = ort.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised; its own messages would go to stderr
        options.intra_op_num_threads = config.num_threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_ENABLE_{level.upper()}")
        settings = {"device_id": config.device.index} if config.device.kind == "cuda" else {}
        session = ort.InferenceSession(path, options, providers=[(provider, settings)])
        used = session.get_providers()[0]
        if used != provider:  # onnxruntime falls back to the CPU without an exception
            raise DeviceError(
                f"device: expected {provider}, found {used}",
                file=path,
                hint="the CUDA and cuDNN libraries, the driver or the GPU itself are missing: see nvidia-smi",
            )
        plan = {
            "runtime": f"onnxruntime {ort.__version__}",
            "provider": used,
            "optimisation": level,
            "threads": str(config.num_threads),
            "precision": "float16" if config.fp16 else "float32",
        }
        return OnnxSession(session, config.device, plan)


def _provider(device: Device, path: Path) -> str:
    provider = _PROVIDERS.get(device.kind)
    available = ort.get_available_providers()
    if provider is None:
        raise DeviceError(f"device: expected {' or '.join(_PROVIDERS)}, found {device}", file=path)
    if provider not in available:
        raise DeviceError(
            f"device: {device} needs {provider}, this onnxruntime has {', '.join(available)}",
            file=path,
            hint='pip uninstall onnxruntime, then pip install "axon-backend-onnx[gpu]"',
        )
    return provider


def _check_weights(path: Path, config: ModelConfig) -> None:
    """Refuse weights in other files, which the SHA-256 would not cover, and another precision than was asked for."""
    weights = set(protobuf.initializers(path.read_bytes()))
    if any(external for _, external in weights):
        raise ModelLoadError(
            "the model keeps its weights in another file, which its SHA-256 does not cover",
            file=path,
            hint="save it as one file: onnx.save(onnx.load(path), path)",
        )
    elements = {element for element, _ in weights}
    half = protobuf.ElementType.FLOAT16 in elements
    if config.fp16 and not half:
        raise DeviceError(
            "precision: expected float16 (fp16=True), found a model in float32",
            file=path,
            hint="convert the model to float16, or leave fp16 out",
        )
    if half and not config.fp16:
        raise DeviceError("precision: expected float32, found a model in float16", file=path, hint="set fp16=True")


def _fastest_equal(first: OnnxSession, others: Sequence[OnnxSession]) -> OnnxSession:
    """`first`, unless another one gives the same bits in less time."""
    if None in first.input_shape[1:]:
        return first  # nothing to time it on
    shape = (first.input_shape[0] or 1, *(size for size in first.input_shape[1:] if size is not None))
    return fastest_equal([first, *others], shape)
