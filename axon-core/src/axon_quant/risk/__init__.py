"""Risk: what an order must pass before it is sent."""

from axon_quant.risk.limits import RiskLimits

__all__ = ["RiskLimits"]
