"""What OKX says when it does not do what it is asked."""

from __future__ import annotations

from axon_quant.exchange.simulator import Refusal, RefusedError


class OkxError(Exception):
    """A code with its message. `status` is that of HTTP, where the whole request failed."""

    def __init__(self, code: str, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


NO_KEY = OkxError("50103", "Request header OK-ACCESS-KEY can not be empty.", 401)
BAD_KEY = OkxError("50111", "Invalid OK-ACCESS-KEY", 401)
BAD_PASSPHRASE = OkxError("50105", "Request header OK-ACCESS-PASSPHRASE incorrect.", 401)
BAD_SIGNATURE = OkxError("50113", "Invalid Sign", 401)
BAD_TIME_FORMAT = OkxError("50112", "Invalid OK-ACCESS-TIMESTAMP", 401)
EXPIRED_TIME = OkxError("50102", "Timestamp request expired", 401)
WRONG_ENVIRONMENT = OkxError("50101", "APIKey does not match current environment.", 401)
EXPIRED = OkxError(
    "50036", "The expTime can't be earlier than the current system time. Please adjust the expTime and try again."
)
NO_INSTRUMENT = OkxError("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
NO_ORDER = OkxError("51603", "Order does not exist.")
NO_STOP = OkxError("51603", "Order does not exist.")
FINISHED = {
    "filled": OkxError("51402", "Order cancellation failed as the order has been completed."),
    "canceled": OkxError("51401", "Order cancellation failed as the order has been canceled."),
}
AMEND_FINISHED = OkxError("51503", "Your order has already been filled or canceled.")

_REFUSALS = {
    Refusal.Symbol: ("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist."),
    Refusal.Duplicate: ("51016", "Client order ID already exists."),
    Refusal.Funds: ("51008", "Order failed. Insufficient balance in account."),
    Refusal.PostOnly: ("51277", "Post-only order would take."),
    Refusal.SelfTrade: ("51174", "The order would trade with another order of the account."),
    Refusal.NoLiquidity: ("51031", "The order book has nothing to take."),
    Refusal.StopPrice: ("51280", "SL trigger price cannot be reached at once."),
    Refusal.NotFound: ("51603", "Order does not exist."),
    Refusal.Permission: ("50120", "This API key doesn't have permission to use this function"),
    Refusal.Filter: ("51121", "Order quantity must be a multiple of the lot size."),
}


def said(error: RefusedError) -> OkxError:
    """A refusal of the exchange, in OKX's codes."""
    code, message = _REFUSALS[error.kind]
    if error.kind is Refusal.Filter and error.text.startswith("price"):
        code, message = "51000", "Parameter px error"
    return OkxError(code, message)


def parameter(name: str) -> OkxError:
    """A parameter that is missing or holds what it cannot."""
    return OkxError("51000", f"Parameter {name} error")
