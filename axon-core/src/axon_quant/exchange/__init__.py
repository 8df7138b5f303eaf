"""Venues: what an adapter is, the rate budget, the matching engine and the paper venue that stands on it."""

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
