"""A venue in another process, spoken to over a socket: one JSON object per line.

`SocketAdapter` is the trader's side; run as a script, this file is a trader whose orders leave the process:

    python socket_venue.py CONFIG.toml JOURNAL PORT SECONDS_OF_MARKET
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterable
from decimal import Decimal
from pathlib import Path

import attrs

from axon_quant.config import Config, load_config
from axon_quant.errors import RejectedError
from axon_quant.exchange import Capability, ExchangeAdapter
from axon_quant.market import Instrument, MarketEvent
from axon_quant.market.generated import GeneratedMarket
from axon_quant.orders import Fill, Liquidity, Order, OrderState, OrderStatus, OrderUpdate
from axon_quant.runtime.live import Live
from axon_quant.runtime.wiring import build_instruments


class Venue:
    """The outside process's memory: what arrived, and what was acknowledged, in order. Fills every third order."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.acknowledged: list[str] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                try:
                    self._talk(stream)
                except (ConnectionError, BrokenPipeError):
                    continue

    def _talk(self, stream) -> None:
        for line in stream:
            request = json.loads(line)
            identifier = request.get("place")
            if identifier is not None:
                self.received.append(identifier)
            stream.write(json.dumps({"to": line.decode().strip()}).encode() + b"\n")
            stream.flush()
            if identifier is not None:
                self.acknowledged.append(identifier)
                if len(self.received) % 3 == 0:
                    stream.write(json.dumps({"fill": identifier}).encode() + b"\n")
                    stream.flush()

    def close(self) -> None:
        self._server.close()


class SocketAdapter(ExchangeAdapter):
    """Limit orders over a line protocol; the venue acknowledges each and fills what it likes."""

    name = "socket"
    capabilities = frozenset({Capability.ImmediateOrCancel})

    def __init__(self, instruments: Iterable[Instrument], port: int) -> None:
        super().__init__(None)
        self._offered = tuple(instruments)
        self._port = port
        self._answers: dict[str, asyncio.Future[dict[str, str]]] = {}

    async def _connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._reading = asyncio.create_task(self._read())

    async def _close(self) -> None:
        self._reading.cancel()
        self._writer.close()

    async def _fetch_instruments(self) -> Iterable[Instrument]:
        return self._offered

    async def _send_order(self, order: Order) -> str:
        answer = await self._request({"place": order.client_order_id, "quantity": str(order.quantity)})
        if "rejected" in answer:
            raise RejectedError(answer["rejected"], venue=self.name, symbol=order.symbol)
        return "v" + order.client_order_id

    async def _send_cancel(self, state: OrderState) -> None:
        order = state.order
        await self._request({"cancel": order.client_order_id})
        self._deliver(OrderUpdate(order.client_order_id, OrderStatus.Cancelled, self.clock.now(), order.symbol))

    async def _request(self, request: dict[str, str]) -> dict[str, str]:
        key = json.dumps(request)
        self._answers[key] = asyncio.get_running_loop().create_future()
        self._writer.write(key.encode() + b"\n")
        return await self._answers[key]

    async def _read(self) -> None:
        while line := await self._reader.readline():
            message = json.loads(line)
            if "fill" in message:
                self._filled(message["fill"])
            else:
                self._answers.pop(message["to"]).set_result(message)

    def _filled(self, client_order_id: str) -> None:
        order = self.orders.get(client_order_id).order
        fee = order.price * order.quantity * Decimal("0.0002")
        fill = Fill(
            client_order_id,
            order.symbol,
            order.side,
            order.price,
            order.quantity,
            fee,
            "USDT",
            Liquidity.Maker,
            "f" + client_order_id,
            self.clock.now(),
        )
        self._deliver(
            OrderUpdate(client_order_id, OrderStatus.Filled, fill.at, order.symbol, "", order.quantity, fill=fill)
        )


def configured(config: Config, journal: Path) -> Config:
    return attrs.evolve(
        config,
        exchange=attrs.evolve(config.exchange, name="socket"),
        journal=attrs.evolve(config.journal, path=journal),
    )


async def hurried(market: Iterable[MarketEvent]) -> AsyncIterator[MarketEvent]:
    """As fast as the trader takes it, with a breath now and then for the answers."""
    for number, event in enumerate(market):
        if number % 20 == 0:
            await asyncio.sleep(0.0005)
        yield event


def main() -> None:
    config_file, journal, port, seconds = sys.argv[1:]
    config = configured(load_config(config_file), Path(journal))
    instruments = build_instruments(config)
    market = GeneratedMarket(instruments[0], seconds=float(seconds), price=60_000.0)
    summary = asyncio.run(Live(config, SocketAdapter(instruments, int(port)), feed=hurried(market)).run())
    print(json.dumps({"orders": summary.orders, "fills": summary.fills, "notices": summary.notices}))


if __name__ == "__main__":
    main()
