"""axon's ONNX Runtime backend."""

__all__: list[str] = []
