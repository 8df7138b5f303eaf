"""A simulator of Binance's USDⓈ-M futures."""

from axon_exchange_binance.simulator.futures.simulator import BinanceFuturesSimulator

__all__ = ["BinanceFuturesSimulator"]
