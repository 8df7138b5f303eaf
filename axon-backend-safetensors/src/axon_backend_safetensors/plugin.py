"""What the registry reads: light, without numpy."""

from axon_quant.plugins import BackendDescriptor, Capability, hookimpl

__all__ = ["axon_backends"]


@hookimpl
def axon_backends() -> list[BackendDescriptor]:
    """The one backend of this distribution."""
    return [
        BackendDescriptor(
            name="safetensors",
            target="axon_backend_safetensors.backend:SafetensorsBackend",
            summary="safetensors weights on numpy: the smallest deployment, CPU only",
            capabilities=frozenset({Capability.Batch, Capability.MultiThread}),
            api=1,
            suffixes=(".safetensors",),
            devices=("cpu",),
        )
    ]
