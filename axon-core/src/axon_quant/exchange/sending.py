"""Requests that change something at the venue, each sent at most once unless the venue says that it was not taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar

from axon_quant.errors import (
    AmbiguousError,
    ClockError,
    DuplicateOrderError,
    ExchangeError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)
from axon_quant.exchange.budget import Request
from axon_quant.exchange.evidence import Evidence
from axon_quant.exchange.requests import SIGNED, Stamp
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import OrderStatus

_T = TypeVar("_T")


class Sending(Evidence):
    """Sends orders, cancels and amendments, and finds out what became of those without an answer."""

    is_external: ClassVar[bool] = True

    async def _create_order(self, state: OrderState, primitive: str, send: Callable[[], Awaitable[str]]) -> str:
        """Send an order that is tracked already and return the venue's id; `place_order` says what is raised."""
        order = state.order
        stamp = Stamp()
        token = SIGNED.set(stamp)
        try:
            venue_order_id = await self._send_once(Request.Order, primitive, send)
        except (AmbiguousError, DuplicateOrderError) as error:
            return await self._find_out_order(state, stamp, error)
        except ExchangeError as error:
            error.venue, error.symbol = error.venue or self.name, error.symbol or order.symbol
            self._note_penalty(error)
            self._settle(order, OrderStatus.Rejected, str(error))
            raise
        except BaseException as error:
            # Interrupted at an unknown point: the request may have left.
            self._settle(order, OrderStatus.Unknown, repr(error))
            self._investigate_placing(state, stamp)
            raise
        finally:
            SIGNED.reset(token)
        self._settle(order, OrderStatus.Open, "", venue_order_id)
        return venue_order_id

    async def _cancel_order(self, state: OrderState) -> None:
        """Ask for a cancel; `cancel_order` says what is raised."""
        await self._spend(Request.Cancel, "_send_cancel")
        state.cancel_requested = True
        stamp = Stamp()
        token = SIGNED.set(stamp)
        try:
            await self._send_once(Request.Cancel, "_send_cancel", lambda: self._send_cancel(state))
        except AmbiguousError as error:
            await self._confirm_change(state, stamp, lambda: state.status.is_terminal, "cancel", error)
        except NotFoundError:
            state.cancel_requested = False
            self._doubt(state)
            raise
        except ExchangeError as error:
            self._note_penalty(error)
            state.cancel_requested = False
            raise
        finally:
            SIGNED.reset(token)

    async def _change_order(
        self, state: OrderState, is_done: Callable[[], bool], send: Callable[[], Awaitable[None]]
    ) -> None:
        """Amend an order in place; `amend_order` says what is raised."""
        name = state.order.client_order_id
        self._amending.add(name)
        stamp = Stamp()
        token = SIGNED.set(stamp)
        try:
            await self._send_once(Request.Order, "_send_amend", send)
        except AmbiguousError as error:
            await self._confirm_change(state, stamp, is_done, "amendment", error)
        except ExchangeError as error:
            self._note_penalty(error)
            self._doubt(state)
            raise
        finally:
            SIGNED.reset(token)
            self._amending.discard(name)

    async def _send_once(self, request: Request, primitive: str, send: Callable[[], Awaitable[_T]]) -> _T:
        """Send once; once more, with the clock set right, when the venue refuses our time."""
        asked = self.clock.now()
        try:
            return await self._await_answer(send)
        except ClockError:
            if not await self._set_clock(asked):
                raise
        await self._spend(request, primitive)
        return await self._await_answer(send)

    async def _await_answer(self, send: Callable[[], Awaitable[_T]]) -> _T:
        """The venue's answer; AmbiguousError when it takes longer than the request is good for."""
        if not self.is_external:
            return await send()
        limit = self.validity + self.engine_timeout
        try:
            return await self._patience.wait(send, limit)
        except TimeoutError:
            raise AmbiguousError(f"no answer within {limit:g} s", venue=self.name) from None

    async def _find_out_order(
        self, state: OrderState, stamp: Stamp, error: AmbiguousError | DuplicateOrderError
    ) -> str:
        """What became of an order that may exist: the venue's id, or raises."""
        order = state.order
        is_duplicate = isinstance(error, DuplicateOrderError)
        if is_duplicate and not self._can_look_up:
            self._settle(order, OrderStatus.Rejected, str(error))
            raise error
        self._settle(order, OrderStatus.Unknown, str(error))
        if not self._can_look_up:
            raise error
        await self._await_case(self._investigate_placing(state, stamp))
        if state.status is OrderStatus.Rejected:
            if is_duplicate:
                raise error
            raise RejectedError(
                state.reason, venue=self.name, symbol=order.symbol, code=error.code, text=error.text
            ) from error
        if state.status is OrderStatus.Unknown:
            raise AmbiguousError(
                f"order {order.client_order_id}: the outcome is unknown, nobody answers: {error.message}",
                venue=self.name,
                symbol=order.symbol,
                code=error.code,
                text=error.text,
                hint="never send it again: it is looked up until the venue answers, and reported by events()",
            ) from error
        return state.venue_order_id or order.client_order_id

    async def _confirm_change(
        self, state: OrderState, stamp: Stamp, is_done: Callable[[], bool], what: str, error: AmbiguousError
    ) -> None:
        """Find out whether a cancel or an amendment was taken; raises unless it was."""
        if not self._can_look_up:
            raise error
        case = self._open_case(state, stamp, is_done)
        if await self._await_case(case):
            return
        name, symbol = state.order.client_order_id, state.order.symbol
        if case.done.is_set():
            state.cancel_requested = False
            raise UnavailableError(
                f"the {what} of order {name} did not reach the venue: {error.message}",
                venue=self.name,
                symbol=symbol,
                code=error.code,
                text=error.text,
                hint="ask for it again",
            ) from error
        raise AmbiguousError(
            f"whether the {what} of order {name} was taken is unknown: {error.message}",
            venue=self.name,
            symbol=symbol,
            code=error.code,
            text=error.text,
        ) from error
