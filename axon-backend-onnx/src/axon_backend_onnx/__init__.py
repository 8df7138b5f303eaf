"""axon's ONNX Runtime backend."""

from typing import TYPE_CHECKING

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
