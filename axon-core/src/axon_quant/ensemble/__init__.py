"""Ensembles: several models, one decision, weights that follow realised performance."""

from axon_quant.ensemble.drift import Cusum, Detector, FeatureCusum
from axon_quant.ensemble.dynamic import DynamicWeightedEnsemble, EnsembleMetrics
from axon_quant.ensemble.fitting import StackingFit, fit_stacking, member_probabilities
from axon_quant.ensemble.folds import walk_forward
from axon_quant.ensemble.performance import Standing
from axon_quant.ensemble.psi import Psi
from axon_quant.ensemble.remembering import Stateful
from axon_quant.ensemble.voting import WeightedVoting
from axon_quant.ensemble.weighting import FittedRule, SoftmaxSharpe, WeightingRule
from axon_quant.events import EnsembleState

__all__ = [
    "Cusum",
    "Detector",
    "DynamicWeightedEnsemble",
    "EnsembleMetrics",
    "EnsembleState",
    "FeatureCusum",
    "FittedRule",
    "Psi",
    "SoftmaxSharpe",
    "StackingFit",
    "Standing",
    "Stateful",
    "WeightedVoting",
    "WeightingRule",
    "fit_stacking",
    "member_probabilities",
    "walk_forward",
]
