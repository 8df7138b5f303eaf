"""Answers get lost: what became of the request is found out by time and evidence."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from decimal import Decimal
from pathlib import Path

import pytest

from axon_quant.errors import (
    AmbiguousError,
    ClockError,
    DuplicateOrderError,
    ExchangeError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from axon_quant.exchange import Capability
from axon_quant.market import Instrument
from axon_quant.orders import Order, OrderStatus, OrderType, OrderUpdate, Side

sys.path.insert(0, str(Path(__file__).parent))
from scripted_venue import ENGINE, VALIDITY, Fault, ScriptedAdapter, ScriptedVenue, limit
from virtual_time import LoopClock, run  # noqa: F401 - conftest runs coroutines with it

CONCLUSIVE = VALIDITY + ENGINE
SECOND = 1_000_000_000


async def connected(instrument: Instrument, adapter_type=ScriptedAdapter, **options) -> ScriptedAdapter:
    clock = LoopClock()
    adapter = adapter_type(ScriptedVenue(clock), instrument, clock, **options)
    await adapter.connect()
    return adapter


def script(adapter: ScriptedAdapter, primitive: str, *faults: Fault) -> None:
    adapter.venue.faults[primitive] = deque(faults)


def status(adapter: ScriptedAdapter, order: Order) -> OrderStatus:
    state = adapter.orders.get(order.client_order_id)
    assert state is not None
    return state.status


async def took(work) -> tuple[object, float]:
    """What it came to, and the seconds until it did."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    (outcome,) = await asyncio.gather(work, return_exceptions=True)
    return outcome, loop.time() - start


async def test_an_order_whose_answer_was_lost_is_found_at_once(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    script(adapter, "_send_order", Fault.ResponseLost)
    order = limit()
    venue_order_id, seconds = await took(adapter.place_order(order))
    assert venue_order_id == adapter.venue.ledger.orders[order.client_order_id].venue_order_id
    assert status(adapter, order) is OrderStatus.Open
    assert seconds < 0.2
    await adapter.close()


async def test_an_order_that_never_arrived_is_proven_absent_once_it_could_no_longer_arrive(
    instrument: Instrument,
) -> None:
    adapter = await connected(instrument)
    script(adapter, "_send_order", Fault.RequestLost)
    order = limit()
    outcome, seconds = await took(adapter.place_order(order))
    assert isinstance(outcome, RejectedError)
    assert "never reached" in str(outcome)
    assert status(adapter, order) is OrderStatus.Rejected
    assert CONCLUSIVE <= seconds <= CONCLUSIVE + 1
    await adapter.close()


async def test_an_order_that_arrives_at_the_last_moment_is_found_all_the_same(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    script(adapter, "_send_order", Fault.Late)
    order = limit()
    venue_order_id, seconds = await took(adapter.place_order(order))
    assert venue_order_id == adapter.venue.ledger.orders[order.client_order_id].venue_order_id
    assert CONCLUSIVE - 0.1 <= seconds <= CONCLUSIVE + 1
    assert adapter.venue.ledger.received == [order.client_order_id]
    await adapter.close()


async def test_a_venue_that_never_answers_does_not_hold_an_order_for_ever(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    script(adapter, "_send_order", Fault.Silent, Fault.Hangs)
    taken, lost = limit(), limit()
    (first, seconds), (second, more) = await asyncio.gather(
        took(adapter.place_order(taken)), took(adapter.place_order(lost))
    )
    assert isinstance(first, str)
    assert isinstance(second, RejectedError)
    assert max(seconds, more) <= CONCLUSIVE + 1
    await adapter.close()


@pytest.mark.parametrize("is_there", [True, False])
async def test_while_the_venue_is_unreachable_the_order_stays_unknown_and_is_resolved_later(
    instrument: Instrument, is_there: bool
) -> None:
    adapter = await connected(instrument)
    script(adapter, "_send_order", Fault.ResponseLost if is_there else Fault.RequestLost)
    order = limit()
    placing = asyncio.ensure_future(took(adapter.place_order(order)))
    adapter.venue.stalled = True
    await asyncio.sleep(0.007)
    adapter.venue.down = True
    outcome, seconds = await placing
    assert isinstance(outcome, AmbiguousError)
    assert "never send it again" in str(outcome)
    assert CONCLUSIVE <= seconds <= CONCLUSIVE + 1.1
    await asyncio.sleep(3_600)
    assert status(adapter, order) is OrderStatus.Unknown, "by time and evidence, never by count"
    adapter.venue.down = False
    await asyncio.sleep(15)
    assert status(adapter, order) is (OrderStatus.Open if is_there else OrderStatus.Rejected)
    await adapter.close()


async def test_the_stream_settles_what_look_ups_cannot(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    script(adapter, "_send_order", Fault.RequestLost)
    order = limit()
    placing = asyncio.ensure_future(took(adapter.place_order(order)))
    await asyncio.sleep(0.5)
    adapter.venue.place(order)
    outcome, seconds = await placing
    assert outcome == "v1"
    assert seconds < 1.2
    await adapter.close()


async def test_an_interrupted_order_is_looked_up_in_the_background(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    script(adapter, "_send_order", Fault.Silent)
    order = limit()
    placing = asyncio.ensure_future(adapter.place_order(order))
    await asyncio.sleep(0.1)
    placing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await placing
    await asyncio.sleep(1)
    assert status(adapter, order) is OrderStatus.Open
    await adapter.close()


async def test_a_wrong_clock_is_set_right_and_the_order_sent_once_more(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    adapter.venue.drift = -10 * SECOND  # our requests now come from the future
    order = limit()
    assert await adapter.place_order(order) == "v1"
    assert adapter.venue.ledger.received == [order.client_order_id]
    assert abs(adapter.venue_time() - adapter.venue.now()) <= SECOND // 100
    await adapter.place_order(limit())
    assert adapter.venue.asked.count("_send_order") == 3, "the second order needed no second attempt"
    await adapter.close()


async def test_many_orders_refused_for_the_time_measure_the_clock_once(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    before = adapter.venue.asked.count("_fetch_time")
    adapter.venue.drift = -10 * SECOND
    await asyncio.gather(*(adapter.place_order(limit()) for _ in range(10)))
    assert adapter.venue.asked.count("_fetch_time") - before == 3
    assert len(adapter.venue.ledger.orders) == 10
    await adapter.close()


async def test_a_venue_that_goes_on_refusing_the_time_has_refused_the_order(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    script(adapter, "_send_order", Fault.WrongTime, Fault.WrongTime)
    order = limit()
    with pytest.raises(ClockError):
        await adapter.place_order(order)
    assert status(adapter, order) is OrderStatus.Rejected
    await adapter.close()


async def test_the_clock_is_measured_now_and_then(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    adapter.venue.drift = SECOND // 2
    await asyncio.sleep(600)
    assert abs(adapter.venue_time() - adapter.venue.now()) <= SECOND // 100
    await adapter.close()


async def test_an_answer_of_duplicate_to_our_own_order_counts_as_found(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    script(adapter, "_send_order", Fault.Duplicate)
    order = limit()
    assert await adapter.place_order(order) == "v1"
    assert status(adapter, order) is OrderStatus.Open
    await adapter.close()


async def test_an_old_order_under_the_same_name_is_not_taken_for_ours(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    order = limit(client_order_id="used")
    adapter.venue.place(order)
    await asyncio.sleep(600)
    again = limit(client_order_id="used", quantity=2)
    with pytest.raises(DuplicateOrderError):
        await adapter.place_order(again)
    await adapter.close()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.Rejected, RejectedError),
        (Fault.Unavailable, UnavailableError),
        (Fault.RateLimited, RateLimitedError),
    ],
)
async def test_a_definitive_refusal_carries_the_venues_code(
    instrument: Instrument, fault: Fault, error: type[ExchangeError]
) -> None:
    adapter = await connected(instrument)
    script(adapter, "_send_order", fault)
    order = limit()
    with pytest.raises(error) as raised:
        await adapter.place_order(order)
    assert raised.value.code is not None
    assert status(adapter, order) is OrderStatus.Rejected
    assert adapter.venue.ledger.orders == {}
    await adapter.close()


async def test_nothing_is_sent_while_the_venue_wants_us_to_wait(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    script(adapter, "_send_order", Fault.RateLimited)
    outcomes = await asyncio.gather(*(took(adapter.place_order(limit())) for _ in range(1)))
    await asyncio.gather(*(adapter.place_order(limit()) for _ in range(3)), adapter.repair())
    assert isinstance(outcomes[0][0], RateLimitedError)
    assert adapter.venue.asked_while_banned == 0
    assert len(adapter.venue.ledger.orders) == 3
    await adapter.close()


class SearchingAdapter(ScriptedAdapter):
    """A venue that does not look an order up by its name."""

    capabilities = ScriptedAdapter.capabilities - {Capability.FetchOrder}


@pytest.mark.parametrize("becomes", ["open", "filled", "partly filled and cancelled", "nothing"])
async def test_without_a_look_up_by_name_open_orders_and_fills_are_the_evidence(
    instrument: Instrument, becomes: str
) -> None:
    adapter = await connected(instrument, SearchingAdapter)
    script(adapter, "_send_order", Fault.RequestLost)
    adapter.venue.stalled = True
    order = limit()
    placing = asyncio.ensure_future(took(adapter.place_order(order)))
    await asyncio.sleep(0.3)
    if becomes != "nothing":
        adapter.venue.place(order)
    if "filled" in becomes:
        adapter.venue.fill(order.client_order_id, Decimal(1 if becomes == "filled" else "0.4"))
    if "cancelled" in becomes:
        adapter.venue.cancel(order.client_order_id)
    outcome, _ = await placing
    expected = {
        "open": OrderStatus.Open,
        "filled": OrderStatus.Filled,
        "partly filled and cancelled": OrderStatus.PartiallyFilled,
        "nothing": OrderStatus.Rejected,
    }[becomes]
    assert status(adapter, order) in (expected, OrderStatus.Cancelled)
    assert isinstance(outcome, RejectedError if becomes == "nothing" else str)
    assert adapter.orders.get(order.client_order_id).filled_quantity == adapter.venue.ledger.quantity()
    await adapter.close()


async def test_a_fill_that_may_be_the_orders_keeps_it_from_being_declared_absent(instrument: Instrument) -> None:
    adapter = await connected(instrument, SearchingAdapter)
    adapter.names_fills_like_the_venue = True
    adapter.venue.stalled = True
    script(adapter, "_send_order", Fault.ResponseLost)
    order = Order("BTCUSDT", Side.Buy, OrderType.Market, quantity=1)
    with pytest.raises(AmbiguousError):
        await adapter.place_order(order)
    await asyncio.sleep(60)
    assert status(adapter, order) is OrderStatus.Unknown
    await adapter.close()


# Cancels and amendments.


async def test_a_cancel_whose_answer_was_lost_is_looked_up(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    order = limit()
    await adapter.place_order(order)
    script(adapter, "_send_cancel", Fault.ResponseLost)
    _, seconds = await took(adapter.cancel_order(order.client_order_id))
    assert status(adapter, order) is OrderStatus.Cancelled
    assert seconds < 0.2
    await adapter.close()


async def test_a_cancel_that_never_arrived_is_said_to_have_failed(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    order = limit()
    await adapter.place_order(order)
    script(adapter, "_send_cancel", Fault.RequestLost)
    outcome, seconds = await took(adapter.cancel_order(order.client_order_id))
    assert isinstance(outcome, UnavailableError)
    assert status(adapter, order) is OrderStatus.Open
    assert not adapter.orders.get(order.client_order_id).cancel_requested
    assert CONCLUSIVE <= seconds <= CONCLUSIVE + 1
    await adapter.cancel_order(order.client_order_id)
    await asyncio.sleep(0.1)
    assert status(adapter, order) is OrderStatus.Cancelled
    await adapter.close()


async def test_a_cancel_stays_unknown_only_while_the_venue_is_unreachable(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    order = limit()
    await adapter.place_order(order)
    adapter.venue.down = adapter.venue.stalled = True
    outcome, _ = await took(adapter.cancel_order(order.client_order_id))
    assert isinstance(outcome, AmbiguousError)
    adapter.venue.cancel(order.client_order_id)
    adapter.venue.down = False
    await asyncio.sleep(10)
    assert status(adapter, order) is OrderStatus.Cancelled
    await adapter.close()


async def test_a_cancel_of_an_order_that_filled_unseen_brings_the_fill(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    order = limit()
    await adapter.place_order(order)
    await asyncio.sleep(0.1)
    adapter.venue.stalled = True
    adapter.venue.fill(order.client_order_id, Decimal(1))
    with pytest.raises(NotFoundError):
        await adapter.cancel_order(order.client_order_id)
    await asyncio.sleep(2)
    assert status(adapter, order) is OrderStatus.Filled
    assert adapter.orders.get(order.client_order_id).fill_ids == {"t1"}
    await adapter.close()


@pytest.mark.parametrize(
    ("fault", "is_taken"), [(None, True), (Fault.ResponseLost, True), (Fault.Late, True), (Fault.RequestLost, False)]
)
async def test_an_amendment_is_known_to_have_been_taken_or_not(
    instrument: Instrument, fault: Fault | None, is_taken: bool
) -> None:
    adapter = await connected(instrument)
    order = limit()
    await adapter.place_order(order)
    script(adapter, "_send_amend", *([] if fault is None else [fault]))
    outcome, _ = await took(adapter.amend_order(order.client_order_id, price="99.5", quantity=2))
    assert isinstance(outcome, type(None) if is_taken else UnavailableError)
    expected = (Decimal("99.5"), Decimal(2)) if is_taken else (order.price, order.quantity)
    now = adapter.orders.get(order.client_order_id).order
    assert (now.price, now.quantity) == expected
    await adapter.close()


async def test_an_amendment_is_held_against_the_filters(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    order = limit()
    await adapter.place_order(order)
    adapter.venue.fill(order.client_order_id, Decimal("0.5"))
    await asyncio.sleep(0.1)
    for change, told in [({"price": "99.001"}, "tick size"), ({"quantity": "0.5"}, "filled already")]:
        with pytest.raises(RejectedError, match=told):
            await adapter.amend_order(order.client_order_id, **change)
    assert "_send_amend" not in adapter.venue.asked
    await adapter.amend_order(order.client_order_id, quantity="1.5")
    adapter.venue.fill(order.client_order_id, Decimal(1))
    await asyncio.sleep(0.1)
    assert status(adapter, order) is OrderStatus.Filled
    assert adapter.orders.get(order.client_order_id).filled_quantity == Decimal("1.5")
    await adapter.close()


@pytest.mark.parametrize("fault", [None, Fault.ResponseLost, Fault.RequestLost])
async def test_a_replacement_leaves_exactly_one_order(instrument: Instrument, fault: Fault | None) -> None:
    adapter = await connected(instrument)
    old, new = limit(), limit(price=101)
    await adapter.place_order(old)
    script(adapter, "_send_replace", *([] if fault is None else [fault]))
    outcome, _ = await took(adapter.replace_order(old.client_order_id, new))
    await asyncio.sleep(5)
    lives = list(adapter.orders.open.values())
    if fault is Fault.RequestLost:
        assert isinstance(outcome, RejectedError)
        assert [state.order for state in lives] == [old]
    else:
        assert outcome == "v2"
        assert [state.order for state in lives] == [new]
    await adapter.close()


async def test_a_dead_man_switch_is_armed_and_disarmed(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    await adapter.cancel_after(60)
    await adapter.cancel_after(0)
    assert adapter.venue.asked[-2:] == ["_send_cancel_after 60", "_send_cancel_after 0"]
    for seconds in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="zero or positive"):
            await adapter.cancel_after(seconds)
    await adapter.close()


async def test_an_order_that_lives_after_it_was_rejected_is_cancelled(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    script(adapter, "_send_order", Fault.RequestLost)
    order = limit()
    with pytest.raises(RejectedError):
        await adapter.place_order(order)
    adapter.venue.place(order)  # no venue that keeps its rules would
    await asyncio.sleep(1)
    assert adapter.venue.ledger.orders[order.client_order_id].status is OrderStatus.Cancelled
    await adapter.close()


async def test_reports_that_cannot_be_do_not_stop_the_adapter(instrument: Instrument) -> None:
    adapter = await connected(instrument)
    order = limit()
    await adapter.place_order(order)
    await asyncio.sleep(0.1)
    name = order.client_order_id
    adapter.venue.fill(name, Decimal("0.5"))
    await asyncio.sleep(0.1)
    for bad in (
        OrderUpdate(name, OrderStatus.Rejected, 1),
        OrderUpdate("stranger", OrderStatus.Filled, 1),
        OrderUpdate("", OrderStatus.Open, 1),
    ):
        adapter._deliver(bad)
    adapter.venue.fill(name, Decimal("0.5"))
    await asyncio.sleep(0.1)
    adapter._deliver(OrderUpdate(name, OrderStatus.Cancelled, 1))
    adapter._deliver(OrderUpdate(name, OrderStatus.Expired, 1))
    await asyncio.sleep(5)
    assert status(adapter, order) is OrderStatus.Filled
    assert adapter.orders.get(name).filled_quantity == 1
    await adapter.close()
