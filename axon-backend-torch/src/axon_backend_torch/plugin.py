"""What the registry reads: light, without torch."""

from axon_quant.plugins import BackendDescriptor, Capability, hookimpl

__all__ = ["axon_backends"]


@hookimpl
def axon_backends() -> list[BackendDescriptor]:
    """The one backend of this distribution."""
    return [
        BackendDescriptor(
            name="torch",
            target="axon_backend_torch.backend:TorchBackend",
            summary="PyTorch on the CPU, or on an NVIDIA, AMD or Apple GPU that torch was built for",
            capabilities=frozenset({Capability.Batch, Capability.HalfPrecision, Capability.MultiThread}),
            api=1,
            suffixes=(".pt", ".pth", ".bin", ".torchscript", ".pt2"),
            devices=("cpu", "cuda", "mps"),
        )
    ]
