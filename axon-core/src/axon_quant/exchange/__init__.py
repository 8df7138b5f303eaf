"""Venues: what an adapter is, the rate budget, the matching engine and the paper venue that stands on it.

`CcxtAdapter` (extra `ccxt`) and the adapters of our plugins (`BinanceAdapter`, …) are importable from here, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from axon_quant.exchange.base import ExchangeAdapter
from axon_quant.exchange.budget import RateBudget, Request, VenueLimit
from axon_quant.exchange.capabilities import Capabilities, Capability, Channel
from axon_quant.exchange.config import ExchangeConfig, ForeignOrders, RateLimitConfig, ReconnectConfig
from axon_quant.exchange.ledger import Balance
from axon_quant.exchange.link import Link
from axon_quant.exchange.matching import MatchingEngine
from axon_quant.exchange.order_log import OrderLog, Receipt
from axon_quant.exchange.paper import IDLE, CancelOutcome, CancelResult, PaperVenue
from axon_quant.exchange.paper_adapter import PaperAdapter
from axon_quant.exchange.primitives import FundingRate, KeyPermissions, MarginMode, Position
from axon_quant.exchange.repair import Repair
from axon_quant.exchange.sequenced import SequencedBook
from axon_quant.exchange.stream import AdapterEvent, BalanceUpdate, EventStream, ForeignOrder, StreamState
from axon_quant.exchange.urls import roots

if TYPE_CHECKING:
    from axon_exchange_binance import BinanceAdapter as BinanceAdapter
    from axon_exchange_binance import BinanceFuturesAdapter as BinanceFuturesAdapter
    from axon_exchange_okx import OkxAdapter as OkxAdapter
    from axon_quant.exchange.ccxt_adapter import CcxtAdapter as CcxtAdapter
else:

    def __getattr__(name: str) -> object:
        if name == "CcxtAdapter":
            from axon_quant.exchange.ccxt_adapter import CcxtAdapter

            return CcxtAdapter
        from axon_quant.plugins.first_party import FIRST_PARTY, resolve

        if name in FIRST_PARTY and FIRST_PARTY[name].kind == "exchange":
            return resolve(name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "IDLE",
    "AdapterEvent",
    "Balance",
    "BalanceUpdate",
    "CancelOutcome",
    "CancelResult",
    "Capabilities",
    "Capability",
    "Channel",
    "EventStream",
    "ExchangeAdapter",
    "ExchangeConfig",
    "ForeignOrder",
    "ForeignOrders",
    "FundingRate",
    "KeyPermissions",
    "Link",
    "MarginMode",
    "MatchingEngine",
    "OrderLog",
    "PaperAdapter",
    "PaperVenue",
    "Position",
    "RateBudget",
    "RateLimitConfig",
    "Receipt",
    "ReconnectConfig",
    "Repair",
    "Request",
    "SequencedBook",
    "StreamState",
    "VenueLimit",
    "roots",
]
