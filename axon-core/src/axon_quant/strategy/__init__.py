"""Strategy: from what the model says to what is ordered."""

from axon_quant.strategy.base import Context, Strategy
from axon_quant.strategy.loading import load_strategy
from axon_quant.strategy.target import TargetPosition

__all__ = ["Context", "Strategy", "TargetPosition", "load_strategy"]
