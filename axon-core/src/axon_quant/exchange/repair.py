"""What was missed: orders, fills and balances are brought up to date with the venue.

Names come first, then fills, then the orders' statuses, so that a reader sees an order's fills before its end and a
fill that the venue lists under its own name finds its order. The stream may report anything in between: fills are
counted once by their ids, an order never goes backwards, and a balance that the stream reported after we asked stays.
"""

from __future__ import annotations

import asyncio

import attrs

from axon_quant.clock import Clock
from axon_quant.errors import AmbiguousError, ExchangeError, UnavailableError
from axon_quant.exchange.budget import Request, Sleep
from axon_quant.exchange.capabilities import Capability
from axon_quant.exchange.config import ExchangeConfig, ForeignOrders
from axon_quant.exchange.evidence import OVERLAP, TooEarlyError, fill_time
from axon_quant.exchange.exact import ZERO
from axon_quant.exchange.reports import as_update
from axon_quant.exchange.requests import logger
from axon_quant.exchange.sending import Sending
from axon_quant.exchange.stream import BalanceUpdate
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import OrderStatus

_AT_ONCE = 5
"""Look-ups that are on their way together."""
_TRIES = 3
_BETWEEN_TRIES = 0.05


@attrs.frozen
class Repair:
    """How many orders changed, fills were new and balances differed."""

    orders: int = 0
    fills: int = 0
    balances: int = 0


class Repairs(Sending):
    """Brings everything up to date at once."""

    def __init__(self, config: ExchangeConfig | None, clock: Clock | None, sleep: Sleep | None) -> None:
        super().__init__(config, clock, sleep)
        self._repairing = asyncio.Lock()

    async def _repair_now(self) -> Repair:
        """Ask for everything that is declared. Raises ExchangeError when the venue cannot be asked."""
        async with self._repairing:
            before = {state.order.client_order_id: state.status for state in self.orders.open.values()}
            listed = await self._list_open()
            fills = await self._count_fills(listed)
            missing = [
                state
                for state in self.orders.open.values()
                if state.order.client_order_id in before and state.order.client_order_id not in listed
            ]
            found, failure = await self._look_up_all(missing)
            fills += await self._report_found(listed | found)
            if failure is not None:
                raise failure
            self._judge_strays()
            balances = await self._repair_balances()
        orders = sum(
            state is not None and state.status is not status
            for state, status in ((self.orders.get(name), status) for name, status in before.items())
        )
        return Repair(orders, fills, balances)

    async def _list_open(self) -> dict[str, OrderState]:
        """Our open orders as the venue lists them, by client order id; foreign ones are met."""
        if Capability.OpenOrders not in self.capabilities:
            return {}
        listed = {}
        for found in await self._patiently(lambda: self._call_primitive(Request.Query, self._fetch_open_orders, None)):
            state = self.orders.get(found.order.client_order_id) or self._find_order(found.venue_order_id)
            if state is not None:
                listed[state.order.client_order_id] = found
                self._learn_names(state, found)
            elif found.order.client_order_id not in self._ours:
                if self._foreign_policy is ForeignOrders.Adopt:
                    self._adopt_foreign(found)
                else:
                    self._meet_foreign(found.order.client_order_id, found.venue_order_id, found.order.symbol)
        return listed

    async def _count_fills(self, listed: dict[str, OrderState]) -> int:
        """Fills since the last ones that we are sure of, and those that listed orders had before."""
        if Capability.Fills not in self.capabilities:
            return 0
        since = self._fills_since
        for name, found in listed.items():
            state = self.orders.get(name)
            if state is not None and found.filled_quantity > state.filled_quantity:
                since = min(since, self._fills_of(state) + OVERLAP)
        since = max(since - OVERLAP, 0)
        fills = await self._patiently(lambda: self._call_primitive(Request.Query, self._fetch_fills, since))
        fills = sorted(fills, key=fill_time)
        count = sum(self._count_fill(fill) for fill in fills)
        if fills:
            self._fills_since = max(self._fills_since, fills[-1].at)
        return count

    async def _look_up_all(self, states: list[OrderState]) -> tuple[dict[str, OrderState], BaseException | None]:
        """Those of these orders that the venue has, by client order id, and why one of them could not be looked up.

        Orders that the venue does not have are left to more evidence.
        """
        if not self._can_look_up:
            return {}, None
        places = asyncio.Semaphore(_AT_ONCE)
        found: dict[str, OrderState] = {}

        async def look(state: OrderState) -> None:
            async with places:
                if state.status.is_terminal or state.status is OrderStatus.Created:
                    return  # it has finished meanwhile, or is being sent
                try:
                    seen = await self._look_up_again(state)
                except TooEarlyError:
                    seen = None
            if seen is not None:
                found[state.order.client_order_id] = seen
                self._learn_names(state, seen)
            elif state.status is not OrderStatus.Unknown:
                self._doubt(state)
            elif state.order.client_order_id not in self._cases:
                self._investigate_placing(state)

        outcomes = await asyncio.gather(*(look(state) for state in states), return_exceptions=True)
        return found, next((outcome for outcome in outcomes if outcome is not None), None)

    async def _look_up_again(self, state: OrderState) -> OrderState | None:
        """Look an order up, a few times if need be: a repair of many would seldom end if one failure ended it."""
        for _ in range(_TRIES - 1):
            try:
                return await self._patiently(lambda: self._look_up(state))
            except TooEarlyError:
                raise
            except (UnavailableError, AmbiguousError):
                await self._sleep(_BETWEEN_TRIES)
        return await self._patiently(lambda: self._look_up(state))

    async def _report_found(self, found: dict[str, OrderState]) -> int:
        """Report the orders that were found, after the fills they lack; how many fills were new."""
        pairs = [(state, seen) for name, seen in found.items() if (state := self.orders.get(name)) is not None]
        lacking = [state for state, seen in pairs if seen.filled_quantity > state.filled_quantity]
        fills = 0
        if lacking and Capability.Fills in self.capabilities:
            fills = await self._patiently(lambda: self._fetch_lacking(lacking))
        for state, seen in pairs:
            self._deliver(as_update(seen, state.order.client_order_id, self.clock.now()))
        return fills

    async def _repair_balances(self) -> int:
        if Capability.Balances not in self.capabilities:
            return 0
        asked = self._serial
        balances = await self._patiently(lambda: self._call_primitive(Request.Query, self._fetch_balances))
        at, changed = self.venue_time(), 0
        for asset in sorted(self._balances.keys() | balances.keys()):
            known, balance = self._balances.get(asset), balances.get(asset)
            if known is not None and known.serial > asked:
                continue
            free, locked = (balance.free, balance.locked) if balance is not None else (ZERO, ZERO)
            if known is None or (known.update.free, known.update.locked) != (free, locked):
                changed += 1
                self._publish_balance(BalanceUpdate(asset, free, locked, at))
        return changed

    async def _repair_until_done(self) -> None:
        """Repair as soon as the venue answers. Its pauses grow up to two seconds."""
        pause = 0.1
        while True:
            try:
                repaired = await self._repair_now()
            except ExchangeError as error:
                logger.warning("%s: the account could not be repaired yet: %s", self.name, error)
                await self._sleep(pause)
                pause = min(2 * pause, 2.0)
            else:
                logger.info("%s: repaired: %s", self.name, repaired)
                return
