"""What the core itself provides, registered the way any plugin is."""

from __future__ import annotations

from collections.abc import Iterator

from axon_quant.plugins.capabilities import EXCHANGE, Capability
from axon_quant.plugins.descriptors import EnsembleDescriptor, ExchangeDescriptor
from axon_quant.plugins.hookspecs import hookimpl


@hookimpl
def axon_exchanges() -> Iterator[ExchangeDescriptor]:
    """The embedded venue."""
    yield ExchangeDescriptor(
        name="paper",
        target="axon_quant.exchange:PaperAdapter",
        summary="Matches orders against recorded or live market data; nothing leaves the process.",
        capabilities=EXCHANGE - {Capability.CancelAll},
        api=1,
    )


@hookimpl
def axon_ensembles() -> Iterator[EnsembleDescriptor]:
    """The strategies of `DynamicWeightedEnsemble`."""
    yield EnsembleDescriptor(
        name="softmax-sharpe",
        target="axon_quant.ensemble.weighting:SoftmaxSharpe",
        summary="Softmax over rolling Sharpe ratios, smoothed; probabilities are averaged.",
        capabilities=frozenset({Capability.OnlineWeights}),
        api=1,
    )
    yield EnsembleDescriptor(
        name="weighted-voting",
        target="axon_quant.ensemble.voting:WeightedVoting",
        summary="Each member casts one vote that counts with its weight.",
        api=1,
    )
