"""The backend: reads a file, works out what it is, and serves it with numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from axon_backend_safetensors.architecture import Architecture, find, side_files
from axon_backend_safetensors.blas import set_threads
from axon_backend_safetensors.model import Model
from axon_backend_safetensors.reader import Tensors, read
from axon_backend_safetensors.session import NumpyEngine, SafetensorsSession
from axon_backend_safetensors.tape import Shape
from axon_quant.clock import Clock
from axon_quant.errors import DeviceError, ModelLoadError, UnsupportedError
from axon_quant.inference.backend import Backend
from axon_quant.inference.config import Device, ModelConfig
from axon_quant.inference.session import FloatArray

ENGINES = ("auto", "numpy", "numba")


class SafetensorsBackend(Backend):
    """Serves a `.safetensors` file on the CPU, in float32.

    `engine` is what computes: "numpy", "numba" (compiled kernels, single-threaded; needs the extra `numba`), or "auto":
    numba where it is installed, takes at most three quarters of numpy's time on this architecture and agrees with it,
    else numpy. The plan says which one runs, and loading with a plan never chooses.

    `num_threads` sets the threads of numpy's OpenBLAS, which are those of the whole process: the last load decides, and
    the plan says what it got. A `config.json` beside the file counts for the model's SHA-256 where it is used.
    """

    kind = "safetensors"

    def __init__(self, config: ModelConfig, *, engine: str = "auto", clock: Clock | None = None) -> None:
        """Raises ValueError for an engine that is not known."""
        if engine not in ENGINES:
            raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
        super().__init__(config, clock=clock)
        self._engine = engine

    @classmethod
    def builtin(cls, name: str, feature_names: Sequence[str] | None = None) -> Path:
        """The file of `demo-{T}x{F}` or `demo-{T}x{F}-reversion`. Raises ConfigError for another name."""
        from axon_backend_safetensors.demo import builtin_model

        return builtin_model(name, feature_names)

    def side_files(self, path: Path) -> Sequence[Path]:
        """The `config.json` beside a file that does not say itself what its tensors are for."""
        return side_files(path)

    def build_session(self, path: Path) -> SafetensorsSession:
        """Raises ModelLoadError for a wrong file, DeviceError for another device, UnsupportedError for fp16.

        PluginMissingError and ModelCheckError are for `engine="numba"`, where it is not there or disagrees with numpy.
        """
        return self._build_with(path, self._engine)

    def rebuild_session(self, path: Path, plan: Mapping[str, str]) -> SafetensorsSession:
        """With the engine of the plan. Raises as `build_session` does."""
        return self._build_with(path, plan.get("engine", "numpy").split()[0])

    def bare(self, path: Path) -> Callable[[FloatArray], object]:
        """numpy alone, without reused buffers. Raises UnsupportedError for more than linear layers and activations."""
        from axon_backend_safetensors.bare import plain_numpy

        tensors = read(path)
        return plain_numpy(find(path, tensors), tensors)

    def _build_with(self, path: Path, engine: str) -> SafetensorsSession:
        self._check_request(path)
        tensors = read(path)
        architecture = find(path, tensors)
        asked = self.config.input_shape
        window = architecture.window or (asked[1:] if asked is not None else _window_by_names(architecture, tensors))
        model = Model.of(architecture, tensors, window)
        plan = self._plan(architecture, model)
        if engine == "numpy" or (engine == "auto" and find_spec("numba") is None):
            return SafetensorsSession(model, NumpyEngine(model), {**plan, "engine": "numpy"})
        from axon_backend_safetensors.choice import with_numba, with_the_faster

        return with_numba(model, plan) if engine == "numba" else with_the_faster(model, plan)

    def _check_request(self, path: Path) -> None:
        config = self.config
        if config.device != Device.CPU:
            raise DeviceError(
                f"device: expected cpu, found {config.device}: numpy has no kernels for it",
                file=path,
                hint="serve the model with the onnx or the torch backend there",
            )
        if config.fp16:
            raise UnsupportedError(
                "precision: expected float32, found fp16=True: this backend has no half precision",
                plugin=self.kind,
                file=path,
                hint="leave fp16 out: F16 and BF16 weights are read, and computed with in float32",
            )

    def _plan(self, architecture: Architecture, model: Model) -> Mapping[str, str]:
        threads = set_threads(self.config.num_threads)
        plan = {
            "runtime": f"numpy {np.__version__}",
            "threads": "of the environment" if threads is None else str(threads),
            "precision": "float32",
            "architecture": architecture.source,
            "weights": ", ".join(model.dtypes) or "none",
        }
        if architecture.ignored:
            plan["ignored"] = ", ".join(architecture.ignored)
        return plan


def _window_by_names(architecture: Architecture, tensors: Tensors) -> Shape:
    """A Sequential is flattened in front, so its first layer tells how many inputs there are."""
    first = next((s for s in architecture.layers if isinstance(s, dict) and "name" in s), None)
    if not architecture.inferred or first is None:
        raise ModelLoadError("nothing says what the model's input is", hint="set input_shape, here or in the model")
    return (tensors.shape(f"{first['name']}.weight")[-1],)


CandleBackend = SafetensorsBackend
"""The name in systems that served safetensors with Candle."""
