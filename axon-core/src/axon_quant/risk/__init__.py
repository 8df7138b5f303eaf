"""Risk: what an order must pass before it is sent."""

from axon_quant.risk.engine import RiskEngine
from axon_quant.risk.limits import RiskLimits
from axon_quant.risk.types import Account, FixedAccount, LastPrices, Prices, RiskDecision, RiskSnapshot, RiskState

__all__ = [
    "Account",
    "FixedAccount",
    "LastPrices",
    "Prices",
    "RiskDecision",
    "RiskEngine",
    "RiskLimits",
    "RiskSnapshot",
    "RiskState",
]
