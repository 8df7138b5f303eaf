"""What the core itself provides, registered the way any plugin is."""

from __future__ import annotations

from collections.abc import Iterator

from axon_quant.plugins.capabilities import PAPER, Capability
from axon_quant.plugins.descriptors import EnsembleDescriptor, ExchangeDescriptor
from axon_quant.plugins.hookspecs import hookimpl

_LEARNS = (Capability.OnlineWeights, Capability.Gains)
_ENSEMBLES: tuple[tuple[str, str, str, tuple[Capability, ...]], ...] = (
    (
        "softmax-sharpe",
        "weighting:SoftmaxSharpe",
        "Softmax over rolling Sharpe ratios, smoothed; probabilities are averaged.",
        (Capability.OnlineWeights,),
    ),
    ("hedge", "online:Hedge", "Exponential weights: regret within √(T ln N / 2).", _LEARNS),
    ("adahedge", "online:AdaHedge", "Hedge that finds its own rate.", _LEARNS),
    ("boa", "online:Boa", "Bernstein online aggregation: a second-order regret bound.", _LEARNS),
    ("ml-poly", "online:MlPoly", "Polynomially weighted averages: nothing to tune.", _LEARNS),
    (
        "inverse-variance",
        "steadiness:InverseVariance",
        "Weights by 1 / variance of realised returns; probabilities are averaged.",
        (Capability.SteadyWeights,),
    ),
    ("soft-voting", "voting:SoftVoting", "The weighted mean of probabilities; weights stay as given.", ()),
    ("hard-voting", "voting:HardVoting", "One member, one vote.", (Capability.EqualVotes,)),
    ("weighted-voting", "voting:WeightedVoting", "Each member casts one vote that counts with its weight.", ()),
    ("stacking", "stacking:Stacking", "Convex weights or a learner, fitted beforehand.", (Capability.Fitted,)),
)
"""Name, target, summary and capabilities of each strategy."""


@hookimpl
def axon_exchanges() -> Iterator[ExchangeDescriptor]:
    """The embedded venue."""
    yield ExchangeDescriptor(
        name="paper",
        target="axon_quant.exchange:PaperAdapter",
        summary="Matches orders against recorded or live market data; nothing leaves the process.",
        capabilities=PAPER,
        api=1,
    )


@hookimpl
def axon_ensembles() -> Iterator[EnsembleDescriptor]:
    """The strategies of `DynamicWeightedEnsemble`."""
    for name, target, summary, capabilities in _ENSEMBLES:
        yield EnsembleDescriptor(
            name=name,
            target=f"axon_quant.ensemble.{target}",
            summary=summary,
            capabilities=frozenset(capabilities),
            api=1,
        )
