"""axon's PyTorch backend."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from axon_backend_torch.backend import TchBackend, TorchBackend
else:
    # The plugin module below this package must load without torch.
    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from axon_backend_torch.backend import TorchBackend

        return TorchBackend


__all__ = ["TchBackend", "TorchBackend"]
