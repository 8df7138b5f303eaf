"""What a plugin says about each thing it provides. Strings stand for classes, so listing imports nothing."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from axon_quant.errors import PluginError

API = 1
"""The version of the hook specs and descriptors that this core speaks."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class Capability(StrEnum):
    """What a plugin can do beyond the core of its kind. Asking for one it does not declare raises UnsupportedError."""

    Batch = "batch"
    """Backend: `infer` takes more than one observation per call."""
    HalfPrecision = "half-precision"
    """Backend: `fp16=True`."""
    MultiThread = "multi-thread"
    """Backend: `num_threads` above 1."""

    # Exchange: the values are those of `axon_quant.exchange.capabilities.Capability`, which an adapter class declares.
    MarketOrders = "market-orders"
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

    Attribution = "attribution"
    """Explainer: importances of features."""
    Counterfactuals = "counterfactuals"
    """Explainer: changed observations that flip the decision."""

    OnlineWeights = "online-weights"
    """Ensemble: weights move with realised returns."""
    Gains = "gains"
    """Ensemble: `update_weights` takes gains in [0, 1] instead of Sharpe ratios."""


class Descriptor(Struct, frozen=True, kw_only=True):
    """Something that a plugin provides.

    `name` is how users ask for it, unique within its kind; `target` is `"package.module:Attribute"`, imported on first
    use; `summary` is one line. `api` is the version of the hook specs the plugin was written for: state it, so that a
    later core can tell. Raises PluginError for values that cannot be used.
    """

    kind: ClassVar[str] = ""

    name: str
    target: str
    summary: str = ""
    capabilities: frozenset[Capability] = frozenset()
    api: int = 1

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and _NAME.fullmatch(self.name)):
            raise PluginError(f"{type(self).__name__}: name {self.name!r} is not of lower-case letters, digits, . _ -")
        if not (isinstance(self.target, str) and _TARGET.fullmatch(self.target)):
            raise PluginError(f"{type(self).__name__} {self.name!r}: target {self.target!r} is not 'module:Attribute'")
        if not isinstance(self.api, int):
            raise PluginError(f"{type(self).__name__} {self.name!r}: api {self.api!r} is not an integer")
        strangers = [repr(item) for item in self.capabilities if not isinstance(item, Capability)]
        if strangers:
            raise PluginError(f"{type(self).__name__} {self.name!r}: {', '.join(strangers)} is not a Capability")


class BackendDescriptor(Descriptor, frozen=True, kw_only=True):
    """An inference backend. `target` is a `Backend` class, called with a ModelConfig.

    `suffixes` are the file names it reads, dot included; `devices` the kinds it can use (`"cpu"`, `"cuda"`).
    """

    kind: ClassVar[str] = "backend"

    suffixes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu",)


class ExchangeDescriptor(Descriptor, frozen=True, kw_only=True):
    """An exchange. `target` is an `ExchangeAdapter` class, called with an ExchangeConfig."""

    kind: ClassVar[str] = "exchange"


class ExplainerDescriptor(Descriptor, frozen=True, kw_only=True):
    """An explainer. `target` is a class, called with the model."""

    kind: ClassVar[str] = "explainer"


class EnsembleDescriptor(Descriptor, frozen=True, kw_only=True):
    """An ensemble strategy. `target` makes a `WeightingRule`: `target(initial, window, **options)`."""

    kind: ClassVar[str] = "ensemble"
