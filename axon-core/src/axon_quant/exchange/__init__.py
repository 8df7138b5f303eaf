"""Venues: what an adapter is, the rate budget, the matching engine and the paper venue that stands on it."""

from axon_quant.exchange.base import ExchangeAdapter, OrderLog, Receipt
from axon_quant.exchange.budget import RateBudget, Request
from axon_quant.exchange.capabilities import Capabilities, Capability, Channel
from axon_quant.exchange.config import ExchangeConfig, RateLimitConfig, ReconnectConfig
from axon_quant.exchange.ledger import Balance
from axon_quant.exchange.matching import MatchingEngine
from axon_quant.exchange.paper import IDLE, CancelOutcome, CancelResult, PaperVenue
from axon_quant.exchange.paper_adapter import PaperAdapter
from axon_quant.exchange.primitives import Position
from axon_quant.exchange.stream import AdapterEvent, EventStream

__all__ = [
    "IDLE",
    "AdapterEvent",
    "Balance",
    "CancelOutcome",
    "CancelResult",
    "Capabilities",
    "Capability",
    "Channel",
    "EventStream",
    "ExchangeAdapter",
    "ExchangeConfig",
    "MatchingEngine",
    "OrderLog",
    "PaperAdapter",
    "PaperVenue",
    "Position",
    "RateBudget",
    "RateLimitConfig",
    "Receipt",
    "ReconnectConfig",
    "Request",
]
