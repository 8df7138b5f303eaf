"""One hook works, the other one fails after it has yielded something."""

from axon_quant.plugins import BackendDescriptor, EnsembleDescriptor, hookimpl


@hookimpl
def axon_backends():
    yield BackendDescriptor(name="half-way", target="axon_broken_hook.engine:Engine", api=1)
    raise RuntimeError("the hook fell over")


@hookimpl
def axon_ensembles():
    yield EnsembleDescriptor(name="sturdy", target="axon_broken_hook.engine:Engine", api=1)
