"""Offers a first-party name."""

from axon_quant.plugins import BackendDescriptor, hookimpl


@hookimpl
def axon_backends():
    yield BackendDescriptor(name="onnx", target="axon_onnx_fork.engine:Engine", api=1)
