"""Ensembles: several models, one decision, weights that follow realised performance."""

from axon_quant.ensemble.dynamic import DynamicWeightedEnsemble, EnsembleMetrics
from axon_quant.ensemble.performance import Standing
from axon_quant.ensemble.voting import WeightedVoting
from axon_quant.ensemble.weighting import SoftmaxSharpe, WeightingRule

__all__ = [
    "DynamicWeightedEnsemble",
    "EnsembleMetrics",
    "SoftmaxSharpe",
    "Standing",
    "WeightedVoting",
    "WeightingRule",
]
