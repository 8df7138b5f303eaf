"""What axon finds through the entry point; imports nothing heavy."""

from collections.abc import Iterator

from axon_quant.plugins import Capability, ExchangeDescriptor, hookimpl

CAPABILITIES = frozenset(
    {
        *(Capability.MarketOrders, Capability.PostOnly, Capability.ImmediateOrCancel, Capability.FillOrKill),
        *(Capability.FetchOrder, Capability.OpenOrders, Capability.Fills, Capability.Balances),
        *(Capability.VenueClock, Capability.AccountStream, Capability.TradeStream, Capability.QuoteStream),
    }
)


@hookimpl
def axon_exchanges() -> Iterator[ExchangeDescriptor]:
    """The one venue."""
    yield ExchangeDescriptor(
        name="example",
        target="axon_exchange_example.adapter:ExampleAdapter",
        simulator="axon_exchange_example.simulator:ExampleSimulator",
        summary="the Example Exchange: spot, by signed JSON over HTTP and one WebSocket",
        capabilities=CAPABILITIES,
        api=1,
    )
