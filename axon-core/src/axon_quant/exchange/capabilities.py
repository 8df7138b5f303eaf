"""What a venue can do beyond what every venue can: limit orders that stand until cancelled, and cancels."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from axon_quant.orders.types import Order, OrderType, TimeInForce
from axon_quant.plugins.capabilities import Capability

__all__ = ["Capabilities", "Capability", "Channel", "needed_by"]

Capabilities: TypeAlias = frozenset[Capability]


class Channel(Enum):
    """A public stream of market data."""

    Trades = "trades"
    Quotes = "quotes"
    Book = "book"
    Bars = "bars"

    @property
    def capability(self) -> Capability:
        """What an adapter must declare to offer this channel."""
        return _CHANNELS[self]


_CHANNELS = {
    Channel.Trades: Capability.TradeStream,
    Channel.Quotes: Capability.QuoteStream,
    Channel.Book: Capability.BookStream,
    Channel.Bars: Capability.BarStream,
}


def needed_by(order: Order) -> Capabilities:
    """The capabilities a venue must have to take `order`."""
    asked = {
        Capability.MarketOrders: order.order_type is OrderType.Market,
        Capability.StopOrders: order.order_type is OrderType.Stop,
        Capability.StopLimitOrders: order.order_type is OrderType.StopLimit,
        Capability.PostOnly: order.post_only,
        Capability.ImmediateOrCancel: order.time_in_force is TimeInForce.IOC,
        Capability.FillOrKill: order.time_in_force is TimeInForce.FOK,
        Capability.ReduceOnly: order.reduce_only,
    }
    return frozenset(capability for capability, needed in asked.items() if needed)
