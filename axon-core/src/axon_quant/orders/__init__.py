"""Orders: what a strategy asks for, what a venue reports about it, and the state machine between the two."""

from axon_quant.orders.ids import ClientOrderIds
from axon_quant.orders.tracker import OrderState, OrderTracker
from axon_quant.orders.types import (
    Cancel,
    Fill,
    Liquidity,
    Order,
    OrderStatus,
    OrderType,
    OrderUpdate,
    Side,
    TimeInForce,
)

__all__ = [
    "Cancel",
    "ClientOrderIds",
    "Fill",
    "Liquidity",
    "Order",
    "OrderState",
    "OrderStatus",
    "OrderTracker",
    "OrderType",
    "OrderUpdate",
    "Side",
    "TimeInForce",
]
