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
    if (
        order.order_type is OrderType.Limit
        and order.time_in_force is TimeInForce.GTC
        and not (order.post_only or order.reduce_only)
    ):
        return _NOTHING
    needed = {_FOR_TYPE.get(order.order_type), _FOR_TIME_IN_FORCE.get(order.time_in_force)}
    if order.post_only:
        needed.add(Capability.PostOnly)
    if order.reduce_only:
        needed.add(Capability.ReduceOnly)
    return frozenset(capability for capability in needed if capability is not None)


_NOTHING: Capabilities = frozenset()
_FOR_TYPE = {
    OrderType.Market: Capability.MarketOrders,
    OrderType.Stop: Capability.StopOrders,
    OrderType.StopLimit: Capability.StopLimitOrders,
}
_FOR_TIME_IN_FORCE = {
    TimeInForce.IOC: Capability.ImmediateOrCancel,
    TimeInForce.FOK: Capability.FillOrKill,
}
