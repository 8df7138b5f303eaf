"""On a halt everything that is open is cancelled at the venue, whatever the halt was for.

What counts as open is what the adapter follows: it knows of the orders whose outcome is in doubt, and needs no journal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from time import perf_counter

import attrs

from axon_quant.errors import ExchangeError, NotFoundError, RateLimitedError
from axon_quant.exchange import Capability, ExchangeAdapter
from axon_quant.orders import OrderState, OrderStatus

logger = logging.getLogger("axon_quant.live")

_STANDING = (OrderStatus.Open, OrderStatus.PartiallyFilled)
_LOOK_EVERY = 0.002
_ROUND = 2.0
"""Seconds for the requests of one round; a cancel without an answer is sent again."""
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 2.0


@attrs.frozen
class Cancelled:
    """What became of the open orders: of `orders`, `left` are open still; it took `ms` milliseconds.

    `reason` is the last failure where some are left.
    """

    orders: int
    left: int
    ms: float
    reason: str = ""


async def cancel_open(adapter: ExchangeAdapter, *, at_once: bool, patience: float = 10.0) -> Cancelled:
    """Cancel every open order that `adapter` follows, and see to it for `patience` seconds. Raises nothing.

    With `at_once`, a symbol with several orders takes one request where the venue cancels all of a symbol, which takes
    along what others have open there; else each order is cancelled by itself. All requests leave together. Orders in
    doubt are cancelled by their client order ids as soon as they may be there.
    """
    sweep = _Sweep(adapter, at_once=at_once and Capability.CancelAll in adapter.capabilities)
    began, wait = perf_counter(), _FIRST_WAIT
    deadline = began + patience
    while adapter.orders.open:
        await sweep.round(min(_ROUND, max(deadline - perf_counter(), 0.1)))
        await sweep.settle(min(wait, max(deadline - perf_counter(), 0.0)))
        if perf_counter() >= deadline:
            break
        if adapter.orders.open and wait > _FIRST_WAIT:
            await sweep.look_up()
        wait = min(2 * wait, _LONGEST_WAIT)
    left = len(adapter.orders.open)
    took = (perf_counter() - began) * 1e3
    return Cancelled(len(sweep.seen), left, round(took, 3), sweep.reason if left else "")


class _Sweep:
    """Rounds of cancels until nothing is open."""

    def __init__(self, adapter: ExchangeAdapter, *, at_once: bool) -> None:
        self.seen: set[str] = set()
        self.reason = ""
        self._adapter = adapter
        self._at_once = at_once
        self._asked: set[str] = set()

    async def round(self, seconds: float) -> None:
        """Ask for the cancel of everything that is open now."""
        orders = list(self._adapter.orders.open.values())
        self.seen.update(state.order.client_order_id for state in orders)
        standing = [state for state in orders if state.status in _STANDING]
        self._asked = {state.order.client_order_id for state in standing}
        work = [self._cancel(state) for state in orders if not (self._at_once and state.status in _STANDING)]
        if self._at_once:
            work += [self._cancel_all(symbol) for symbol in _symbols(standing)]
        tasks = [asyncio.ensure_future(one) for one in work]
        try:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            if late:
                self.reason = f"{len(late)} requests had no answer within {seconds:.1f} s"
        finally:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def settle(self, seconds: float) -> None:
        """Wait until nothing is open, an order in doubt turned out to stand, or `seconds` are over."""
        deadline = perf_counter() + seconds
        while perf_counter() < deadline:
            states = self._adapter.orders.open
            if not states or any(
                state.status in _STANDING and name not in self._asked for name, state in states.items()
            ):
                return
            await asyncio.sleep(_LOOK_EVERY)

    async def look_up(self) -> None:
        """Ask the venue what is open: the stream that would tell may be down."""
        try:
            async with asyncio.timeout(_ROUND):
                await self._adapter.repair()
        except (ExchangeError, TimeoutError) as error:
            self.reason = str(error) or "the open orders could not be looked up in time"

    async def _cancel(self, state: OrderState) -> None:
        try:
            await self._adapter.cancel_order(state.order.client_order_id)
        except NotFoundError:
            return  # it finished first, or has not arrived: the next round sees which
        except ExchangeError as error:
            await self._failed(error)

    async def _cancel_all(self, symbol: str) -> None:
        try:
            await self._adapter.cancel_all(symbol)
        except ExchangeError as error:
            await self._failed(error)

    async def _failed(self, error: ExchangeError) -> None:
        self.reason = str(error)
        logger.warning("a cancel failed and is sent again: %s", error)
        if isinstance(error, RateLimitedError):
            await asyncio.sleep(min(error.retry_after, _ROUND))


def _symbols(states: Iterable[OrderState]) -> list[str]:
    return list(dict.fromkeys(state.order.symbol for state in states))
