"""The trader on bare ccxt.pro, as its users write it: an order that raises is taken for dead, a watch that raises is
watched again, and a restart asks for every order that was open."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import Any

import ccxt.pro
from desk import Intention, Trader, main

from axon_quant.orders import Fill, Liquidity, Order, OrderStatus, OrderType, OrderUpdate, TimeInForce

_STATUS = {
    "open": OrderStatus.Open,
    "closed": OrderStatus.Filled,
    "canceled": OrderStatus.Cancelled,
    "expired": OrderStatus.Expired,
    "rejected": OrderStatus.Rejected,
}


class CcxtTrader(Trader):
    """Knows what `create_order`, `watch_orders` and `watch_my_trades` said."""

    def __init__(self, given: argparse.Namespace) -> None:
        super().__init__(given)
        options = {"fetchMarkets": {"types": ["spot"]}, "maxRetriesOnFailure": given.retries}
        self.client = getattr(ccxt.pro, given.venue)(
            {
                "apiKey": "YOUR_API_KEY",
                "secret": "YOUR_API_SECRET",
                "password": "YOUR_PASSPHRASE",
                "enableRateLimit": False,  # the simulator's limits are raised; its throttle would take hours
                "options": options,
            }
        )
        _point(self.client, given)
        self.statuses = {name: order.status for name, order in self.past.items()}
        self.names = {order.venue_order_id: name for name, order in self.past.items() if order.venue_order_id}
        self.orders: dict[str, Order] = {name: known.order for name, known in self.past.items()}
        self.ids: dict[str, str] = {name: venue_id for venue_id, name in self.names.items()}
        self.balances: dict[str, dict[str, str]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        while True:
            try:
                async with asyncio.timeout(5):
                    await self.client.load_markets()
            except Exception:  # noqa: BLE001
                await asyncio.sleep(0.5)
            else:
                break
        await asyncio.gather(*(self._look_up(name) for name in self.ids if not self.statuses[name].is_terminal))
        watches = [
            self._watch(self.client.watch_orders, self._order),
            self._watch(self.client.watch_my_trades, self._trade),
        ]
        watches += [self._watch_balance(), *map(self._watch_price, self.symbols)]
        self._tasks = [asyncio.create_task(watch) for watch in watches]

    async def trade(self, intention: Intention) -> None:
        order = intention.order
        if order.order_type is OrderType.Stop:
            return  # ccxt has them; they are left out of the comparison
        name = order.client_order_id
        self.placed += 1
        self.record.record(order).wait()
        self.orders[name] = order
        kind = "market" if order.order_type is OrderType.Market else "limit"
        more: dict[str, object] = {"clientOrderId": name}
        if order.post_only:
            more["postOnly"] = True
        elif order.time_in_force is TimeInForce.IOC:
            more["timeInForce"] = "IOC"
        if kind == "market" and self.given.venue == "okx":
            more["tgtCcy"] = "base_ccy"
        price = None if order.price is None else float(order.price)
        symbol = _unified(order.symbol)
        try:
            placed = await self.client.create_order(symbol, kind, order.side.value, float(order.quantity), price, more)
        except Exception as error:  # noqa: BLE001 - its own, and aiohttp's
            self._tell(name, OrderStatus.Rejected, reason=type(error).__name__)
            return
        self.names[placed["id"]], self.ids[name] = name, placed["id"]
        self._tell(name, _STATUS.get(placed["status"], OrderStatus.Open), placed["id"])
        await asyncio.sleep(intention.wait)
        if intention.then and not self.statuses[name].is_terminal:
            with suppress(Exception):
                await self.client.cancel_order(placed["id"], symbol)

    async def finish(self) -> dict[str, object]:
        for _ in range(3):
            for name, status in list(self.statuses.items()):
                if not status.is_terminal and name in self.ids:
                    with suppress(Exception):
                        await self.client.cancel_order(self.ids[name], _unified(self.orders[name].symbol))
            await asyncio.sleep(1.0)
        for task in self._tasks:
            task.cancel()
        await self.client.close()
        return {"balances": self.balances}

    async def _look_up(self, name: str) -> None:
        with suppress(Exception):
            async with asyncio.timeout(5):
                self._order(await self.client.fetch_order(self.ids[name], _unified(self.orders[name].symbol)))

    async def _watch(self, watch: Any, report: Any) -> None:
        while True:
            try:
                for found in await watch():
                    report(found)
            except Exception:  # noqa: BLE001
                await asyncio.sleep(0.1)

    async def _watch_balance(self) -> None:
        while True:
            try:
                found = await self.client.watch_balance()
            except Exception:  # noqa: BLE001
                await asyncio.sleep(0.1)
                continue
            for asset, amount in found["free"].items():
                self.balances[asset] = {"free": str(amount or 0), "locked": str(found["used"].get(asset) or 0)}

    async def _watch_price(self, symbol: str) -> None:
        """By asking: a price is not what is compared, and a watch may fall silent."""
        while True:
            with suppress(Exception):
                self.mids[symbol] = (await self.client.fetch_ticker(_unified(symbol)))["last"]
            await asyncio.sleep(0.5)

    def _order(self, found: dict[str, Any]) -> None:
        name = found.get("clientOrderId") or self.names.get(found["id"], "")
        if name in self.orders and found.get("status") in _STATUS:
            self.names[found["id"]], self.ids[name] = name, found["id"]
            self._tell(name, _STATUS[found["status"]], found["id"])

    def _trade(self, found: dict[str, Any]) -> None:
        name = self.names.get(found["order"], "")
        if name not in self.orders:
            return
        order, fee = self.orders[name], found.get("fee") or {}
        fill = Fill(
            name,
            order.symbol,
            order.side,
            Decimal(str(found["price"])),
            Decimal(str(found["amount"])),
            Decimal(str(fee.get("cost") or 0)),
            fee.get("currency") or "",
            Liquidity.Maker if found.get("takerOrMaker") == "maker" else Liquidity.Taker,
            f"{order.symbol}:{found['id']}",
            int(found["timestamp"]) * 1_000_000,
        )
        status = self.statuses.get(name, OrderStatus.Open)
        self.record.update(OrderUpdate(name, status, fill.at, order.symbol, found["order"], fill=fill))

    def _tell(self, name: str, status: OrderStatus, venue_order_id: str = "", reason: str = "") -> None:
        before = self.statuses.get(name)
        if before is None or not before.is_terminal:
            self.statuses[name] = status
            order = self.orders[name]
            self.record.update(OrderUpdate(name, status, 0, order.symbol, venue_order_id, reason=reason))


def _unified(symbol: str) -> str:
    base, dash, quote = symbol.partition("-")
    return f"{base}/{quote}" if dash else f"{symbol.removesuffix('USDT')}/USDT"


def _point(client: Any, given: argparse.Namespace) -> None:
    """Give the client the simulator's addresses, all else as it comes."""
    api = client.urls["api"]
    if given.venue == "okx":
        api["rest"], api["ws"] = given.rest, f"{given.ws}/ws/v5"
        return
    for name, url in api.items():
        if isinstance(url, str) and url.startswith("https://"):
            api[name] = given.rest + "/" + url.split("/", 3)[3]
    api["ws"]["spot"] = f"{given.ws}/stream/ws"
    api["ws"]["ws-api"]["spot"] = f"{given.ws}/ws-api/v3"


if __name__ == "__main__":
    main(CcxtTrader)
