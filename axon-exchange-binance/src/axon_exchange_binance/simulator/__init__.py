"""Binance spot on loopback: its wire protocol over the shared parts of `axon_quant.exchange.simulator`."""

from axon_exchange_binance.simulator.simulator import BinanceSimulator

__all__ = ["BinanceSimulator"]
