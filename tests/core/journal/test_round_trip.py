"""What is appended is what is read back, whatever the event."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axon_quant.errors import JournalError
from axon_quant.events import BookGap, Decision, Event, FeatureRow, OrderPlaced, WeightsChanged
from axon_quant.journal import Journal, Note, notes, read, verify
from axon_quant.journal.codec import EVENT_TYPES, decode, encode
from axon_quant.orders import Order, OrderType, Side, TimeInForce

amounts = st.decimals(min_value=Decimal("1e-12"), max_value=Decimal("1e12"), allow_nan=False, allow_infinity=False)
finite = st.floats(allow_nan=False, allow_infinity=False)
st.register_type_strategy(float, finite)
st.register_type_strategy(Decimal, amounts)
st.register_type_strategy(str, st.text(max_size=12))
st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))


@st.composite
def orders(draw: st.DrawFn) -> Order:
    order_type = draw(st.sampled_from(OrderType))
    return Order(
        draw(st.text(min_size=1, max_size=12)),
        draw(st.sampled_from(Side)),
        order_type,
        draw(amounts) if order_type.has_price else None,
        draw(amounts),
        time_in_force=draw(st.sampled_from(TimeInForce)),
        post_only=draw(st.booleans()),
        reduce_only=draw(st.booleans()),
        strategy=draw(st.text(max_size=12)),
        client_order_id=draw(st.text(max_size=24)),
        stop_price=draw(amounts) if order_type.has_stop_price else None,
    )


st.register_type_strategy(Order, orders())
notes_strategy = st.builds(Note, body=st.dictionaries(st.text(max_size=8), st.integers(0, 9) | st.text(max_size=8)))


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.__name__)
def test_every_event_type_survives_the_round_trip(event_type: type[Event]) -> None:
    events = notes_strategy if event_type is Note else st.builds(event_type)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(events)
    def check(event: Event) -> None:
        body = encode(event)
        assert decode(body) == event
        assert encode(decode(body)) == body

    check()


def test_the_types_cover_every_event() -> None:
    assert {FeatureRow, Decision, OrderPlaced, Note} < set(EVENT_TYPES)
    assert set(EVENT_TYPES) == set(Event.__subclasses__())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies=st.lists(st.text(max_size=3000), min_size=1, max_size=8))
def test_bodies_are_stored_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, bodies: list[str]) -> None:
    path = tmp_path_factory.mktemp("bodies") / "journal.db"
    written = [BookGap(0, text, 0, 0) for text in bodies]
    with Journal(path, linger=0) as journal:
        journal.start_run(mode="replay", continues=False)
        for event in written:
            journal.append(event)
    assert [event for _, event in read(path)] == written
    assert verify(path)[0].records == len(bodies)


def test_reading_picks_a_run_and_kinds(path: Path) -> None:
    with Journal(path) as journal:
        for run in (1, 2):
            journal.start_run(mode="replay", continues=False)
            journal.append(BookGap(run, "BTCUSDT", 1, 2))
            journal.append(FeatureRow(run, "BTCUSDT", 0, b"\xff\x00"))
    assert [(sequence, event.at) for sequence, event in read(path)] == [(1, 2), (2, 2)]
    assert list(read(path, run=1, kinds=[FeatureRow])) == [(2, FeatureRow(1, "BTCUSDT", 0, b"\xff\x00"))]
    with pytest.raises(JournalError, match=r"has no run 3 \(axon journal verify lists its runs\)"):
        list(read(path, run=3))


def test_notes_stand_beside_the_chain_unless_the_run_chains_them(path: Path) -> None:
    with Journal(path) as journal:
        journal.start_run(mode="replay", continues=False)
        journal.append(BookGap(1, "BTCUSDT", 1, 2))
        before = journal.head
        journal.note("latency", {"decided": 17}).wait(5)
        journal.flush()
        assert journal.head != before
        chained = journal.head
        journal.note("latency", {"decided": 18}).wait(5)
        assert journal.head == chained
        assert [note.body for note in notes(path)] == [{"decided": 17}, {"decided": 18}]
        journal.start_run(mode="live", continues=True, chain_notes=True)
        ticket = journal.note("clock", {"wall": 5}, at=3)
        ticket.wait(5)
        assert ticket.sequence == 1
    assert list(read(path)) == [(1, Note(3, "clock", {"wall": 5}))]
    assert list(notes(path)) == []


def test_a_number_that_is_none_fails_the_journal_instead_of_becoming_null(journal: Journal) -> None:
    good = journal.append(WeightsChanged(1, ("a",), (1.0,)))
    bad = journal.append(WeightsChanged(2, ("a",), (float("nan"),)))
    good.wait(5)
    with pytest.raises(JournalError, match="WeightsChanged cannot be recorded"):
        bad.wait(5)
    with pytest.raises(JournalError, match="WeightsChanged cannot be recorded"):
        journal.append(WeightsChanged(3, ("a",), (1.0,)))
    with pytest.raises(JournalError):
        journal.close()
    assert [sequence for sequence, _ in read(journal.path)] == [1]
