"""`axon run` at a venue of its own process: Binance's wire protocol, real sockets, real signals."""

from __future__ import annotations

import random
import sys
import time
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from axon_quant.events import AccountReconciled, Decision, FeatureRow, OrderAdopted, OrderPlaced, OrderUpdated
from axon_quant.journal import read, runs, verify

sys.path.insert(0, str(Path(__file__).parent))
from venue_process import VENUES, Venue


@pytest.fixture(params=sorted(VENUES))
def venue(request, root, tmp_path):
    venue = Venue(request.param, tmp_path, root)
    yield venue
    venue.close()


def test_a_run_trades_and_leaves_nothing_open(venue):
    process = venue.run()
    try:
        venue.wait_for(lambda: sum(one["status"] == "filled" for one in venue.truth()["orders"]) > 0, process)
        summary = venue.stop(process)
    finally:
        process.kill()
    truth = venue.truth()
    assert summary["outcome"] == "interrupted"
    assert summary["orders"] == len(truth["orders"]) > 0
    assert summary["fills"] == len(truth["fills"])
    assert {order["status"] for order in truth["orders"]} <= {"filled", "cancelled", "expired"}
    held = truth["balances"]
    assert Decimal(summary["positions"][venue.symbol]) == Decimal(held["BTC"]["free"])
    assert Decimal(summary["cash"]) == Decimal(held["USDT"]["free"])
    (report,) = verify(venue.journal)
    assert report.outcome == "interrupted"


def test_a_run_that_fills_its_window_from_the_venue_decides_sooner(venue):
    text = venue.config.read_text()
    venue.config.write_text(text.replace("interval_ms = 20", "interval_ms = 200\nbackfill = true"))
    time.sleep(6.0)  # some history
    process = venue.run()
    try:
        venue.wait_for(lambda: venue.recorded(Decision), process)
        summary = venue.stop(process)
    finally:
        process.kill()
    assert any(notice.startswith("the windows were filled with") for notice in summary["notices"])
    rows, first = venue.recorded(FeatureRow), venue.recorded(Decision)[0]
    began = next(event.at for event in venue.recorded(AccountReconciled))
    assert (first.at - began) / 1e9 < 10.0, "a whole window, 64 rows of 200 ms, was waited for"
    assert rows[0].at < began
    assert [later.at - row.at for row, later in pairwise(rows)] == [200_000_000] * (len(rows) - 1), (
        "the window has a hole"
    )


def test_after_a_kill_a_run_settles_with_the_venue_before_it_trades(venue):
    rng = random.Random(11)
    for kill in range(3):
        process = venue.run()
        try:
            seen = len(venue.truth()["orders"])
            venue.wait_for(lambda seen=seen: len(venue.truth()["orders"]) > seen, process)
            time.sleep(rng.uniform(0.0, 0.3) if kill else 0.0)  # the first one with an order that has just left
        finally:
            process.kill()
            process.communicate()
    process = venue.run()
    try:
        number = 4
        venue.wait_for(lambda: venue.recorded(OrderPlaced, run=number), process)
        summary = venue.stop(process)
    finally:
        process.kill()
    assert any("was killed before it ended" in notice for notice in summary["notices"])

    events = [event for _, event in read(venue.journal, run=number)]
    kinds = [type(event) for event in events]
    assert kinds.index(AccountReconciled) < kinds.index(OrderPlaced), "it traded before it knew its account"
    differences = [event.differences for event in events if isinstance(event, AccountReconciled)]
    assert differences == [()], "the venue holds something else than the journal leads to"

    truth = venue.truth()
    placed, ended, filled = set(), set(), {}
    for row in runs(venue.journal):
        for _, event in read(venue.journal, run=row.number, kinds=(OrderPlaced, OrderAdopted, OrderUpdated)):
            if isinstance(event, OrderPlaced):
                placed.add(event.order.client_order_id)
            elif isinstance(event, OrderUpdated):
                update = event.update
                if update.status.is_terminal:
                    ended.add(update.client_order_id)
                if update.fill is not None:
                    assert update.fill.fill_id not in filled, "a fill was counted twice"
                    filled[update.fill.fill_id] = update.fill
    at_venue = {order["client_order_id"] for order in truth["orders"]}
    assert at_venue <= placed, "an order is at the venue that was never journaled"
    assert len(at_venue) == len(truth["orders"]), "an order was sent twice"
    assert placed == ended, "an order's fate is unknown"
    assert len(filled) == len(truth["fills"]), "a fill was missed"
    assert sum(fill.quantity for fill in filled.values()) == sum(Decimal(fill["quantity"]) for fill in truth["fills"])
    assert Decimal(summary["positions"][venue.symbol]) == Decimal(truth["balances"]["BTC"]["free"])
    assert Decimal(summary["cash"]) == Decimal(truth["balances"]["USDT"]["free"])
