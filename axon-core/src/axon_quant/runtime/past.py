"""What the journal says about the account before this run, so that a restart knows what to ask the venue."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import attrs

from axon_quant.clock import NANOSECONDS
from axon_quant.errors import OrderTransitionError
from axon_quant.events import (
    AccountReconciled,
    Event,
    ForeignOrderUpdated,
    OrderAdopted,
    OrderPlaced,
    OrderUpdated,
    PositionHeld,
)
from axon_quant.exchange.exact import ZERO, add, multiply, subtract
from axon_quant.journal import read, runs
from axon_quant.market import Instrument
from axon_quant.orders import Fill, OrderState, OrderStatus, OrderTracker, Side

logger = logging.getLogger("axon_quant.live")
_LATELY = 10 * NANOSECONDS
"""How long before the last report an order may have ended whose last fill was not reported: it may cross a cancel."""
_KINDS = (AccountReconciled, OrderAdopted, OrderPlaced, OrderUpdated, ForeignOrderUpdated)


@attrs.frozen
class Past:
    """The account as the journal leads to it.

    `orders` are those not known to be over, by client order id. `ended` are over, but so lately that a fill may not
    have been journaled any more, or filled without all of their fills. `placed` are the ids of all of ours. `balances`
    is what the account should hold of each asset, None when no run got as far as knowing its account; `positions` is
    that of each swap in base units. `last` is the time of the last report of the venue (UTC ns), 0 without one.
    """

    orders: Mapping[str, OrderState] = attrs.field(factory=dict)
    ended: Mapping[str, OrderState] = attrs.field(factory=dict)
    placed: frozenset[str] = frozenset()
    balances: Mapping[str, Decimal] | None = None
    positions: Mapping[str, Decimal] = attrs.field(factory=dict)
    last: int = 0


def read_past(path: str | Path, instruments: Iterable[Instrument]) -> Past:
    """The past in a journal; an empty one where there is no journal, or none that traded live.

    Everything since the last run that knew its account counts: one that was killed while it reconciled adds to it.
    Raises JournalError for a file that is no journal or is damaged.
    """
    path = Path(path)
    if not path.exists() or not path.stat().st_size:  # a run that was killed at once leaves an empty file
        return Past()
    recent: list[list[Event]] = []
    for row in reversed(runs(path)):
        if row.mode != "live":
            continue
        events = [event for _, event in read(path, run=row.number, kinds=_KINDS)]
        recent.append(events)
        if any(isinstance(event, AccountReconciled) for event in events):
            break
    fold = _Fold(instruments)
    for events in reversed(recent):
        for event in events:
            fold.take(event)
    return fold.past()


class _Fold:
    """Follows the events in order."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._tracker = OrderTracker()
        self._placed: set[str] = set()
        self._ended: dict[str, int] = {}
        self._balances: dict[str, Decimal] | None = None
        self._swaps: dict[str, PositionHeld] = {}
        self._positions: dict[str, Decimal] = {}
        self._last = 0

    def take(self, event: Event) -> None:
        match event:
            case OrderPlaced(order=order, at=at):
                self._placed.add(order.client_order_id)
                self._tracker.add(order, at).status = OrderStatus.Submitted
            case OrderAdopted():
                self._adopt(event)
            case OrderUpdated(update=update):
                self._last = max(self._last, update.at)
                try:
                    if self._tracker.apply(update) and update.fill is not None:
                        self._book(update.fill)
                    if update.status.is_terminal and update.status is not OrderStatus.Rejected:
                        self._ended.setdefault(update.client_order_id, update.at)
                except OrderTransitionError as error:
                    logger.warning("the journal's past: %s", error)
            case ForeignOrderUpdated(update=update):
                if update.fill is not None:
                    self._book(update.fill)
            case AccountReconciled(balances=balances, positions=positions):
                self._balances = dict(balances)
                self._swaps = {held.symbol: held for held in positions}
                self._positions = {held.symbol: held.quantity for held in positions}

    def past(self) -> Past:
        ended = {
            name: state
            for name, at in self._ended.items()
            if (state := self._tracker.get(name)) is not None and (at >= self._last - _LATELY or _lacks_fills(state))
        }
        return Past(
            dict(self._tracker.open), ended, frozenset(self._placed), self._balances, self._positions, self._last
        )

    def _adopt(self, event: OrderAdopted) -> None:
        order = event.order
        if event.ours:
            self._placed.add(order.client_order_id)
        if self._tracker.get(order.client_order_id) is None:
            status, fill_ids = OrderStatus(event.status), set(event.fill_ids)
            self._tracker.follow(
                OrderState(
                    order,
                    status,
                    event.venue_order_id,
                    event.filled_quantity,
                    created_at=event.at,
                    fill_ids=fill_ids,
                )
            )

    def _book(self, fill: Fill) -> None:
        swap = self._swaps.get(fill.symbol)
        if swap is not None:
            move(self._positions, fill, swap.contract_size)
            if self._balances is not None:
                charge(self._balances, fill)
        elif self._balances is not None:
            book(self._balances, fill, self._instruments)


def _lacks_fills(state: OrderState) -> bool:
    return state.status is OrderStatus.Filled and state.filled_quantity < state.order.quantity


def move(positions: dict[str, Decimal], fill: Fill, contract_size: Decimal) -> None:
    """What a fill of a swap does to its position, in base units."""
    quantity = multiply(fill.quantity, contract_size)
    before = positions.get(fill.symbol, ZERO)
    positions[fill.symbol] = add(before, quantity) if fill.side is Side.Buy else subtract(before, quantity)


def charge(balances: dict[str, Decimal], fill: Fill) -> None:
    """What the fee of a swap's fill does to the balances; what the fill realised is not known here."""
    if fill.fee:
        balances[fill.fee_asset] = subtract(balances.get(fill.fee_asset, ZERO), fill.fee)


def book(balances: dict[str, Decimal], fill: Fill, instruments: Mapping[str, Instrument]) -> None:
    """What a fill does to the balances: base against quote, and the fee. One without an instrument does nothing."""
    instrument = instruments.get(fill.symbol)
    if instrument is None:
        return
    buys, value = fill.side is Side.Buy, multiply(fill.price, fill.quantity)
    for asset, amount, adds in (
        (instrument.base, fill.quantity, buys),
        (instrument.quote, value, not buys),
        (fill.fee_asset or instrument.quote, fill.fee, False),
    ):
        before = balances.get(asset, ZERO)
        balances[asset] = add(before, amount) if adds else subtract(before, amount)
