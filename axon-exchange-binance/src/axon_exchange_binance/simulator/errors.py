"""What Binance says when it does not do what it is asked, word for word."""

from __future__ import annotations

from axon_quant.exchange.simulator import Answer, Refusal, RefusedError


class BinanceError(Exception):
    """An error code with its message, on its way to the client."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def answer(self) -> Answer:
        """As a response."""
        return Answer({"code": self.code, "msg": self.message}, self.status)


NO_SUCH_ORDER = BinanceError(-2013, "Order does not exist.")
UNKNOWN_CANCEL = BinanceError(-2011, "Unknown order sent.")
BAD_SIGNATURE = BinanceError(-1022, "Signature for this request is not valid.")
BAD_KEY = BinanceError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
BAD_KEY_FORMAT = BinanceError(-2014, "API-key format invalid.", 401)
BAD_SYMBOL = BinanceError(-1121, "Invalid symbol.")

_REFUSALS = {
    Refusal.Symbol: (-1121, "Invalid symbol."),
    Refusal.Duplicate: (-2010, "Duplicate order sent."),
    Refusal.Funds: (-2010, "Account has insufficient balance for requested action."),
    Refusal.PostOnly: (-2010, "Order would immediately match and take."),
    Refusal.SelfTrade: (-2010, "This order would trigger self-trade prevention."),
    Refusal.NoLiquidity: (-2010, "Market order rejected: no liquidity."),
    Refusal.StopPrice: (-2010, "Order would trigger immediately."),
    Refusal.NotFound: (-2011, "Unknown order sent."),
    Refusal.Permission: (-2010, "This action is disabled on this account."),
    Refusal.Filter: (-1013, "Filter failure: "),
}


def said(error: RefusedError) -> BinanceError:
    """A refusal of the exchange, in Binance's words."""
    code, message = _REFUSALS[error.kind]
    return BinanceError(code, message + error.text if error.kind is Refusal.Filter else message)


def missing(name: str) -> BinanceError:
    """A parameter that must be there is not."""
    return BinanceError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, legal: str) -> BinanceError:
    """A parameter holds what it cannot."""
    return BinanceError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
