"""What Binance's futures say when they do not do what they are asked, word for word."""

from __future__ import annotations

from decimal import Decimal

from axon_exchange_binance.simulator.errors import BinanceError
from axon_quant.exchange.simulator import Refusal, RefusedError

CONDITIONAL = BinanceError(
    -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
)
POSITION_SIDE = BinanceError(-4061, "Order's position side does not match user's setting.")
SAME_POSITION_SIDE = BinanceError(-4059, "No need to change position side.")
SAME_MARGIN_TYPE = BinanceError(-4046, "No need to change margin type.")
OPEN_ORDERS = BinanceError(-4047, "Margin type cannot be changed if there exists open orders.")
OPEN_POSITION = BinanceError(-4048, "Margin type cannot be changed if there exists position.")
NO_CHANGE = BinanceError(-5027, "No need to modify the order.")
NO_LISTEN_KEY = BinanceError(-1125, "This listenKey does not exist.")
OFF_GRID = BinanceError(-4014, "Price not increased by tick size.")
NOT_IN_LOTS = BinanceError(-4023, "Qty not increased by step size.")
TOO_LITTLE = BinanceError(-4003, "Quantity less than zero.")
TOO_MUCH = BinanceError(-4005, "Quantity greater than max quantity.")

_REFUSALS = {
    Refusal.Symbol: (-1121, "Invalid symbol."),
    Refusal.Duplicate: (-4116, "ClientOrderId is duplicated."),
    Refusal.Funds: (-2019, "Margin is insufficient."),
    Refusal.PostOnly: (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected.",
    ),
    Refusal.SelfTrade: (-2010, "Order would trade with an order of the same account."),
    Refusal.NoLiquidity: (-1112, "No orders on book for symbol."),
    Refusal.StopPrice: (-2021, "Order would immediately trigger."),
    Refusal.NotFound: (-2011, "Unknown order sent."),
    Refusal.Permission: (-2015, "Invalid API-key, IP, or permissions for action."),
    Refusal.Filter: (-1013, "Invalid quantity."),
    Refusal.ReduceOnly: (-2022, "ReduceOnly Order is rejected."),
    Refusal.Leverage: (-4028, "Leverage is not valid"),
    Refusal.Position: (-4048, "Margin type cannot be changed if there exists position."),
}


def said(error: RefusedError) -> BinanceError:
    """A refusal of the exchange, in Binance's words."""
    return BinanceError(*_REFUSALS[error.kind])


def small(least: Decimal) -> BinanceError:
    """An order is worth too little."""
    return BinanceError(-4164, f"Order's notional must be no smaller than {least:f} (unless you choose reduce only).")


def too_high(cap: Decimal) -> BinanceError:
    """A buy is above the band around the mark price."""
    return BinanceError(-4016, f"Limit price can't be higher than {cap.normalize():f}.")


def too_low(floor: Decimal) -> BinanceError:
    """A sell is below the band around the mark price."""
    return BinanceError(-4024, f"Limit price can't be lower than {floor.normalize():f}.")
