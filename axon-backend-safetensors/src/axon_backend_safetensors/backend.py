"""The backend: reads a file, works out what it is, and serves it with numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from axon_backend_safetensors.architecture import Architecture, config_sha256, find
from axon_backend_safetensors.blas import set_threads
from axon_backend_safetensors.reader import Tensors, read
from axon_backend_safetensors.session import SafetensorsSession
from axon_backend_safetensors.tape import Shape
from axon_quant.errors import DeviceError, ModelLoadError
from axon_quant.inference.backend import Backend
from axon_quant.inference.config import Device


class SafetensorsBackend(Backend):
    """Serves a `.safetensors` file on the CPU, in float32.

    `num_threads` sets the threads of numpy's OpenBLAS, which are those of the whole process: the last load decides, and
    the plan says what it got. A `config.json` beside the file is not covered by the model's SHA-256: its own stands in
    the plan as `config_sha256`, and a pinned model refuses it until it is sealed into the file.
    """

    kind = "safetensors"

    @classmethod
    def builtin(cls, name: str, feature_names: Sequence[str] | None = None) -> Path:
        """The file of `demo-{T}x{F}` or `demo-{T}x{F}-reversion`. Raises ConfigError for another name."""
        from axon_backend_safetensors.demo import builtin_model

        return builtin_model(name, feature_names)

    def build_session(self, path: Path) -> SafetensorsSession:
        """Raises DeviceError for another device than the CPU and for fp16, ModelLoadError for a wrong file."""
        self._check_request(path)
        tensors = read(path)
        architecture = find(path, tensors)
        if architecture.config_sha256 is not None:
            self._check_config(architecture.config_sha256, path)
        asked = self.config.input_shape
        window = architecture.window or (asked[1:] if asked is not None else _window_by_names(architecture, tensors))
        return SafetensorsSession(architecture, tensors, window, self._plan(architecture))

    def _check_request(self, path: Path) -> None:
        config = self.config
        if config.device != Device.CPU:
            raise DeviceError(
                f"device: expected cpu, found {config.device}: numpy has no kernels for it",
                file=path,
                hint="serve the model with the onnx or the torch backend there",
            )
        if config.fp16:
            raise DeviceError(
                "precision: expected float32, found fp16=True: this backend has no half precision",
                file=path,
                hint="leave fp16 out: F16 and BF16 weights are read, and computed with in float32",
            )

    def _check_config(self, sha256: str, path: Path) -> None:
        if self.config.sha256 is not None:
            raise ModelLoadError(
                "the pinned SHA-256 does not cover the config.json beside the model",
                file=path,
                hint="seal it in: python -m axon_backend_safetensors MODEL CONFIG, and pin the new SHA-256",
            )
        if config_sha256(path) != sha256:
            raise ModelLoadError("config.json changed while the model was loaded", file=path)

    def _plan(self, architecture: Architecture) -> Mapping[str, str]:
        threads = set_threads(self.config.num_threads)
        plan = {
            "runtime": f"numpy {np.__version__}",
            "provider": "numpy",
            "threads": "of the environment" if threads is None else str(threads),
            "precision": "float32",
            "architecture": architecture.source,
        }
        if architecture.ignored:
            plan["ignored"] = ", ".join(architecture.ignored)
        if architecture.config_sha256 is not None:
            plan["config_sha256"] = architecture.config_sha256
        return plan


def _window_by_names(architecture: Architecture, tensors: Tensors) -> Shape:
    """A Sequential is flattened in front, so its first layer tells how many inputs there are."""
    first = next((s for s in architecture.layers if isinstance(s, dict) and "name" in s), None)
    if not architecture.inferred or first is None:
        raise ModelLoadError("nothing says what the model's input is", hint="set input_shape, here or in the model")
    return (tensors.shape(f"{first['name']}.weight")[-1],)


CandleBackend = SafetensorsBackend
"""The name in systems that served safetensors with Candle."""
