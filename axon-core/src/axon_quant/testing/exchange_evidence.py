"""Exchanges: an answer that is lost is resolved by evidence, and nothing is sent twice."""

from __future__ import annotations

from axon_quant.errors import ExchangeError
from axon_quant.orders import Order, OrderStatus
from axon_quant.testing.cases import case
from axon_quant.testing.venue import Desk, Venue


class OrderEvidence:
    """Of the suite of exchanges."""

    @case("X-050")
    def test_x050_a_request_that_is_lost_is_proven_absent(self, venue: Venue) -> None:
        """An error says that the order does not exist, and it does not; it was sent once."""
        _assert_absent(venue, "lose-request")

    @case("X-051")
    def test_x051_an_answer_that_is_lost_is_found(self, venue: Venue) -> None:
        """The venue carried the order out: `place_order` returns its id, and there is one order."""
        _assert_found(venue, "lose-response")

    @case("X-052")
    def test_x052_an_unknown_outcome_of_an_accepted_order_is_found(self, venue: Venue) -> None:
        """The venue says it does not know, and did: `place_order` returns the id, and there is one order."""
        _assert_found(venue, "unknown-accepted")

    @case("X-053")
    def test_x053_an_unknown_outcome_of_a_refused_order_is_proven_absent(self, venue: Venue) -> None:
        """The venue says it does not know, and did not: an error says that there is no order; it was sent once."""
        _assert_absent(venue, "unknown-refused")

    @case("X-054")
    def test_x054_an_order_that_is_accepted_late_is_found(self, venue: Venue) -> None:
        """Accepted a second after the venue said it does not know: it is found, not given up."""
        _assert_found(venue, "late-accept", seconds=1.0)

    @case("X-055")
    def test_x055_a_busy_venue_is_an_error_that_leaves_no_order(self, venue: Venue) -> None:
        """The venue was too busy: there is an error or, if it was sent again, one order; never two."""

        async def body(desk: Desk) -> None:
            order = desk.order()
            desk.arm("refuse")
            error = await desk.outcome(order)
            assert desk.fired("refuse")
            _assert_settled(desk, order, error)

        venue.run(body)

    @case("X-056")
    def test_x056_a_lost_answer_to_a_fill_counts_it_once(self, venue: Venue) -> None:
        """The answer to an order that fills at once is lost: its fills and fees are the venue's, once."""

        async def body(desk: Desk) -> None:
            order = desk.order("1.01")
            desk.arm("lose-response")
            assert await desk.outcome(order) is None
            await desk.until_status(order, OrderStatus.Filled)
            await desk.agrees(order)

        venue.run(body)


def _assert_found(venue: Venue, kind: str, *, seconds: float = 1.0) -> None:
    async def body(desk: Desk) -> None:
        order = desk.order()
        desk.arm(kind, seconds=seconds)
        error = await desk.outcome(order)
        assert desk.fired(kind)
        assert error is None, f"the order is there, and place_order raised {error!r}"
        _assert_settled(desk, order, error)
        await desk.agrees(order)
        await desk.adapter.cancel_order(order.client_order_id)
        await desk.until_status(order, OrderStatus.Cancelled)

    venue.run(body)


def _assert_absent(venue: Venue, kind: str) -> None:
    async def body(desk: Desk) -> None:
        order = desk.order()
        desk.arm(kind)
        error = await desk.outcome(order)
        assert desk.fired(kind)
        assert isinstance(error, ExchangeError), "there is no order, and place_order returned an id"
        _assert_settled(desk, order, error)
        assert desk.sent(venue.place) == 1, "the order was sent again without evidence"

    venue.run(body)


def _assert_settled(desk: Desk, order: Order, error: ExchangeError | None) -> None:
    """An id means one open order at the venue, an error none at all; the adapter says the same."""
    there = desk.at_venue(order)
    assert len(there) == (1 if error is None else 0), f"the venue has {len(there)} of the order; {error!r}"
    wanted = OrderStatus.Open if error is None else OrderStatus.Rejected
    assert desk.status(order) is wanted
