"""Claims a name that another distribution claims, too, and one that is its own."""

from axon_quant.plugins import BackendDescriptor, hookimpl


@hookimpl
def axon_backends():
    yield BackendDescriptor(name="contested", target="axon_claim_two.engine:Engine", api=1)
    yield BackendDescriptor(name="only-two", target="axon_claim_two.engine:Engine", api=1)
