"""OKX spot and linear perpetual swaps on loopback, over the shared parts of `axon_quant.exchange.simulator`."""

from axon_exchange_okx.simulator.simulator import OkxSimulator

__all__ = ["OkxSimulator"]
