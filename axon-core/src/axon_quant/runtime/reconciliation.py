"""Before a live run trades: every order of earlier runs settled with the venue, and balances that fit the fills.

A balance and a fill come by different ways, so either could be read a moment too early. Fills are read before and after
the balances, until nothing lies between: only then is it known which fills the balances contain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from time import monotonic
from typing import TYPE_CHECKING

import attrs

from axon_quant.clock import NANOSECONDS
from axon_quant.errors import ConfigError, UnavailableError
from axon_quant.events import AccountReconciled, BalanceDifference, OrderAdopted, OrderUpdated, PositionHeld
from axon_quant.exchange import Capability, EventStream, ExchangeAdapter
from axon_quant.exchange.config import ForeignOrders
from axon_quant.exchange.exact import ZERO
from axon_quant.market import Instrument, InstrumentKind
from axon_quant.orders import Fill, OrderState, OrderStatus, OrderUpdate
from axon_quant.runtime.past import Past, book, charge, move

if TYPE_CHECKING:
    from axon_quant.runtime.wiring import Pipeline

_OVERLAP = 60 * NANOSECONDS
"""Fills are asked for from this long before the last report, for venues whose clock differs."""
_MARGIN = 5.0
_LOOK_EVERY = 0.02
_PATIENCE = 10
"""How often balances are read again because fills came between."""


@attrs.frozen
class Account:
    """What the venue says, all of one moment.

    `updates` bring the orders of the past up to it; `fill_ids` are those the balances contain. `adopted` are open
    orders of somebody else that are followed from now on, `foreign` those that are left alone. `differences` are where
    the venue holds something else than the journal and the fills learned just now lead to.
    `positions` are those of the swaps that are traded, flat ones too.
    """

    updates: tuple[OrderUpdate, ...]
    balances: Mapping[str, Decimal]
    adopted: tuple[OrderState, ...]
    foreign: tuple[OrderState, ...]
    fill_ids: frozenset[str]
    differences: tuple[BalanceDifference, ...]
    positions: tuple[PositionHeld, ...] = ()


def track_past(adapter: ExchangeAdapter, past: Past) -> None:
    """Let `adapter`, which is about to connect, follow the orders that may still live, or may lack a fill."""
    for state in (*past.orders.values(), *past.ended.values()):
        adapter.track(attrs.evolve(state, fill_ids=set(state.fill_ids)))


async def read_account(
    adapter: ExchangeAdapter, past: Past, stream: EventStream, instruments: Sequence[Instrument]
) -> Account:
    """Read the account at the venue; `adapter` tracks the past's orders, `stream` was opened before it connected.

    Raises UnavailableError when an order's fate cannot be found out, or when fills keep coming between two readings of
    the balances; ConfigError for a swap at a venue that does not tell positions.
    """
    swaps = [instrument for instrument in instruments if instrument.kind is InstrumentKind.Swap]
    has = adapter.capabilities.__contains__
    await _until_known(adapter, past)
    since = max(0, (past.last or adapter.venue_time()) - _OVERLAP)
    for _ in range(_PATIENCE):
        await adapter.repair()
        before = {fill.fill_id for fill in await adapter.fills(since)} if has(Capability.Fills) else set()
        held = await adapter.balances() if has(Capability.Balances) else {}
        positions = await _read_positions(adapter, swaps)
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
    updates = tuple(event for event in stream.take() if isinstance(event, OrderUpdate))
    balances = {asset: balance.total for asset, balance in held.items()}
    fills = [update.fill for update in updates if update.fill is not None]
    return Account(
        updates=updates,
        balances=balances,
        adopted=tuple(state for name, state in adapter.orders.open.items() if name not in past.orders),
        foreign=tuple(state for state in open_orders if adapter.orders.get(state.order.client_order_id) is None),
        fill_ids=frozenset(after),
        differences=tuple(_differences(past, fills, balances, positions, instruments)),
        positions=positions,
    )


async def _read_positions(adapter: ExchangeAdapter, swaps: Iterable[Instrument]) -> tuple[PositionHeld, ...]:
    if not swaps:
        return ()
    if Capability.Positions not in adapter.capabilities:
        raise ConfigError(
            f"a run on a swap has to know its position, and the {adapter.name} plugin does not tell positions",
            hint="trade spot there, or a swap at binance-futures or okx",
        )
    found = {position.symbol: position for position in await adapter.positions()}
    held = []
    for swap in swaps:
        position = found.get(swap.symbol)
        quantity, entry = (ZERO, None) if position is None else (position.quantity, position.entry_price)
        if quantity and entry is None:
            raise UnavailableError(
                f"the venue does not tell at what price the position of {quantity:f} {swap.symbol} was entered",
                venue=adapter.name,
                hint="close the position, then start again",
            )
        held.append(PositionHeld(swap.symbol, quantity, entry or ZERO, swap.contract_size))
    return tuple(held)


async def _until_known(adapter: ExchangeAdapter, past: Past) -> None:
    """Wait until no order of the past is in doubt: found, or proven not to exist."""
    if not {Capability.FetchOrder, Capability.OpenOrders} & adapter.capabilities:
        return
    patience = adapter.validity + adapter.engine_timeout + _MARGIN
    deadline = monotonic() + patience
    while unknown := [name for name in past.orders if _is_unknown(adapter, name)]:
        if monotonic() > deadline:
            raise UnavailableError(
                f"what became of {len(unknown)} orders could not be found out within {patience:.0f} s",
                venue=adapter.name,
                hint="the venue could not be asked; start again when it can",
            )
        await asyncio.sleep(_LOOK_EVERY)


def _is_unknown(adapter: ExchangeAdapter, client_order_id: str) -> bool:
    state = adapter.orders.get(client_order_id)
    return state is not None and state.status is OrderStatus.Unknown


def settle(built: Pipeline, past: Past, account: Account, policy: ForeignOrders) -> None:
    """Journal what was learned, and let the engine follow the orders that are still open.

    The balances that the portfolio began with contain every fill of `account.updates`, so they are not booked again.
    Raises OrderError for an open order that has no price to be valued at.
    """
    at, tracker = built.clock.time, built.engine.tracker
    late = {update.client_order_id for update in account.updates if update.fill is not None}
    for state in (*past.orders.values(), *(state for name, state in past.ended.items() if name in late)):
        _follow(built, state, ours=True)
    settled = fills = 0
    for update in account.updates:
        followed = tracker.get(update.client_order_id)
        if followed is not None and tracker.apply(update):
            built.bus.record(OrderUpdated(at, update))
            settled += followed.status.is_terminal
            fills += update.fill is not None
    for followed in tracker.open.values():
        _reserve(built, followed)
    for state in account.adopted:
        adopt(built, state)
    if account.foreign and policy is ForeignOrders.Halt:
        built.risk.halt(f"{len(account.foreign)} open orders on the account are not ours")
    built.bus.record(
        AccountReconciled(
            at,
            dict(sorted(account.balances.items())),
            settled,
            fills,
            tuple(state.order.client_order_id for state in account.foreign),
            account.differences,
            account.positions,
        )
    )


def adopt(built: Pipeline, state: OrderState) -> None:
    """Journal an order that somebody else has placed, and follow it; one of a symbol that is not traded is left out."""
    followed = _follow(built, state, ours=False)
    if followed is not None and not followed.status.is_terminal:
        _reserve(built, followed)


def _follow(built: Pipeline, state: OrderState, *, ours: bool) -> OrderState | None:
    if state.order.symbol not in built.engine.lanes:
        return None
    own = built.engine.tracker.follow(state)
    fill_ids = tuple(sorted(own.fill_ids))
    built.bus.record(
        OrderAdopted(
            built.clock.time, own.order, own.status.value, own.venue_order_id, own.filled_quantity, fill_ids, ours
        )
    )
    return own


def _reserve(built: Pipeline, state: OrderState) -> None:
    """Its share of the limits, whatever they say; what has filled is in the balances that the portfolio began with."""
    built.risk.adopt(state.order, filled=state.filled_quantity)


def describe(past: Past, account: Account) -> list[str]:
    """What to tell about it in the run's summary; nothing when there was nothing to do."""
    notices = []
    fills = sum(update.fill is not None for update in account.updates)
    if past.orders or fills:
        ended = sum(update.status.is_terminal for update in account.updates if update.client_order_id not in past.ended)
        notices.append(
            f"{len(past.orders)} orders of an earlier run were open in the journal: "
            f"{ended} had ended at the venue, {fills} fills were missing"
        )
    if account.adopted:
        notices.append(f"{len(account.adopted)} open orders of somebody else were adopted")
    if account.foreign:
        names = ", ".join(state.order.client_order_id or state.venue_order_id for state in account.foreign[:5])
        notices.append(f"{len(account.foreign)} open orders on the account are not ours: {names}")
    notices += [
        f"{difference.asset}: the journal leads to {difference.expected:f}, the venue holds {difference.found:f}"
        for difference in account.differences
    ]
    return notices


def deposited(built: Pipeline, account: Account) -> Decimal:
    """What was paid in since the journal ends, in the quote asset; negative when it was withdrawn.

    0 when an asset that is traded has moved as well: then it was a trade that is not ours, and no money came or went.
    0 for the wallet of swaps, too: it is not compared, because funding or a liquidation would look the same.
    """
    moved = {one.asset: one.found - one.expected for one in account.differences}
    traded = {lane.instrument.base for lane in built.engine.lanes.values()}
    return ZERO if traded & moved.keys() else moved.get(built.portfolio.quote_asset, ZERO)


def _differences(
    past: Past,
    fills: Iterable[Fill],
    balances: Mapping[str, Decimal],
    positions: Iterable[PositionHeld],
    instruments: Iterable[Instrument],
) -> Iterable[BalanceDifference]:
    """By asset, and by symbol for a swap's position in base units.

    Funding moves a wallet without a fill, so that of swaps is not compared.
    """
    if past.balances is None:
        return
    expected, known = dict(past.balances), {instrument.symbol: instrument for instrument in instruments}
    swaps = {held.symbol: held for held in positions}
    moved = {symbol: past.positions[symbol] for symbol in swaps if symbol in past.positions}
    wallets = {known[symbol].quote for symbol in swaps}
    for fill in fills:
        if fill.symbol not in swaps:
            book(expected, fill, known)
            continue
        charge(expected, fill)
        if fill.symbol in moved:
            move(moved, fill, swaps[fill.symbol].contract_size)
    for symbol, before in sorted(moved.items()):
        if before != swaps[symbol].quantity:
            yield BalanceDifference(symbol, before, swaps[symbol].quantity)
    for asset in sorted({*expected, *balances} - wallets):
        before, now = expected.get(asset, ZERO), balances.get(asset, ZERO)
        if before != now:
            yield BalanceDifference(asset, before, now)
