"""Questions about orders and fills, page by page where OKX answers in pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from msgspec.json import Decoder

from axon_exchange_okx.payloads import ALGO_ANSWER, FILL_ANSWER, ORDER_ANSWER, AlgoRow, Answer, FillRow, OrderRow
from axon_exchange_okx.rest import ORDER, Rest
from axon_exchange_okx.stops import PlacedOrders
from axon_quant.errors import NotFoundError

_T = TypeVar("_T")
_PAGE = 100


class Lookups:
    """What OKX has of one account's orders; what stop orders have placed is noted in `placed`.

    The first request of each method is paid for by who asks; `turn` is awaited before every other one.
    """

    def __init__(self, rest: Rest, placed: PlacedOrders, turn: Callable[[], Awaitable[None]]) -> None:
        self._rest = rest
        self._placed = placed
        self._turn = turn

    async def order(self, symbol: str, name: dict[str, str]) -> OrderRow | None:
        """One order, or None; `name` as of `requests.name`."""
        try:
            rows = await self._rest.ask(ORDER, ORDER_ANSWER, {"instId": symbol, **name}, symbol=symbol)
        except NotFoundError:
            return None
        if not rows:
            return None
        self._placed.note(rows[0])
        return rows[0]

    async def stop(self, symbol: str, name: dict[str, str]) -> AlgoRow | None:
        """One stop order, or None; `name` as of `requests.name_stop`."""
        try:
            rows = await self._rest.ask("/api/v5/trade/order-algo", ALGO_ANSWER, name, symbol=symbol)
        except NotFoundError:
            return None
        if not rows:
            return None
        self._placed.note_stop(rows[0])
        return rows[0]

    async def pending(self, symbol: str | None) -> list[OrderRow]:
        """Every open order of the account, or of a symbol."""
        path, query = "/api/v5/trade/orders-pending", {"instId": symbol or ""}
        rows = [row async for row in self._pages(path, ORDER_ANSWER, lambda row: row.ord_id, query)]
        for row in rows:
            self._placed.note(row)
        return rows

    async def ended(self, query: dict[str, str]) -> list[OrderRow]:
        """Orders of the last days that have ended; `query` names the kind of instrument."""
        path = "/api/v5/trade/orders-history"
        rows = [row async for row in self._pages(path, ORDER_ANSWER, lambda row: row.ord_id, query)]
        for row in rows:
            self._placed.note(row)
        return rows

    async def pending_stops(self, symbol: str | None) -> list[AlgoRow]:
        """Every stop order that waits, of the account or of a symbol. Its first request is not paid for either."""
        await self._turn()
        path, query = "/api/v5/trade/orders-algo-pending", {"ordType": "conditional", "instId": symbol or ""}
        rows = [row async for row in self._pages(path, ALGO_ANSWER, lambda row: row.algo_id, query)]
        return [row for row in rows if row.sl_trigger_px and row.sz]  # others only take a profit

    async def fills(self, query: dict[str, str]) -> list[FillRow]:
        """The fills of the last days."""
        return [row async for row in self._pages("/api/v5/trade/fills", FILL_ANSWER, _bill_id, query)]

    async def older_fills(self, query: dict[str, str]) -> list[FillRow]:
        """The fills of the last three months; `query` names the kind of instrument."""
        return [row async for row in self._pages("/api/v5/trade/fills-history", FILL_ANSWER, _bill_id, query)]

    async def _pages(
        self, path: str, decoder: Decoder[Answer[_T]], key: Callable[[_T], str], query: dict[str, str]
    ) -> AsyncIterator[_T]:
        """Everything behind a list of at most 100 a time, newest first."""
        after = ""
        while True:
            rows = await self._rest.ask(path, decoder, {**query, "limit": str(_PAGE), "after": after})
            for row in rows:
                yield row
            if len(rows) < _PAGE:
                return
            after = key(rows[-1])
            await self._turn()


def _bill_id(row: FillRow) -> str:
    return row.bill_id
