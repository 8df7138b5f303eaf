"""Connections are lost, stall and come back; what was missed is repaired."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from decimal import Decimal
from pathlib import Path

import pytest

from axon_quant.errors import AuthError, RejectedError, UnavailableError
from axon_quant.exchange import (
    BalanceUpdate,
    Channel,
    ForeignOrder,
    ForeignOrders,
    KeyPermissions,
    ReconnectConfig,
    Repair,
    StreamState,
)
from axon_quant.market import Instrument, Trade
from axon_quant.orders import Order, OrderState, OrderStatus, OrderUpdate

sys.path.insert(0, str(Path(__file__).parent))
from scripted_venue import Fault, ScriptedAdapter, ScriptedVenue, limit
from virtual_time import START, LoopClock, run  # noqa: F401 - conftest runs coroutines with it


def made(instrument: Instrument, **options) -> ScriptedAdapter:
    clock = LoopClock()
    return ScriptedAdapter(ScriptedVenue(clock), instrument, clock, **options)


async def connected(instrument: Instrument, **options) -> ScriptedAdapter:
    adapter = made(instrument, **options)
    await adapter.connect()
    return adapter


def believed(adapter: ScriptedAdapter, order: Order) -> tuple[OrderStatus, Decimal]:
    state = adapter.orders.get(order.client_order_id)
    assert state is not None
    return state.status, state.filled_quantity


class Reader:
    """Everything that `events()` brought, in order."""

    def __init__(self, adapter: ScriptedAdapter) -> None:
        self.events: list[object] = []
        self.error: Exception | None = None
        self._task = asyncio.ensure_future(self._read(adapter.events()))

    async def _read(self, stream) -> None:
        try:
            async for event in stream:
                self.events.append(event)
        except Exception as error:  # noqa: BLE001 - kept for the test
            self.error = error

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def fills(self) -> list[str]:
        return [update.fill.fill_id for update in self.of(OrderUpdate) if update.fill is not None]

    def states(self, stream: str = "account") -> list[bool]:
        return [state.up for state in self.of(StreamState) if state.stream == stream]


async def test_what_happened_while_disconnected_is_repaired(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    reader = Reader(adapter)
    filled, partly, cancelled, untouched = orders = [limit() for _ in range(4)]
    for order in orders:
        await adapter.place_order(order)
    await asyncio.sleep(0.1)
    venue = adapter.venue
    venue.disconnect()
    venue.fill(filled.client_order_id, Decimal("0.3"))
    venue.fill(filled.client_order_id, Decimal("0.7"))
    venue.fill(partly.client_order_id, Decimal("0.25"))
    venue.cancel(cancelled.client_order_id)
    await asyncio.sleep(2)
    assert believed(adapter, filled) == (OrderStatus.Filled, 1)
    assert believed(adapter, partly) == (OrderStatus.PartiallyFilled, Decimal("0.25"))
    assert believed(adapter, cancelled) == (OrderStatus.Cancelled, 0)
    assert believed(adapter, untouched) == (OrderStatus.Open, 0)
    assert reader.fills == ["t1", "t2", "t3"]
    assert reader.states() == [False, True]
    assert reader.of(BalanceUpdate)[-1].free == Decimal("1.25")
    ends = [update.status for update in reader.of(OrderUpdate) if update.client_order_id == filled.client_order_id]
    assert ends[-1] is OrderStatus.Filled
    await adapter.close()


async def test_a_fill_of_the_repair_and_of_the_stream_is_counted_and_told_once(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    reader = Reader(adapter)
    order = limit()
    await adapter.place_order(order)
    await asyncio.sleep(0.1)
    venue = adapter.venue
    venue.stalled = True
    venue.fill(order.client_order_id, Decimal("0.5"))
    assert await adapter.repair() == Repair(orders=1, fills=1, balances=1)
    assert await adapter.repair() == Repair()
    venue.stalled = False
    (fill,) = venue.ledger.fills
    late = OrderUpdate(order.client_order_id, OrderStatus.PartiallyFilled, 1, filled_quantity=fill.quantity, fill=fill)
    venue.repeat(late)
    venue.repeat(late)
    venue.fill(order.client_order_id, Decimal("0.5"))
    await asyncio.sleep(0.1)
    assert believed(adapter, order) == (OrderStatus.Filled, 1)
    assert reader.fills == ["t1", "t2"]
    await adapter.close()


async def test_a_late_end_does_not_bring_a_counted_fill_again(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    reader = Reader(adapter)
    order = limit()
    await adapter.place_order(order)
    adapter.venue.fill(order.client_order_id, Decimal("0.5"))
    await asyncio.sleep(0.1)
    (fill,) = adapter.venue.ledger.fills
    adapter._deliver(OrderUpdate(order.client_order_id, OrderStatus.Cancelled, 1, fill=fill))
    await asyncio.sleep(0.1)
    assert reader.fills == ["t1"]
    await adapter.close()


async def test_events_that_are_lost_on_a_living_stream_are_missed_by_their_sum(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    reader = Reader(adapter)
    order = limit()
    await adapter.place_order(order)
    await asyncio.sleep(0.1)
    venue = adapter.venue
    venue.stalled = True
    venue.fill(order.client_order_id, Decimal("0.3"))
    venue.stalled = False
    venue.fill(order.client_order_id, Decimal("0.7"))
    await asyncio.sleep(2)
    assert sorted(reader.fills) == ["t1", "t2"]
    assert believed(adapter, order) == (OrderStatus.Filled, 1)
    await adapter.close()


async def test_events_out_of_order_end_in_the_truth(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    reader = Reader(adapter)
    orders = [limit() for _ in range(3)]
    for order in orders:
        await adapter.place_order(order)
    await asyncio.sleep(0.1)
    for order in orders:
        adapter.venue.fill(order.client_order_id, Decimal("0.5"))
        adapter.venue.fill(order.client_order_id, Decimal("0.5"))
    adapter.venue.shuffle()
    await asyncio.sleep(1)
    assert [believed(adapter, order) for order in orders] == [(OrderStatus.Filled, 1)] * 3
    assert sorted(reader.fills) == [f"t{number}" for number in range(1, 7)]
    await adapter.close()


async def test_a_silent_connection_is_made_again(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    reader = Reader(adapter)
    order = limit()
    await adapter.place_order(order)
    adapter.venue.stalled = True
    adapter.venue.fill(order.client_order_id, Decimal(1))
    await asyncio.sleep(adapter.stale_after * 1.3 + 1)
    assert believed(adapter, order) == (OrderStatus.Filled, 1)
    assert reader.fills == ["t1"]
    assert "nothing was heard for 20 s" in reader.of(StreamState)[0].reason
    await adapter.close()


async def test_a_repair_that_fails_is_tried_until_it_succeeds(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    order = limit()
    await adapter.place_order(order)
    await asyncio.sleep(0.1)
    adapter.venue.disconnect()
    adapter.venue.fill(order.client_order_id, Decimal(1))
    adapter.venue.faults["_fetch_fills"] = deque([Fault.Unavailable, Fault.RateLimited, Fault.Hangs])
    adapter.venue.faults["_fetch_balances"] = deque([Fault.Unavailable])
    await asyncio.sleep(30)
    assert believed(adapter, order) == (OrderStatus.Filled, 1)
    assert adapter._balances["BTC"].update.free == 1
    assert adapter.venue.asked_while_banned == 0
    await adapter.close()


async def test_one_look_up_that_fails_does_not_undo_the_others_of_a_repair(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    orders = [limit() for _ in range(100)]
    for order in orders:
        await adapter.place_order(order)
    await asyncio.sleep(0.1)
    adapter.venue.disconnect()
    for order in orders:
        adapter.venue.cancel(order.client_order_id)
    adapter.venue.faults["_fetch_order"] = deque([*[None] * 9, Fault.Unavailable] * 1_000)
    await asyncio.sleep(4)
    assert {status for status, _ in (believed(adapter, order) for order in orders)} == {OrderStatus.Cancelled}
    assert adapter._account_ready
    assert adapter.venue.asked.count("_fetch_order") < 150
    await adapter.close()


async def test_a_connection_lost_in_the_middle_of_a_repair_is_repaired_again(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    orders = [limit() for _ in range(5)]
    for order in orders:
        await adapter.place_order(order)
    await asyncio.sleep(0.1)
    for order in orders:
        adapter.venue.disconnect()
        adapter.venue.fill(order.client_order_id, Decimal(1))
        await asyncio.sleep(0.22)
    await asyncio.sleep(5)
    assert [believed(adapter, order) for order in orders] == [(OrderStatus.Filled, 1)] * 5
    await adapter.close()


async def test_an_order_placed_during_a_repair_is_not_taken_for_a_missing_one(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    reader = Reader(adapter)
    repairs = asyncio.gather(*(adapter.repair() for _ in range(20)))
    orders = []
    for _ in range(30):
        orders.append(limit())
        await adapter.place_order(orders[-1])
    await repairs
    await asyncio.sleep(5)
    assert {status for status, _ in (believed(adapter, order) for order in orders)} == {OrderStatus.Open}
    assert all(update.status is OrderStatus.Open for update in reader.of(OrderUpdate))
    await adapter.close()


async def test_fills_under_the_venues_names_find_their_orders(instrument: Instrument) -> None:
    adapter = await connected(instrument, foreign_orders=ForeignOrders.Halt)
    adapter.names_fills_like_the_venue = True
    known, lost = limit(), limit()
    await adapter.place_order(known)
    adapter.venue.disconnect()
    adapter.venue.fill(known.client_order_id, Decimal(1))
    adapter.venue.faults["_send_order"] = deque([Fault.ResponseLost])
    adapter.venue.faults["_fetch_order"] = deque([Fault.Unavailable] * 4)
    placing = asyncio.ensure_future(adapter.place_order(lost))
    await asyncio.sleep(0.02)
    adapter.venue.fill(lost.client_order_id, Decimal(1))
    await placing
    await asyncio.sleep(5)
    assert believed(adapter, known) == believed(adapter, lost) == (OrderStatus.Filled, 1)
    assert adapter.halted == ""
    await adapter.close()


async def test_an_order_that_the_venue_has_forgotten_is_over(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    order = limit()
    await adapter.place_order(order)
    await asyncio.sleep(0.1)
    adapter.venue.disconnect()
    del adapter.venue.ledger.orders[order.client_order_id]
    await asyncio.sleep(10)
    assert believed(adapter, order)[0] is OrderStatus.Cancelled
    await adapter.close()


async def test_connections_that_fail_are_given_up_after_the_configured_attempts(instrument: Instrument) -> None:
    adapter = await connected(instrument, reconnect=ReconnectConfig(max_retries=3, initial_backoff_ms=100))
    reader = Reader(adapter)
    adapter.venue.down = True
    adapter.venue.disconnect()
    attempts = adapter.venue.asked.count("_run_account")
    await asyncio.sleep(60)
    assert adapter.venue.asked.count("_run_account") - attempts == 4
    assert reader.error is not None
    await adapter.close()


async def test_the_waits_between_attempts_grow_and_stay_below_the_longest(instrument: Instrument) -> None:
    config = ReconnectConfig(max_retries=1_000, initial_backoff_ms=100, max_backoff_ms=2_000)
    adapter = await connected(instrument, reconnect=config)
    adapter.venue.down = True
    adapter.venue.disconnect()
    await asyncio.sleep(10)
    first = adapter.venue.asked.count("_run_account")
    await asyncio.sleep(100)
    later = adapter.venue.asked.count("_run_account") - first
    assert 50 <= later <= 100
    await adapter.close()


async def test_a_plugins_own_mistake_is_a_lost_connection(instrument: Instrument, caplog) -> None:
    adapter = await connected(instrument)
    reader = Reader(adapter)
    adapter.venue._send(OrderUpdate([], None, None))  # a list is no name: a TypeError deep inside
    await asyncio.sleep(2)
    assert reader.states() == [False, True]
    assert "a connection failed" in caplog.text
    await adapter.close()


# Connecting.


async def test_a_refused_login_is_told_at_once(instrument: Instrument) -> None:
    adapter = made(instrument)
    adapter.refuse_login = AuthError("invalid key", code="-2015")
    with pytest.raises(AuthError, match="invalid key"):
        await adapter.connect()
    assert adapter.closed == 1
    assert adapter.clock.now() - START < 1_000_000_000


async def test_a_stream_that_does_not_come_up_is_told_after_some_patience(instrument: Instrument) -> None:
    adapter = made(instrument)
    adapter.refuse_login = UnavailableError("slow start")
    with pytest.raises(UnavailableError, match="slow start"):
        await adapter.connect()
    adapter.refuse_login = None
    await adapter.connect()
    await adapter.place_order(limit())
    await adapter.close()


@pytest.mark.parametrize(
    ("permissions", "options", "told"),
    [
        (KeyPermissions(trade=True, withdraw=True), {}, "may withdraw"),
        (KeyPermissions(trade=False, withdraw=False), {}, "may not trade"),
        (KeyPermissions(trade=True, withdraw=True), {"allow_withdrawals": True}, None),
    ],
)
async def test_a_key_with_the_wrong_permissions_is_refused(instrument: Instrument, permissions, options, told) -> None:
    adapter = made(instrument, **options)
    adapter.permissions = permissions
    if told is None:
        await adapter.connect()
        await adapter.close()
        return
    with pytest.raises(AuthError, match=told):
        await adapter.connect()
    with pytest.raises(UnavailableError):
        await adapter.place_order(limit())


async def test_closing_ends_everything(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    reader = Reader(adapter)
    adapter.venue.faults["_send_order"] = deque([Fault.RequestLost])
    placing = asyncio.ensure_future(adapter.place_order(limit()))
    await asyncio.sleep(0.1)
    await adapter.close()
    (outcome,) = await asyncio.gather(placing, return_exceptions=True)
    assert isinstance(outcome, UnavailableError | Exception)
    await asyncio.sleep(0.1)
    assert reader._task.done()
    assert reader.error is None
    own = asyncio.current_task()
    assert [task for task in asyncio.all_tasks() if task is not own] == []


# The market.


async def test_channels_are_subscribed_again_after_a_reconnect(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    reader = Reader(adapter)
    await adapter.subscribe(Channel.Trades, "BTCUSDT")
    adapter.market.put_nowait(Trade("BTCUSDT", 1, 100.0, 1.0, buyer_is_maker=True))
    await asyncio.sleep(0.1)
    adapter.market.put_nowait(None)
    await asyncio.sleep(1)
    assert adapter.asked_for == [(Channel.Trades, "BTCUSDT")]
    adapter.market.put_nowait(Trade("BTCUSDT", 2, 100.0, 1.0, buyer_is_maker=True))
    await asyncio.sleep(0.1)
    assert [trade.received for trade in reader.of(Trade)] == [1, 2]
    assert reader.states("market") == [True, False, True]
    await adapter.close()


async def test_the_market_that_does_not_come_up_is_told(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    adapter.venue.down = True
    with pytest.raises(UnavailableError):
        await adapter.subscribe(Channel.Trades, "BTCUSDT")
    await adapter.close()


# Orders of others, and of ours from before.


def foreign(name: str = "web_1") -> Order:
    return limit(client_order_id=name)


@pytest.mark.parametrize("seen", ["stream", "repair"])
async def test_foreign_orders_are_ignored_by_default(instrument: Instrument, seen: str) -> None:
    adapter = await connected(instrument)
    reader = Reader(adapter)
    adapter.venue.stalled = seen == "repair"
    adapter.venue.place(foreign())
    adapter.venue.fill("web_1", Decimal(1))
    await adapter.repair()
    await asyncio.sleep(1)
    assert reader.of(OrderUpdate) == []
    await adapter.place_order(limit())
    await adapter.close()


@pytest.mark.parametrize("seen", ["stream", "repair"])
async def test_a_foreign_order_halts_when_configured(instrument: Instrument, seen: str) -> None:
    adapter = await connected(instrument, foreign_orders=ForeignOrders.Halt)
    reader = Reader(adapter)
    own = limit()
    await adapter.place_order(own)
    adapter.venue.stalled = seen == "repair"
    adapter.venue.place(foreign())
    adapter.venue.stalled = False
    await adapter.repair()
    await asyncio.sleep(1)
    assert [event.client_order_id for event in reader.of(ForeignOrder)] == ["web_1"]
    with pytest.raises(RejectedError, match="foreign order"):
        await adapter.place_order(limit())
    await adapter.cancel_order(own.client_order_id)
    adapter.halted = ""
    await adapter.place_order(limit())
    await adapter.close()


@pytest.mark.parametrize("seen", ["stream", "repair"])
async def test_a_foreign_order_is_adopted_when_configured(instrument: Instrument, seen: str) -> None:
    adapter = await connected(instrument, foreign_orders=ForeignOrders.Adopt)
    reader = Reader(adapter)
    adapter.venue.stalled = seen == "repair"
    adapter.venue.place(foreign())
    adapter.venue.fill("web_1", Decimal("0.5"))
    adapter.venue.stalled = False
    await adapter.repair()
    await asyncio.sleep(2)
    assert believed(adapter, foreign()) == (OrderStatus.PartiallyFilled, Decimal("0.5"))
    adapter.venue.fill("web_1", Decimal("0.5"))
    await asyncio.sleep(1)
    assert reader.fills == ["t1", "t2"]
    (met,) = reader.of(ForeignOrder)
    assert met.order is not None
    assert reader.events.index(met) < min(reader.events.index(update) for update in reader.of(OrderUpdate))
    await adapter.close()


async def test_a_foreign_order_that_is_over_is_passed_on_once_when_adopting(instrument: Instrument) -> None:
    adapter = await connected(instrument, foreign_orders=ForeignOrders.Adopt)
    reader = Reader(adapter)
    adapter.venue.place(foreign())
    adapter.venue.fill("web_1", Decimal(1))
    await asyncio.sleep(1)
    await adapter.repair()
    await asyncio.sleep(1)
    assert reader.fills == ["t1"]
    await adapter.close()


def before_the_restart(order: Order, status: OrderStatus, **known: object) -> OrderState:
    return OrderState(order, status, created_at=START - 3_600_000_000_000, **known)  # type: ignore[arg-type]


async def test_orders_from_before_a_restart_are_brought_up_to_date(instrument: Instrument) -> None:
    adapter = made(instrument)
    venue = adapter.venue
    reader = Reader(adapter)
    filled, sent, never, half = orders = [limit() for _ in range(4)]
    for order in (filled, sent, half):
        venue.place(order)
        venue.ledger.orders[order.client_order_id].created_at = START - 3_600_000_000_000
    venue.fill(half.client_order_id, Decimal("0.5"))
    adapter.track(before_the_restart(filled, OrderStatus.Open, venue_order_id="v1"))
    adapter.track(before_the_restart(sent, OrderStatus.Created))
    adapter.track(before_the_restart(never, OrderStatus.Submitted))

    adapter.track(
        before_the_restart(
            half, OrderStatus.PartiallyFilled, venue_order_id="v3", filled_quantity=Decimal("0.5"), fill_ids={"t1"}
        )
    )
    venue.fill(filled.client_order_id, Decimal(1))
    await adapter.connect()
    await asyncio.sleep(5)
    assert [believed(adapter, order) for order in orders] == [
        (OrderStatus.Filled, 1),
        (OrderStatus.Open, 0),
        (OrderStatus.Rejected, 0),
        (OrderStatus.PartiallyFilled, Decimal("0.5")),
    ]
    assert reader.fills == ["t2"], "a fill that the journal has is not told again"
    await adapter.cancel_order(sent.client_order_id)
    await adapter.close()


async def test_a_finished_order_may_be_tracked_and_does_not_move(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    order = limit()
    adapter.track(before_the_restart(order, OrderStatus.Cancelled, venue_order_id="v9"))
    await adapter.repair()
    assert believed(adapter, order)[0] is OrderStatus.Cancelled
    await adapter.close()
