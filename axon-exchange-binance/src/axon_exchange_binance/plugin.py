"""What the registry reads: light, without aiohttp or ccxt."""

from axon_quant.plugins import Capability, ExchangeDescriptor, hookimpl

__all__ = ["axon_exchanges"]

CAPABILITIES = frozenset(
    {
        Capability.MarketOrders,
        Capability.StopOrders,
        Capability.StopLimitOrders,
        Capability.PostOnly,
        Capability.ImmediateOrCancel,
        Capability.FillOrKill,
        Capability.CancelAll,
        Capability.ReplaceOrders,
        Capability.FetchOrder,
        Capability.OpenOrders,
        Capability.Fills,
        Capability.Balances,
        Capability.TradeStream,
        Capability.QuoteStream,
        Capability.BookStream,
        Capability.BarStream,
        Capability.TradeHistory,
        Capability.AccountStream,
        Capability.VenueClock,
        Capability.KeyPermissions,
    }
)
"""Spot. Binance changes orders by cancel-and-replace, knows balances but no positions, and has no dead-man switch."""


FUTURES_CAPABILITIES = (CAPABILITIES - {Capability.ReplaceOrders}) | {
    Capability.AmendOrders,
    Capability.CancelAfter,
    Capability.ReduceOnly,
    Capability.Leverage,
    Capability.MarginMode,
    Capability.Positions,
    Capability.Funding,
}
"""Orders are changed in place; stops are kept by a service apart, and cannot be changed while they wait."""


@hookimpl
def axon_exchanges() -> list[ExchangeDescriptor]:
    """The venues of this distribution."""
    return [
        ExchangeDescriptor(
            name="binance",
            target="axon_exchange_binance.adapter:BinanceAdapter",
            simulator="axon_exchange_binance.simulator:BinanceSimulator",
            summary="Binance spot: production or test network",
            capabilities=CAPABILITIES,
            api=1,
        ),
        ExchangeDescriptor(
            name="binance-futures",
            target="axon_exchange_binance.futures.adapter:BinanceFuturesAdapter",
            simulator="axon_exchange_binance.simulator.futures:BinanceFuturesSimulator",
            summary="Binance USDⓈ-M futures: linear perpetual swaps, production or demo trading",
            capabilities=FUTURES_CAPABILITIES,
            api=1,
        ),
    ]
