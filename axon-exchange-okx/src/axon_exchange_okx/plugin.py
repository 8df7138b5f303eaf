"""What the registry reads: light, without aiohttp."""

from axon_quant.plugins import Capability, ExchangeDescriptor, hookimpl
from axon_quant.plugins.capabilities import EXCHANGE

__all__ = ["axon_exchanges"]

CAPABILITIES = EXCHANGE - {Capability.ReplaceOrders}
"""OKX amends orders in place; it does not cancel one and place another in one request."""


@hookimpl
def axon_exchanges() -> list[ExchangeDescriptor]:
    """The one venue of this distribution."""
    return [
        ExchangeDescriptor(
            name="okx",
            target="axon_exchange_okx.adapter:OkxAdapter",
            simulator="axon_exchange_okx.simulator:OkxSimulator",
            summary="OKX: spot and linear perpetual swaps, live or demo trading",
            capabilities=CAPABILITIES,
            api=1,
        )
    ]
