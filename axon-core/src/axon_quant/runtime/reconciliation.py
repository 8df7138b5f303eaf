"""Before a live run trades: every order of earlier runs settled with the venue, and balances that fit the fills.

A balance and a fill come by different ways, so either could be read a moment too early. Fills are read before and after
the balances, until nothing lies between: only then is it known which fills the balances contain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from axon_quant.clock import NANOSECONDS
from axon_quant.errors import UnavailableError
from axon_quant.events import AccountReconciled, BalanceDifference, OrderAdopted, OrderUpdated
from axon_quant.exchange import Capability, EventStream, ExchangeAdapter
from axon_quant.exchange.config import ForeignOrders
from axon_quant.exchange.exact import ZERO
from axon_quant.orders import OrderState, OrderStatus, OrderUpdate
from axon_quant.runtime.past import Past

if TYPE_CHECKING:
    from axon_quant.runtime.wiring import Pipeline

_OVERLAP = 60 * NANOSECONDS
"""Fills are asked for from this long before the last report, for venues whose clock differs."""
_PATIENCE = 10
"""How often balances are read again because fills came between."""


@attrs.frozen
class Account:
    """What the venue says, all of one moment.

    `updates` bring the orders of the past up to it; `fill_ids` are those the balances contain. `foreign` are open and
    not ours.
    """

    updates: tuple[OrderUpdate, ...]
    balances: Mapping[str, Decimal]
    foreign: tuple[OrderState, ...]
    fill_ids: frozenset[str]


async def read_account(adapter: ExchangeAdapter, past: Past, stream: EventStream) -> Account:
    """Follow the past's open orders at the venue and read the account; `stream` must have been opened on `adapter`.

    Raises UnavailableError when fills keep coming between two readings of the balances.
    """
    for state in past.orders.values():
        adapter.track(attrs.evolve(state, fill_ids=set(state.fill_ids)))
    has = adapter.capabilities.__contains__
    since = max(0, (past.last or adapter.venue_time()) - _OVERLAP)
    for _ in range(_PATIENCE):
        await adapter.repair()
        before = {fill.fill_id for fill in await adapter.fills(since)} if has(Capability.Fills) else set()
        balances = (
            {asset: balance.total for asset, balance in (await adapter.balances()).items()}
            if has(Capability.Balances)
            else {}
        )
        after = {fill.fill_id for fill in await adapter.fills(since)} if has(Capability.Fills) else set()
        if before == after:
            break
    else:
        raise UnavailableError(
            f"the account moved between {_PATIENCE} readings of its balances",
            venue=adapter.name,
            hint="is another process trading on it?",
        )
    open_orders = await adapter.open_orders() if has(Capability.OpenOrders) else []
    foreign = tuple(state for state in open_orders if adapter.orders.get(state.order.client_order_id) is None)
    updates = tuple(event for event in stream.take() if isinstance(event, OrderUpdate))
    return Account(updates, balances, foreign, frozenset(after))


def settle(built: Pipeline, past: Past, account: Account, policy: ForeignOrders) -> None:
    """Journal what was learned, and let the engine follow the orders that are still open.

    The balances that the portfolio began with contain every fill of `account.updates`, so they are not booked again.
    """
    engine = built.engine
    at = engine.clock.time
    for state in past.orders.values():
        built.bus.record(_adopted(at, state, ours=True))
        engine.adopt(state)
    settled = fills = 0
    for update in account.updates:
        followed = engine.tracker.get(update.client_order_id)
        if followed is not None and engine.tracker.apply(update):
            built.bus.record(OrderUpdated(at, update))
            built.risk.on_update(update)
            settled += followed.status.is_terminal
            fills += update.fill is not None
    adopted = [state for state in account.foreign if policy is ForeignOrders.Adopt and _can_adopt(built, state)]
    for state in adopted:
        built.bus.record(_adopted(at, state, ours=False))
        engine.adopt(state)
    if account.foreign and policy is ForeignOrders.Halt:
        built.risk.halt(f"{len(account.foreign)} open orders on the account are not ours")
    built.bus.record(
        AccountReconciled(
            at,
            dict(sorted(account.balances.items())),
            settled,
            fills,
            tuple(state.order.client_order_id for state in account.foreign),
            tuple(_differences(past.balances, account.balances)),
        )
    )


def describe(past: Past, account: Account) -> list[str]:
    """What to tell about it in the run's summary; nothing when there was nothing to do."""
    notices = []
    if past.orders:
        ended = sum(update.status.is_terminal for update in account.updates)
        fills = sum(update.fill is not None for update in account.updates)
        notices.append(
            f"{len(past.orders)} orders of an earlier run were open in the journal: "
            f"{ended} had ended at the venue, {fills} fills were missing"
        )
    if account.foreign:
        names = ", ".join(state.order.client_order_id or state.venue_order_id for state in account.foreign[:5])
        notices.append(f"{len(account.foreign)} open orders on the account are not ours: {names}")
    notices += [
        f"{difference.asset}: the journal leads to {difference.expected:f}, the venue holds {difference.found:f}"
        for difference in _differences(past.balances, account.balances)
    ]
    return notices


def _can_adopt(built: Pipeline, state: OrderState) -> bool:
    return state.order.symbol in built.engine.lanes


def _adopted(at: int, state: OrderState, *, ours: bool) -> OrderAdopted:
    status = OrderStatus.Submitted if state.status is OrderStatus.Created else state.status
    return OrderAdopted(
        at, state.order, status.value, state.venue_order_id, state.filled_quantity, tuple(sorted(state.fill_ids)), ours
    )


def _differences(expected: Mapping[str, Decimal] | None, found: Mapping[str, Decimal]) -> Iterable[BalanceDifference]:
    if expected is None:
        return
    for asset in sorted({*expected, *found}):
        before, now = expected.get(asset, ZERO), found.get(asset, ZERO)
        if before != now:
            yield BalanceDifference(asset, before, now)
