"""axon's ONNX Runtime backend."""

import os
from typing import TYPE_CHECKING

# Releases of onnxruntime from 1.32 on send events and a device id to Microsoft unless this is set before their import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from axon_backend_onnx.backend import OnnxBackend
else:
    # The plugin module below this package must load without onnxruntime.
    def __getattr__(name):
        if name != "OnnxBackend":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from axon_backend_onnx.backend import OnnxBackend

        return OnnxBackend


__all__ = ["OnnxBackend"]
