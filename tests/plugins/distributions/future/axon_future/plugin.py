"""Written for hook specs that this core does not speak, but for one."""

from axon_quant.plugins import BackendDescriptor, EnsembleDescriptor, hookimpl


@hookimpl
def axon_backends():
    yield BackendDescriptor(name="future", target="axon_future.engine:Engine", api=2)


@hookimpl
def axon_ensembles():
    yield EnsembleDescriptor(name="present", target="axon_future.engine:Engine", api=1)
