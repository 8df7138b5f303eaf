"""Yields what is no descriptor."""

from axon_quant.plugins import BackendDescriptor, hookimpl


@hookimpl
def axon_backends():
    yield BackendDescriptor(name="pearl", target="axon_garbage.engine:Engine", api=1)
    yield {"name": "swill"}
