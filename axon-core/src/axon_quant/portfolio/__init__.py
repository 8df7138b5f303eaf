"""Portfolio: the one owner of positions, cash, fees, realised and unrealised PnL, and equity."""

from axon_quant.portfolio.lots import Lots
from axon_quant.portfolio.portfolio import Portfolio, PortfolioSnapshot

__all__ = ["Lots", "Portfolio", "PortfolioSnapshot"]
