"""axon's OKX adapter."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from axon_exchange_okx.adapter import OkxAdapter
else:
    # The plugin module below this package must load without aiohttp.
    def __getattr__(name):
        if name != "OkxAdapter":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from axon_exchange_okx.adapter import OkxAdapter

        return OkxAdapter


__all__ = ["OkxAdapter"]
