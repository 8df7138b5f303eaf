"""The account's own stream: orders and balances on the private WebSocket, stop orders on the business one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

import aiohttp

from axon_exchange_okx import reports
from axon_exchange_okx.errors import VENUE
from axon_exchange_okx.payloads import ACCOUNTS, ALGOS, ORDERS, AlgoRow, Arg, OrderRow, Push, nanoseconds
from axon_exchange_okx.socket import Argument, Sockets, together
from axon_quant.errors import UnavailableError
from axon_quant.exchange.link import Link
from axon_quant.exchange.stream import BalanceUpdate

PRIVATE, BUSINESS = "/ws/v5/private", "/ws/v5/business"
REPORT_WITHIN = 3.0
"""Seconds until an order that OKX acknowledged must have been reported."""
_LOOK_EVERY = 0.5


class AccountStream:
    """Reads the account's channels and hands what they say to `on_order`, `on_stop` and `on_balance`.

    A stream can fall silent although its connection answers pings. So what OKX acknowledged elsewhere is `expect`ed
    here, and a stream that has not `reported` it in time is given up: the base reconnects and repairs.
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
        self._expected: dict[str, float] = {}
        self._is_up = False

    def expect(self, client_order_id: str) -> None:
        """OKX acknowledged a change of this order that was not reported yet."""
        if self._is_up:
            self._expected.setdefault(client_order_id, monotonic())

    def reported(self, client_order_id: str) -> None:
        """The stream said something of this order."""
        self._expected.pop(client_order_id, None)

    async def run(self, session: aiohttp.ClientSession, root: str, login: Callable[[], Argument], link: Link) -> None:
        """One connection's life. Returns when it is lost, or raises why."""
        self._expected.clear()
        async with Sockets(session, root, link.heard, self._on_push) as sockets:
            private, business = await together(sockets.open(PRIVATE, login), sockets.open(BUSINESS, login))
            channels: list[Argument] = [{"channel": "orders", "instType": "ANY"}, {"channel": "account"}]
            stops: list[Argument] = [{"channel": "orders-algo", "instType": "ANY"}]
            await sockets.until(together(private.subscribe(channels), business.subscribe(stops)))
            self._is_up = True
            link.up()
            try:
                await sockets.until(self._watch())
            finally:
                self._is_up = False

    async def _watch(self) -> None:
        """Returns when an order that OKX acknowledged was not reported in time."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            oldest = next(iter(self._expected.values()), None)
            if oldest is not None and monotonic() - oldest > REPORT_WITHIN:
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
