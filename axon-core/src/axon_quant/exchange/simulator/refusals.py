"""Why a simulated venue does not do what it is asked; the protocol says it in the venue's words."""

from __future__ import annotations

from enum import Enum


class Refusal(Enum):
    """The kind of a refusal."""

    Symbol = "unknown-symbol"
    Duplicate = "duplicate-client-order-id"
    Funds = "insufficient-funds"
    Filter = "filter"
    PostOnly = "post-only-would-take"
    SelfTrade = "self-trade"
    NoLiquidity = "nothing-to-take"
    StopPrice = "stop-would-trigger-at-once"
    NotFound = "no-such-open-order"
    Permission = "key-may-not-trade"
    ReduceOnly = "no-position-to-reduce"
    Leverage = "no-such-leverage"
    Position = "position-or-orders-in-the-way"


class RefusedError(Exception):
    """A refusal on its way to the protocol. `text` is for people, not for the wire."""

    def __init__(self, kind: Refusal, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


FUNDS = "funds:"
"""How the reason begins that an exchange gives its matching engine for want of funds."""
_STARTS = {
    FUNDS: Refusal.Funds,
    "post-only: it": Refusal.PostOnly,
    "self-trade": Refusal.SelfTrade,
    "nothing is displayed": Refusal.NoLiquidity,
    "reduce-only:": Refusal.ReduceOnly,
}


def kind_of(reason: str) -> Refusal:
    """The kind of a matching engine's reason."""
    return next((kind for start, kind in _STARTS.items() if reason.startswith(start)), Refusal.Filter)


def refused(reason: str) -> RefusedError:
    """A matching engine's reason as an error."""
    return RefusedError(kind_of(reason), reason)
