"""axon's Binance adapters: spot and USDⓈ-M futures."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from axon_exchange_binance.adapter import BinanceAdapter
    from axon_exchange_binance.futures.adapter import BinanceFuturesAdapter
else:
    # The plugin module below this package must load without aiohttp.
    def __getattr__(name):
        if name == "BinanceAdapter":
            from axon_exchange_binance.adapter import BinanceAdapter

            return BinanceAdapter
        if name == "BinanceFuturesAdapter":
            from axon_exchange_binance.futures.adapter import BinanceFuturesAdapter

            return BinanceFuturesAdapter
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["BinanceAdapter", "BinanceFuturesAdapter"]
