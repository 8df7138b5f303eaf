"""The layers, with torch's parameter names and torch's numerics."""

from axon_backend_safetensors.layers.catalog import build

__all__ = ["build"]
