"""axon's safetensors backend: numpy alone, without torch."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from axon_backend_safetensors.backend import CandleBackend, SafetensorsBackend
else:
    # The plugin module below this package must load without numpy.
    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from axon_backend_safetensors import backend

        return getattr(backend, name)


__all__ = ["CandleBackend", "SafetensorsBackend"]
