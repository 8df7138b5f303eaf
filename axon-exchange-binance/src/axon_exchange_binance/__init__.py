"""axon's Binance adapter."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from axon_exchange_binance.adapter import BinanceAdapter
else:
    # The plugin module below this package must load without aiohttp.
    def __getattr__(name):
        if name != "BinanceAdapter":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from axon_exchange_binance.adapter import BinanceAdapter

        return BinanceAdapter


__all__ = ["BinanceAdapter"]
