"""A plugin as it should be: every hook, nothing heavy."""

from axon_quant.plugins import (
    BackendDescriptor,
    Capability,
    EnsembleDescriptor,
    ExchangeDescriptor,
    ExplainerDescriptor,
    hookimpl,
)


@hookimpl
def axon_backends():
    yield BackendDescriptor(
        name="acme",
        target="axon_acme.engine:Engine",
        summary="Runs .acme models.",
        suffixes=(".acme",),
        capabilities=frozenset({Capability.Batch}),
        api=1,
    )


@hookimpl
def axon_exchanges():
    yield ExchangeDescriptor(
        name="acme",
        target="axon_acme.engine:Engine",
        summary="Acme spot markets.",
        capabilities=frozenset({Capability.PostOnly, Capability.BookStream}),
        api=1,
    )


@hookimpl
def axon_explainers():
    yield ExplainerDescriptor(name="acme", target="axon_acme.engine:Engine", summary="Gradients.", api=1)


@hookimpl
def axon_ensembles():
    yield EnsembleDescriptor(name="acme", target="axon_acme.engine:Engine", summary="A bandit.", api=1)
