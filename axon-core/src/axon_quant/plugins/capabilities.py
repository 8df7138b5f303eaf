"""What a plugin can do beyond the core of its kind."""

from __future__ import annotations

from enum import StrEnum


class Capability(StrEnum):
    """Something that not every plugin of a kind can do. Asking for one that is not declared raises UnsupportedError."""

    Batch = "batch"
    """`infer` takes more than one observation per call."""
    HalfPrecision = "half-precision"
    """`fp16=True`."""
    MultiThread = "multi-thread"
    """`num_threads` above 1."""

    MarketOrders = "market-orders"
    """What every venue has is limit orders that stand until cancelled, and cancels; all else is declared."""
    PostOnly = "post-only"
    ImmediateOrCancel = "immediate-or-cancel"
    FillOrKill = "fill-or-kill"
    ReduceOnly = "reduce-only"
    CancelAll = "cancel-all"
    FetchOrder = "fetch-order"
    OpenOrders = "open-orders"
    Fills = "fills"
    Balances = "balances"
    Positions = "positions"
    TradeStream = "trade-stream"
    QuoteStream = "quote-stream"
    BookStream = "book-stream"
    BarStream = "bar-stream"
    TradeHistory = "trade-history"
    """Past public trades can be asked for."""
    StopOrders = "stop-orders"
    StopLimitOrders = "stop-limit-orders"
    AmendOrders = "amend-orders"
    """Price or quantity of an open order change in place."""
    ReplaceOrders = "replace-orders"
    """Cancel and place in one request."""
    CancelAfter = "cancel-after"
    """A dead-man switch."""
    AccountStream = "account-stream"
    """The venue reports orders, fills and balances by itself."""
    VenueClock = "venue-clock"
    """The venue tells its time."""
    KeyPermissions = "key-permissions"
    """The venue tells what an API key may do."""
    Leverage = "leverage"
    MarginMode = "margin-mode"
    Funding = "funding"

    Attribution = "attribution"
    """Importances of features."""
    Counterfactuals = "counterfactuals"
    """Changed observations that flip the decision."""
    Reports = "reports"
    """Decision reports as files."""

    OnlineWeights = "online-weights"
    """Weights move with realised returns."""
    Gains = "gains"
    """`update_weights` takes gains in [0, 1] instead of Sharpe ratios."""
    SteadyWeights = "steady-weights"
    """Weights follow how steady realised returns are, not how high."""
    EqualVotes = "equal-votes"
    """Every member with a weight has one vote, whatever the weight."""
    Fitted = "fitted"
    """Weights, or what is made of the votes, are fitted beforehand; performances and returns leave them alone."""


BACKEND = frozenset({Capability.Batch, Capability.HalfPrecision, Capability.MultiThread})
EXPLAINER = frozenset({Capability.Attribution, Capability.Counterfactuals, Capability.Reports})
ENSEMBLE = frozenset(
    {
        Capability.OnlineWeights,
        Capability.Gains,
        Capability.SteadyWeights,
        Capability.EqualVotes,
        Capability.Fitted,
    }
)
EXCHANGE = frozenset(Capability) - BACKEND - EXPLAINER - ENSEMBLE
"""What a plugin of each kind may declare."""
PAPER = frozenset(
    {
        Capability.MarketOrders,
        Capability.PostOnly,
        Capability.ImmediateOrCancel,
        Capability.FillOrKill,
        Capability.ReduceOnly,
        Capability.FetchOrder,
        Capability.OpenOrders,
        Capability.Fills,
        Capability.Balances,
        Capability.Positions,
        Capability.TradeStream,
        Capability.QuoteStream,
        Capability.BookStream,
        Capability.BarStream,
    }
)
"""What the embedded paper venue declares."""
