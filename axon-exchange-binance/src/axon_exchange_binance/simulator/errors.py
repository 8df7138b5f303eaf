"""What Binance says when it does not do what it is asked, word for word."""

from __future__ import annotations

from axon_quant.exchange.simulator import Answer, Limit, Refusal, RefusedError, Verdict

_STREAMS_INSTEAD = "Please use WebSocket Streams for live updates to avoid"


class BinanceError(Exception):
    """An error code with its message, on its way to the client; `data` is what some of them say besides."""

    def __init__(self, code: int, message: str, status: int = 400, *, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.data = data

    @property
    def body(self) -> dict[str, object]:
        """As JSON."""
        said: dict[str, object] = {"code": self.code, "msg": self.message}
        return said if self.data is None else {**said, "data": self.data}

    def answer(self) -> Answer:
        """As a response."""
        return Answer(self.body, self.status)


NO_SUCH_ORDER = BinanceError(-2013, "Order does not exist.")
UNKNOWN_CANCEL = BinanceError(-2011, "Unknown order sent.")
RESTRICTED_CANCEL = BinanceError(-2011, "Order was not canceled due to cancel restrictions.")
BAD_RESTRICTION = BinanceError(-1145, "Invalid cancelRestrictions")
BAD_SIGNATURE = BinanceError(-1022, "Signature for this request is not valid.")
BAD_KEY = BinanceError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
BAD_KEY_FORMAT = BinanceError(-2014, "API-key format invalid.", 401)
BAD_SYMBOL = BinanceError(-1121, "Invalid symbol.")
BAD_INTERVAL = BinanceError(-1120, "Invalid interval.")
BAD_RECV_WINDOW = BinanceError(-1131, "recvWindow must be less than 60000")
TOO_EARLY = BinanceError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
TOO_LATE = BinanceError(-1021, "Timestamp for this request is outside of the recvWindow.")
BUSY = BinanceError(
    -1008, "Server is currently overloaded with other requests. Please try again in a few minutes.", 503
)
UNKNOWN = (
    BinanceError(
        -1007,
        "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        504,
    ),
    BinanceError(-1006, "An unexpected response was received from the message bus. Execution status unknown.", 503),
    BinanceError(-1000, "An unknown error occurred while processing the request.", 503),
)

_REFUSALS = {
    Refusal.Symbol: (-1121, "Invalid symbol."),
    Refusal.Duplicate: (-2010, "Duplicate order sent."),
    Refusal.Funds: (-2010, "Account has insufficient balance for requested action."),
    Refusal.PostOnly: (-2010, "Order would immediately match and take."),
    Refusal.SelfTrade: (-2010, "Order would trade with an order of the same account."),
    Refusal.NoLiquidity: (-1112, "No orders on book for symbol."),
    Refusal.StopPrice: (-2010, "Order would trigger immediately."),
    Refusal.NotFound: (-2011, "Unknown order sent."),
    Refusal.Permission: (-2010, "This action is disabled on this account."),
    Refusal.Filter: (-1013, "Invalid quantity."),
}


def said(error: RefusedError) -> BinanceError:
    """A refusal of the exchange, in Binance's words."""
    return BinanceError(*_REFUSALS[error.kind])


def filter_failure(name: str) -> BinanceError:
    """A filter stops an order."""
    return BinanceError(-1013, f"Filter failure: {name}")


def missing(name: str) -> BinanceError:
    """A parameter that must be there is not, or makes no sense."""
    return BinanceError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, legal: str) -> BinanceError:
    """A parameter holds what it cannot."""
    return BinanceError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def invalid(name: str) -> BinanceError:
    """A parameter has none of the values that it may have."""
    return BinanceError(-1130, f"Data sent for parameter '{name}' is not valid.")


def unwanted(name: str) -> BinanceError:
    """A parameter is there that this order cannot have."""
    return BinanceError(-1106, f"Parameter '{name}' sent when not required.")


def over_limit(limit: Limit, interval: str) -> BinanceError:
    """More than a limit allows. `interval` is how Binance writes its period, such as `10 SECOND`."""
    if limit.kind == "orders":
        return BinanceError(-1015, f"Too many new orders; current limit is {limit.limit} orders per {interval}.", 429)
    what = "request weight" if limit.kind == "weight" else "requests"
    text = f"Too much request weight used; current limit is {limit.limit} {what} per {interval}."
    return BinanceError(-1003, f"{text} {_STREAMS_INSTEAD} polling the API.", 429)


def banned(until_ms: int) -> BinanceError:
    """The client's address is banned."""
    text = f"Way too much request weight used; IP banned until {until_ms}. {_STREAMS_INSTEAD} bans."
    return BinanceError(-1003, text, 418)


def waiting(verdict: Verdict) -> BinanceError:
    """The client comes before it was to come back."""
    text = f"Too many requests; wait {max(1, round(verdict.retry_after))} s. {_STREAMS_INSTEAD} polling the API."
    return BinanceError(-1003, text, 429)
