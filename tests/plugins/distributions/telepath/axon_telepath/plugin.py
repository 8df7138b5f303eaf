"""Declares what no core has heard of, and what belongs to another kind."""

from axon_quant.plugins import BackendDescriptor, Capability, ExchangeDescriptor, hookimpl


@hookimpl
def axon_backends():
    capabilities = frozenset({Capability.Batch, "telepathy"})
    yield BackendDescriptor(name="telepath", target="axon_telepath.engine:Engine", capabilities=capabilities, api=1)


@hookimpl
def axon_exchanges():
    capabilities = frozenset({Capability.Batch})
    yield ExchangeDescriptor(name="telepath", target="axon_telepath.engine:Engine", capabilities=capabilities, api=1)
