"""What OKX says when it does not do what it is asked: codes, messages and HTTP statuses of its documentation."""

from __future__ import annotations

from typing import NamedTuple

from axon_quant.exchange.simulator import Refusal, RefusedError


class Said(NamedTuple):
    """A code with its message. `status` is that of HTTP, where the whole request failed."""

    code: str
    message: str
    status: int = 200


class OkxError(Exception):
    """What OKX says, on its way to the client."""

    def __init__(self, said: Said) -> None:
        super().__init__(said.message)
        self.said = said


NO_BODY = Said("50000", "Body for POST request cannot be empty.", 400)
BAD_JSON = Said("50002", "JSON syntax error", 400)
EXPIRED = Said(
    "50036", "The expTime can't be earlier than the current system time. Please adjust the expTime and try again."
)
WRONG_ENVIRONMENT = Said("50101", "APIKey does not match current environment.", 401)
EXPIRED_TIME = Said("50102", "Timestamp request expired.", 401)
NO_KEY = Said("50103", 'Request header "OK-ACCESS-KEY" cannot be empty.', 401)
NO_PASSPHRASE = Said("50104", 'Request header "OK-ACCESS-PASSPHRASE" cannot be empty.', 401)
BAD_PASSPHRASE = Said("50105", 'Request header "OK-ACCESS-PASSPHRASE" incorrect.', 401)
NO_SIGNATURE = Said("50106", 'Request header "OK-ACCESS-SIGN" cannot be empty.', 401)
NO_TIME = Said("50107", 'Request header "OK-ACCESS-TIMESTAMP" cannot be empty.', 401)
BAD_KEY = Said("50111", "Invalid OK-ACCESS-KEY.", 401)
BAD_TIME = Said("50112", "Invalid OK-ACCESS-TIMESTAMP.", 401)
BAD_SIGNATURE = Said("50113", "Invalid signature.", 401)
BAD_METHOD = Said("50115", "Invalid request method.", 405)
NO_PERMISSION = Said("50120", "This API key doesn't have permission to use this function")
NO_INSTRUMENT = Said("51001", "Instrument ID, Instrument ID code or Spread ID doesn't exist.")
UNNAMED = Said("51003", "Either client order ID or order ID is required.")
WRONG_MODE = Said("51010", "Request unsupported under current account mode")
TOO_SMALL = Said("51020", "Your order should meet or exceed the minimum order amount.")
STOP_EXISTS = Said("51065", "algoClOrdId already exists.")
OFF_LOT = Said("51121", "Order quantity must be a multiple of the lot size.")
MARKET_TOO_LARGE = Said("51202", "Market order amount exceeds the maximum amount.")
NO_PRICE = Said("51204", "The price for the limit order cannot be empty.")
CANNOT_CANCEL = Said("51400", "Order cancellation failed as the order has been filled, canceled or does not exist.")
CANCEL_UNNAMED = Said("51407", "Either order ID or client order ID is required.")
NOTHING_TO_AMEND = Said("51500", "You must enter a price, quantity, or TP/SL")
CANNOT_AMEND_FUNDS = Said("51502", "Unable to edit order: insufficient balance or margin.")
CANNOT_AMEND = Said("51503", "Your order has already been filled or canceled.")
CANNOT_AMEND_POST_ONLY = Said(
    "51511", "Modification failed as the order price did not meet the requirement for Post Only."
)
AMENDED_TWICE = Said(
    "51512",
    "Failed to amend orders in batches. You cannot have duplicate orders in the same amend-batch-orders request.",
)
NO_LEVERAGE = Said("59102", "Leverage exceeds the maximum limit. Please lower the leverage.")
LEVERAGE_TOO_LOW = Said("59108", "Low leverage and insufficient margin, please adjust the leverage.")
NO_ORDER = Said("51603", "Order does not exist.")

_WRONG_SIDES = {
    ("tp", True): Said("51279", "TP trigger price cannot be lower than the last price."),
    ("tp", False): Said("51277", "TP trigger price cannot be higher than the last price."),
    ("sl", True): Said("51278", "SL trigger price cannot be lower than the last price."),
    ("sl", False): Said("51280", "SL trigger price cannot be higher than the last price."),
}
_REFUSALS = {
    Refusal.Symbol: NO_INSTRUMENT,
    Refusal.Duplicate: Said("51016", "Client order ID already exists."),
    Refusal.Permission: NO_PERMISSION,
    Refusal.NotFound: NO_ORDER,
    Refusal.Filter: OFF_LOT,
    Refusal.ReduceOnly: Said(
        "51169", "Order failed because you don't have any positions in this direction to reduce or close."
    ),
    Refusal.Leverage: NO_LEVERAGE,
}


def refused(code: str, message: str, status: int = 200) -> OkxError:
    """An error with a code of its own."""
    return OkxError(Said(code, message, status))


def said(error: RefusedError, asset: str) -> OkxError:
    """A refusal of the exchange to an order that pays with `asset`."""
    if error.kind is Refusal.Funds:
        return refused("51008", f"Order failed. Insufficient {asset} balance in account.")
    return OkxError(_REFUSALS.get(error.kind) or Said("51000", error.text))


def said_of_amendment(error: RefusedError) -> OkxError:
    """A refusal of the exchange to change an order."""
    known = {
        Refusal.Funds: CANNOT_AMEND_FUNDS,
        Refusal.PostOnly: CANNOT_AMEND_POST_ONLY,
        Refusal.NotFound: CANNOT_AMEND,
    }
    return OkxError(known.get(error.kind) or parameter("newSz").said)


def parameter(name: str) -> OkxError:
    """A parameter holds what it cannot."""
    return refused("51000", f"Parameter {name} error", 400)


def missing(name: str) -> OkxError:
    """A parameter is not there."""
    return refused("50014", f"Parameter {name} can not be empty.", 400)


def too_many(batch: str, most: int) -> OkxError:
    """A batch with more than it may have: to `place`, `cancel` or `amend`."""
    if batch == "place":
        return refused("51111", f"Maximum {most} orders can be placed in bulk.")
    if batch == "amend":
        return refused("51501", f"Maximum {most} orders can be modified.", 400)
    return refused("51406", f"Canceled - order count exceeds the limit {most}.", 400)


def outside_limits(highest: str, lowest: str) -> OkxError:
    """A price that is off the grid, or further from the market than OKX allows."""
    text = f"Order price is not within the price limit (max buy price: {highest} min sell price: {lowest})"
    return refused("51006", text)


def too_large(most: str) -> OkxError:
    """A limit order for more than the instrument allows."""
    return refused("51203", f"Order amount exceeds the limit {most}.")


def too_valuable(most: str, *, market: bool) -> OkxError:
    """An order that is worth more than the instrument allows."""
    if market:
        return refused("51201", f"The value of a market order can't exceed {most}.")
    return refused("51185", f"The maximum value allowed per order is {most} USD")


def wrong_side(kind: str, *, rises: bool) -> OkxError:
    """A take-profit (`tp`) or stop-loss (`sl`) order that would trigger at once; `rises`: it waits for a rise."""
    return OkxError(_WRONG_SIDES[kind, rises])
