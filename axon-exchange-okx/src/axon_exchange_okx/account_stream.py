"""The account's own stream: orders and balances on the private WebSocket, stop orders on the business one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from axon_exchange_okx import reports
from axon_exchange_okx.errors import VENUE
from axon_exchange_okx.payloads import ACCOUNTS, ALGOS, ORDERS, AlgoRow, Arg, OrderRow, Push, nanoseconds
from axon_exchange_okx.socket import Argument, Sockets, together
from axon_quant.errors import UnavailableError
from axon_quant.exchange.expected import ExpectedReports
from axon_quant.exchange.link import Link
from axon_quant.exchange.stream import BalanceUpdate

PRIVATE, BUSINESS = "/ws/v5/private", "/ws/v5/business"


class AccountStream:
    """Reads the account's channels and hands what they say to `on_order`, `on_stop` and `on_balance`.

    A stream can fall silent although its connection answers pings. So what OKX acknowledged elsewhere is `expected` to
    be reported here, and a stream that does not is given up: the base reconnects and repairs.
    """

    def __init__(
        self,
        on_order: Callable[[OrderRow], None],
        on_stop: Callable[[AlgoRow], None],
        on_balance: Callable[[BalanceUpdate], None],
    ) -> None:
        self._on_order = on_order
        self._on_stop = on_stop
        self._on_balance = on_balance
        self.expected = ExpectedReports()

    async def run(self, session: aiohttp.ClientSession, root: str, login: Callable[[], Argument], link: Link) -> None:
        """One connection's life. Returns when it is lost, or raises why."""
        async with Sockets(session, root, link.heard, self._on_push) as sockets:
            private, business = await together(sockets.open(PRIVATE, login), sockets.open(BUSINESS, login))
            channels: list[Argument] = [{"channel": "orders", "instType": "ANY"}, {"channel": "account"}]
            stops: list[Argument] = [{"channel": "orders-algo", "instType": "ANY"}]
            await sockets.until(together(private.subscribe(channels), business.subscribe(stops)))
            self.expected.begin()
            link.up()
            try:
                await sockets.until(self._watch())
            finally:
                self.expected.end()

    async def _watch(self) -> None:
        """Returns when an order that OKX acknowledged was not reported in time."""
        while True:
            await asyncio.sleep(self.expected.look_every)
            if self.expected.overdue:
                raise UnavailableError("the account's stream does not report what OKX acknowledged", venue=VENUE)

    def _on_push(self, arg: Arg, push: Push) -> None:
        if arg.channel == "orders":
            for order in ORDERS.decode(push.data):
                self._on_order(order)
        elif arg.channel == "orders-algo":
            for stop in ALGOS.decode(push.data):
                self._on_stop(stop)
        elif arg.channel == "account":
            for account in ACCOUNTS.decode(push.data):
                for row in account.details:
                    self._on_balance(reports.balance_update(row, nanoseconds(row.u_time or account.u_time)))
