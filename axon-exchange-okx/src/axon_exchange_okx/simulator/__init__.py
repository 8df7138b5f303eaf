"""OKX spot on loopback: its wire protocol over the shared parts of `axon_quant.exchange.simulator`."""

from axon_exchange_okx.simulator.simulator import OkxSimulator

__all__ = ["OkxSimulator"]
