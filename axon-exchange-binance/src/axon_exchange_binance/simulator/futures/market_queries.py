"""What can be asked about the market of futures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from axon_exchange_binance.simulator.candles import Tape
from axon_exchange_binance.simulator.exchange_info import exchange_info
from axon_exchange_binance.simulator.futures.filters import rows
from axon_exchange_binance.simulator.futures.market_messages import numbered
from axon_exchange_binance.simulator.market_queries import MarketQueries
from axon_exchange_binance.simulator.numbers import ladder, milliseconds, number
from axon_exchange_binance.simulator.parameters import Parameters
from axon_quant.exchange.exact import ZERO
from axon_quant.exchange.simulator import Limit, SimulatedExchange
from axon_quant.market.instrument import Instrument

_LEVELS = 1_000


class FuturesMarketQueries(MarketQueries):
    """Answers as plain values. Raises BinanceError."""

    def __init__(self, exchange: SimulatedExchange, tapes: Mapping[str, Tape], limits: Sequence[Limit]) -> None:
        super().__init__(exchange, tapes, limits)
        self.by_name |= {
            "premiumIndex": lambda given: self._per_symbol(given, self.premium),
            "fundingRate": self._rates,
            "fundingInfo": lambda _: [],
        }

    def _exchange_info(self, given: Parameters) -> object:
        del given
        limits = [limit for limit in self._limits if limit.kind != "requests"]
        told = exchange_info((), limits, self._exchange.now())
        assets = sorted({one.quote for one in self._exchange.instruments.values()})
        return {
            **told,
            "futuresType": "U_MARGINED",
            "assets": [{"asset": asset, "marginAvailable": True, "autoAssetExchange": "0"} for asset in assets],
            "symbols": [_symbol(one) for one in self._exchange.instruments.values()],
        }

    def _depth(self, given: Parameters) -> object:
        book, at = self._exchange.books[given.instrument().symbol], milliseconds(self._exchange.now())
        limit = given.integer("limit", 500, low=5, high=_LEVELS)
        return {
            "lastUpdateId": numbered(book.sequence),
            "E": at,
            "T": at,
            "bids": ladder(book.bids(limit)),
            "asks": ladder(book.asks(limit)),
        }

    def premium(self, symbol: str) -> dict[str, object]:
        """What is said of a swap: mark price and funding."""
        swaps, funding = self._exchange.swaps, self._exchange.swaps.funding(symbol)
        mark = number(swaps.mark(symbol) or ZERO)
        return {
            "symbol": symbol,
            "markPrice": mark,
            "indexPrice": mark,
            "estimatedSettlePrice": mark,
            "lastFundingRate": number(funding.rate),
            "interestRate": number(Decimal("0.0001")),
            "nextFundingTime": milliseconds(funding.next_at),
            "time": milliseconds(self._exchange.now()),
        }

    def _rates(self, given: Parameters) -> object:
        """The one that comes next: those that were are not kept."""
        symbols = [given.instrument().symbol] if "symbol" in given else list(self._exchange.instruments)
        told = [self.premium(symbol) for symbol in symbols]
        return [
            {
                "symbol": row["symbol"],
                "fundingRate": row["lastFundingRate"],
                "fundingTime": row["nextFundingTime"],
                "markPrice": row["markPrice"],
            }
            for row in told
        ]


def _symbol(instrument: Instrument) -> dict[str, object]:
    return {
        "symbol": instrument.symbol,
        "pair": instrument.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4_133_404_800_000,
        "onboardDate": 1_569_398_400_000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.quote,
        "pricePrecision": 8,
        "quantityPrecision": 8,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        "filters": rows(instrument),
    }
