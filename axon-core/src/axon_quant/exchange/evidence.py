"""What became of a request whose answer was lost: resolved by time and evidence, never by counting attempts.

A request is valid for `validity` seconds from the time it was signed with, and the venue's engine holds an accepted one
for at most `engine_timeout`. Until both have passed, not finding an order proves nothing; afterwards, two look-ups by
client order id that find nothing prove that it does not exist and never will.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import attrs

from axon_quant.clock import NANOSECONDS, Clock
from axon_quant.errors import AmbiguousError, ExchangeError, NotFoundError, UnavailableError
from axon_quant.exchange.budget import Request, Sleep
from axon_quant.exchange.capabilities import Capability
from axon_quant.exchange.config import ExchangeConfig
from axon_quant.exchange.exact import ZERO, add
from axon_quant.exchange.reports import Reports, as_update
from axon_quant.exchange.requests import Horizon, Stamp, logger
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Fill, OrderStatus, OrderUpdate

OVERLAP = 10 * NANOSECONDS
"""How much further back fills are asked for than should be needed: clocks differ, and lists lag."""
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 0.5
_BETWEEN_ABSENCES = 0.25
_LATE_PAUSE = 5.0
_MEASURE_BEFORE = 0.75  # seconds before the horizon
_LATE = 60.0  # seconds beyond the horizon from which look-ups become rare
_PATIENCE = 2.0  # seconds that one look-up may take
_ANOTHER = 60 * NANOSECONDS  # an order made so long before ours is another one
_WAIT_FOR_FILLS = 600 * NANOSECONDS
_GRACE = 0.5  # seconds for the stream to bring what it is expected to


class TooEarlyError(UnavailableError):
    """The venue answered, and what it says proves nothing yet."""


@attrs.define(eq=False)
class Case:
    """One thing that is not known, until `is_known` says so; `done` is set then."""

    state: OrderState
    horizon: Horizon
    is_known: Callable[[], bool]
    done: asyncio.Event = attrs.field(factory=asyncio.Event)


@attrs.define
class _Lack:
    """An order has filled more, `reported`, than we know fills of. Nobody waits for them beyond `until`."""

    state: OrderState
    reported: Decimal
    until: int

    @property
    def is_there(self) -> bool:
        return self.reported > self.state.filled_quantity


class Evidence(Reports):
    """Looks up what is unknown or does not fit."""

    def __init__(self, config: ExchangeConfig | None, clock: Clock | None, sleep: Sleep | None) -> None:
        super().__init__(config, clock, sleep)
        self._cases: dict[str, list[Case]] = {}
        self._doubted: set[str] = set()
        self._amending: set[str] = set()
        self._lacking: dict[str, _Lack] = {}
        self._chasing = False

    @property
    def _can_look_up(self) -> bool:
        """Whether an order can be proven not to exist."""
        return Capability.FetchOrder in self.capabilities or self.capabilities >= {
            Capability.OpenOrders,
            Capability.Fills,
        }

    # Cases.

    def _open_case(self, state: OrderState, stamp: Stamp | None, is_known: Callable[[], bool]) -> Case:
        """Begin to find something out in the background."""
        case = Case(state, self._horizon_of(stamp), is_known)
        if self._can_look_up:
            self._cases.setdefault(state.order.client_order_id, []).append(case)
            self._start_task(self._investigate(case))
        return case

    def _investigate_placing(self, state: OrderState, stamp: Stamp | None = None) -> Case:
        """Find out in the background whether an order exists; without look-ups, only a report can tell."""
        return self._open_case(state, stamp, lambda: state.status is not OrderStatus.Unknown)

    async def _await_case(self, case: Case) -> bool:
        """Wait until a case is known, at most until a second after its horizon; whether it is."""
        limit = max(0.0, self._left_until(case.horizon)) + 1.0
        try:
            async with asyncio.timeout(limit):
                await case.done.wait()
        except TimeoutError:
            return case.is_known()
        return case.is_known()

    async def _investigate(self, case: Case) -> None:
        """Look an order up until the case is known; beyond the horizon, two answers alike settle it."""
        state, pause, seen, absent, measured = case.state, _FIRST_PAUSE, 0, 0, False
        try:
            while not case.is_known() and seen < 2:
                if not measured and self._left_until(case.horizon) < _MEASURE_BEFORE:
                    measured = await self._measure_again()
                conclusive = measured and self._left_until(case.horizon) <= 0
                found = await self._try_to_look_up(state)
                if isinstance(found, OrderState):
                    await self._bring_up_to_date(state, found)
                    seen, absent = seen + conclusive, 0
                elif found is None:
                    absent += conclusive
                    if absent == 2 and not case.is_known():
                        self._conclude_absent(state)
                        return
                left = self._left_until(case.horizon)
                if left > 0:
                    await self._sleep(min(pause, left + 0.001))
                    pause = min(2 * pause, _LONGEST_PAUSE)
                elif not case.is_known():
                    await self._sleep(_BETWEEN_ABSENCES if left > -_LATE else _LATE_PAUSE)
        finally:
            self._close_case(case)

    async def _measure_again(self) -> bool:
        """Be sure of the venue's clock, which may have been set meanwhile; whether we are."""
        try:
            await self._set_clock(self.clock.now())
        except ExchangeError as error:
            logger.info("%s: the venue's clock could not be measured: %s", self.name, error)
            return False
        return True

    def _close_case(self, case: Case) -> None:
        case.done.set()
        name = case.state.order.client_order_id
        others = [other for other in self._cases.get(name, ()) if other is not case]
        if others:
            self._cases[name] = others
        else:
            self._cases.pop(name, None)

    def _conclude_absent(self, state: OrderState) -> None:
        """An order is proven not to be at the venue."""
        order = state.order
        if state.status is OrderStatus.Unknown:
            reason = "it never reached the venue: its validity is over and look-ups find nothing"
            self._settle(order, OrderStatus.Rejected, reason)
        elif not state.status.is_terminal and state.status is not OrderStatus.Created:
            self._settle(order, OrderStatus.Cancelled, "the venue no longer has it")

    # Look-ups.

    async def _look_up(self, state: OrderState) -> OrderState | None:
        """An order as the venue has it by its strongest query; None when it has none. Raises ExchangeError."""
        try:
            async with asyncio.timeout(_PATIENCE):
                if Capability.FetchOrder in self.capabilities:
                    found = await self._call_primitive(Request.Query, self._fetch_order, state)
                    return found if found is None or self._is_same(found, state) else None
                return await self._search_lists(state)
        except NotFoundError:
            return None
        except TimeoutError:
            raise AmbiguousError(f"no answer to a look-up within {_PATIENCE:g} s", venue=self.name) from None

    async def _try_to_look_up(self, state: OrderState) -> OrderState | ExchangeError | None:
        try:
            return await self._look_up(state)
        except ExchangeError as error:
            logger.info("%s: %s could not be looked up: %s", self.name, state.order.client_order_id, error)
            return error

    async def _search_lists(self, state: OrderState) -> OrderState | None:
        """An order among the open ones or, by its fills, among the finished."""
        order, was_there = state.order, bool(state.venue_order_id)
        for found in await self._call_primitive(Request.Query, self._fetch_open_orders, order.symbol):
            if found.order.client_order_id == order.client_order_id:
                return found
        names = {order.client_order_id, state.venue_order_id}
        recent = await self._call_primitive(Request.Query, self._fetch_fills, self._fills_of(state))
        fills = {fill.fill_id: fill for fill in recent if fill.client_order_id in names}
        if not fills and not was_there:
            if any(self._may_be_of(fill, state) for fill in recent):
                raise TooEarlyError("there are fills under unknown names that may be the order's", venue=self.name)
            return None
        filled = ZERO
        for fill in fills.values():
            filled = add(filled, fill.quantity)
        status = OrderStatus.Filled if filled >= order.quantity else OrderStatus.Cancelled
        age = (self.clock.now() - state.created_at) / NANOSECONDS
        if status is OrderStatus.Cancelled and age < self.validity + self.engine_timeout:
            raise TooEarlyError("it is too early to tell whether the order is over", venue=self.name)
        reason = "" if status is OrderStatus.Filled else "it is no longer among the open orders"
        return OrderState(order, status, state.venue_order_id, filled, reason=reason)

    def _may_be_of(self, fill: Fill, state: OrderState) -> bool:
        """Whether a fill under a name that is not known may belong to an order that the venue has not named."""
        return (
            (fill.symbol, fill.side) == (state.order.symbol, state.order.side)
            and fill.at >= state.created_at + self._venue_clock.offset - OVERLAP
            and fill.client_order_id not in self._ours
            and self._find_order(fill.client_order_id) is None
        )

    def _is_same(self, found: OrderState, state: OrderState) -> bool:
        """Whether the venue speaks of this order, not of an earlier one under the same name."""
        ours, other = state.order, found.order
        if (ours.symbol, ours.side) != (other.symbol, other.side):
            return False
        earliest = state.created_at + self._venue_clock.offset - _ANOTHER
        return not 0 < found.created_at < earliest

    async def _bring_up_to_date(self, state: OrderState, found: OrderState) -> None:
        """Apply what a look-up found, fills first."""
        self._learn_names(state, found)
        if found.filled_quantity > state.filled_quantity and Capability.Fills in self.capabilities:
            try:
                await self._fetch_lacking([state])
            except ExchangeError as error:
                logger.warning("%s: fills could not be looked up: %s", self.name, error)
        self._deliver(as_update(found, state.order.client_order_id, self.clock.now()))

    def _learn_names(self, state: OrderState, found: OrderState) -> None:
        """Take over what an update cannot say: the venue's name, and what an amendment changed."""
        if found.venue_order_id:
            self._name_order(state, found.venue_order_id)
        order, other = state.order, found.order
        price = other.price if order.order_type.has_price and other.price is not None else order.price
        if (price, other.quantity) != (order.price, order.quantity) and other.quantity >= state.filled_quantity:
            state.order = attrs.evolve(order, price=price, quantity=other.quantity)

    def _fills_of(self, state: OrderState, further: int = 0) -> int:
        """Since when an order may have fills, in venue time; `further` ns back to be surer."""
        return max(state.created_at + min(self._venue_clock.offset, 0) - OVERLAP - further, 0)

    async def _fetch_lacking(self, states: list[OrderState], further: int = 0) -> int:
        """Look up the fills that these orders have had; how many were new."""
        since = min(self._fills_of(state, further) for state in states)
        fills = await self._call_primitive(Request.Query, self._fetch_fills, since)
        return sum(self._count_fill(fill) for fill in sorted(fills, key=fill_time))

    # What does not fit.

    def _is_in_question(self, state: OrderState) -> bool:
        name = state.order.client_order_id
        return name in self._amending or name in self._cases

    def _follow_up(self, state: OrderState, update: OrderUpdate, before: OrderStatus) -> None:
        name = state.order.client_order_id
        if self._cases:
            for case in list(self._cases.get(name, ())):
                if case.is_known():
                    self._close_case(case)
        reported = update.filled_quantity
        if not reported and update.status is OrderStatus.Filled:
            reported = state.order.quantity
        if reported > state.filled_quantity and Capability.Fills in self.capabilities:
            self._lacking[name] = _Lack(state, reported, self.clock.now() + _WAIT_FOR_FILLS)
            if not self._chasing:
                self._chasing = True
                self._start_task(self._chase_fills())
        if before is OrderStatus.Rejected and update.status in (OrderStatus.Open, OrderStatus.PartiallyFilled):
            logger.error("%s: order %s lives although it was rejected; cancelling it", self.name, name)
            self._start_task(self._cancel_ghost(state))

    async def _chase_fills(self) -> None:
        """Look up fills that orders have had and the stream has not brought, until none is lacking."""
        pause, further = _GRACE, 0
        try:
            while True:
                await self._sleep(pause)
                now = self.clock.now()
                for name, lack in list(self._lacking.items()):
                    if not lack.is_there:
                        del self._lacking[name]
                    elif now > lack.until:
                        logger.error("%s: %s filled %s, the venue has no fills for it", self.name, name, lack.reported)
                        del self._lacking[name]
                if not self._lacking:
                    return
                try:
                    await self._fetch_lacking([lack.state for lack in self._lacking.values()], further)
                except ExchangeError as error:
                    logger.warning("%s: fills could not be looked up: %s", self.name, error)
                pause = min(2 * pause, 30.0)
                further = 2 * further + OVERLAP  # the venue's clock may have been set
        finally:
            self._chasing = False

    def _doubt(self, state: OrderState) -> None:
        name = state.order.client_order_id
        if self._can_look_up and name not in self._doubted:
            self._doubted.add(name)
            self._start_task(self._look_again(state))

    async def _look_again(self, state: OrderState) -> None:
        try:
            horizon, absent, pause = self._horizon_of(), 0, _GRACE
            while absent < 2:
                await self._sleep(pause)
                conclusive = self._left_until(horizon) <= 0
                found = await self._try_to_look_up(state)
                if isinstance(found, OrderState):
                    await self._bring_up_to_date(state, found)
                    return
                if found is None:
                    if state.status.is_terminal or state.status is OrderStatus.Unknown:
                        return
                    absent += conclusive
                else:
                    pause = min(2 * pause, _LATE_PAUSE)
            self._conclude_absent(state)
        finally:
            self._doubted.discard(state.order.client_order_id)

    async def _cancel_ghost(self, state: OrderState) -> None:
        """Cancel an order that should not be there."""
        try:
            await self._patiently(lambda: self._call_primitive(Request.Cancel, self._send_cancel, state))
        except NotFoundError:
            return


def fill_time(fill: Fill) -> int:
    """The key that sorts fills oldest first."""
    return fill.at
