"""Orders on their way out of the process: durable in the journal, allowed still, and only then at the venue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from time import perf_counter_ns

from axon_quant.clock import NEVER
from axon_quant.errors import AmbiguousError, ExchangeError, JournalError, NotFoundError, UnsupportedError
from axon_quant.exchange import ExchangeAdapter
from axon_quant.journal import Journal, Ticket
from axon_quant.orders import Order, OrderStatus, OrderUpdate
from axon_quant.runtime.engine import Engine, Handlers
from axon_quant.runtime.stages import Stages

logger = logging.getLogger("axon_quant.live")


class AdapterRouter:
    """Orders to an `ExchangeAdapter`, each durable in the journal before the adapter sees it.

    A request is a task of its own, so a slow answer holds nothing up; a cancel waits for the order it is about to have
    been sent.
    """

    next_due = NEVER

    def __init__(self, adapter: ExchangeAdapter, journal: Journal, stages: Stages) -> None:
        self._adapter = adapter
        self._journal = journal
        self._stages = stages
        self._engine: Engine | None = None
        self.may_send: Callable[[], bool] = lambda: True
        """Asked before each order leaves."""
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def bind(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def busy(self) -> bool:
        """Whether a request is on its way."""
        return bool(self._tasks)

    @property
    def in_flight(self) -> int:
        """How many requests are on their way, or wait to be."""
        return len(self._tasks)

    def send(self, order: Order, ticket: Ticket, at: int) -> None:  # noqa: ARG002 - an embedded venue needs the time
        task = self._start(self._send(order, ticket))
        self._sending[order.client_order_id] = task
        task.add_done_callback(lambda _: self._sending.pop(order.client_order_id, None))

    def cancel(self, client_order_id: str, at: int) -> None:  # noqa: ARG002
        self._start(self._cancel(client_order_id))

    def advance(self, to: int) -> None:
        """Nothing is simulated here."""

    def handlers(self, symbol: str) -> Handlers:  # noqa: ARG002
        """None: the venue knows its own market."""
        return {}

    async def drain(self) -> None:
        """Wait until no request is on its way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _send(self, order: Order, ticket: Ticket) -> None:
        start = perf_counter_ns()
        try:
            await self._journal.durable(ticket)
        except JournalError as error:
            with suppress(JournalError):
                self._bound.risk.halt(f"the journal failed: {error.message}")
            with suppress(JournalError):  # it is not known to anybody but us
                self._reject(order, f"never sent, because it could not be journaled: {error}")
            return
        if not self.may_send():
            self._reject(order, f"never sent, because trading is halted: {self._bound.risk.reason}")
            return
        self._stages.durable(order.client_order_id, perf_counter_ns() - start)
        self._bound.on_sent(order)
        try:
            await self._adapter.place_order(order)
        except AmbiguousError as error:
            logger.error("order %s: the outcome is unknown: %s", order.client_order_id, error)
        except (ExchangeError, UnsupportedError) as error:
            self._reject(order, str(error))

    async def _cancel(self, client_order_id: str) -> None:
        sending = self._sending.get(client_order_id)
        if sending is not None:
            await asyncio.wait([sending])
        start = perf_counter_ns()
        try:
            await self._adapter.cancel_order(client_order_id)
            self._stages.cancelled(perf_counter_ns() - start)
        except NotFoundError:
            return  # it finished first, and the venue reports how
        except ExchangeError as error:
            logger.warning("cancel of %s failed and may be asked for again: %s", client_order_id, error)
            state = self._bound.tracker.get(client_order_id)
            if state is not None:
                state.cancel_requested = isinstance(error, AmbiguousError)

    def _reject(self, order: Order, reason: str) -> None:
        engine = self._bound
        engine.on_update(
            OrderUpdate(order.client_order_id, OrderStatus.Rejected, engine.clock.time, order.symbol, reason=reason)
        )

    def _start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def _bound(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("the router is not bound to an engine")
        return self._engine
