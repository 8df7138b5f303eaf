"""What the registry reads: light, without onnxruntime."""

from axon_quant.plugins import BackendDescriptor, Capability, hookimpl

__all__ = ["axon_backends"]


@hookimpl
def axon_backends() -> list[BackendDescriptor]:
    """The one backend of this distribution."""
    return [
        BackendDescriptor(
            name="onnx",
            target="axon_backend_onnx.backend:OnnxBackend",
            summary="ONNX Runtime on the CPU, or on a GPU with the gpu extra",
            capabilities=frozenset({Capability.Batch, Capability.HalfPrecision, Capability.MultiThread}),
            api=1,
            suffixes=(".onnx",),
            devices=("cpu", "cuda"),
        )
    ]
