"""Market data: instruments, events as a venue reports them, the order book, and readers of recordings."""

from axon_quant.market.book import BookStatus, OrderBook
from axon_quant.market.instrument import Instrument, InstrumentKind
from axon_quant.market.types import Bar, BookSnapshot, BookUpdate, MarketEvent, Quote, Trade

__all__ = [
    "Bar",
    "BookSnapshot",
    "BookStatus",
    "BookUpdate",
    "Instrument",
    "InstrumentKind",
    "MarketEvent",
    "OrderBook",
    "Quote",
    "Trade",
]
