"""The four hooks a plugin may implement. They take no arguments, return descriptors, and run once per process.

A plugin is a distribution with an entry point in the group `axon_quant` that names a light module:

    [project.entry-points.axon_quant]
    acme = "axon_acme.plugin"

That module imports nothing heavy; whatever it provides stands in other modules, which the descriptors name as strings.
"""

from __future__ import annotations

from collections.abc import Iterable

from pluggy import HookimplMarker, HookspecMarker

from axon_quant.plugins.descriptors import (
    BackendDescriptor,
    Descriptor,
    EnsembleDescriptor,
    ExchangeDescriptor,
    ExplainerDescriptor,
)

PROJECT = "axon_quant"
"""The entry-point group, and the project name pluggy knows us by."""

hookspec = HookspecMarker(PROJECT)
hookimpl = HookimplMarker(PROJECT)
"""Marks a function of a plugin module as the implementation of the hook of the same name."""


@hookspec
def axon_backends() -> Iterable[BackendDescriptor]:
    """Inference backends, each a `Backend` class that is called with a ModelConfig.

    A full plugin module:

        from axon_quant.plugins import BackendDescriptor, Capability, hookimpl

        @hookimpl
        def axon_backends():
            yield BackendDescriptor(
                name="acme",
                target="axon_acme.backend:AcmeBackend",
                summary="Runs .acme models.",
                suffixes=(".acme",),
                devices=("cpu", "cuda"),
                capabilities=frozenset({Capability.Batch, Capability.HalfPrecision}),
                api=1,
            )
    """
    raise NotImplementedError


@hookspec
def axon_exchanges() -> Iterable[ExchangeDescriptor]:
    """Exchanges, each an `ExchangeAdapter` class that is called with an ExchangeConfig.

    A full plugin module:

        from axon_quant.plugins import Capability, ExchangeDescriptor, hookimpl

        @hookimpl
        def axon_exchanges():
            yield ExchangeDescriptor(
                name="acme",
                target="axon_acme.exchange:AcmeAdapter",
                summary="Acme spot markets.",
                capabilities=frozenset({Capability.BookStream, Capability.PostOnly}),
                api=1,
            )
    """
    raise NotImplementedError


@hookspec
def axon_explainers() -> Iterable[ExplainerDescriptor]:
    """Explainers, each a class that is called with the model it explains.

    A full plugin module:

        from axon_quant.plugins import Capability, ExplainerDescriptor, hookimpl

        @hookimpl
        def axon_explainers():
            yield ExplainerDescriptor(
                name="acme-gradients",
                target="axon_acme.explain:GradientExplainer",
                summary="Integrated gradients.",
                capabilities=frozenset({Capability.Attribution}),
                api=1,
            )
    """
    raise NotImplementedError


@hookspec
def axon_ensembles() -> Iterable[EnsembleDescriptor]:
    """Ensemble strategies, each a `WeightingRule` made by `target(initial, window, **options)`.

    A full plugin module:

        from axon_quant.plugins import Capability, EnsembleDescriptor, hookimpl

        @hookimpl
        def axon_ensembles():
            yield EnsembleDescriptor(
                name="acme-bandit",
                target="axon_acme.bandit:BanditRule",
                summary="Thompson sampling over the members.",
                capabilities=frozenset({Capability.OnlineWeights}),
                api=1,
            )
    """
    raise NotImplementedError


HOOKS: dict[str, type[Descriptor]] = {
    axon_backends.__name__: BackendDescriptor,
    axon_exchanges.__name__: ExchangeDescriptor,
    axon_explainers.__name__: ExplainerDescriptor,
    axon_ensembles.__name__: EnsembleDescriptor,
}
"""Each hook and the class of descriptor it returns."""
