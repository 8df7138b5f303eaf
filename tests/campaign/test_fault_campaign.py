"""A small campaign at every venue, in processes of its own; `nox -s campaign` is the whole one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_a_trader_that_is_killed_at_a_venue_where_everything_fails_ends_with_the_truth() -> None:
    def run(venue: str) -> dict[str, object]:
        arguments = [venue, "--orders", "300", "--kills", "1", "--seed", "3", "--json"]
        done = subprocess.run([sys.executable, str(HERE), *arguments], capture_output=True, text=True, timeout=120)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)[0]

    # One after the other: two at once would wait for each other's processor.
    for result in map(run, ("binance", "binance-futures", "okx", "okx-swaps")):
        assert not any(result["wrongs"].values()), result
        assert result["kills"] == 1
        assert result["orders_sent"] >= 300
        assert sum(result["faults"].values()) >= 50


def test_only_a_process_that_was_started_during_a_ban_may_send_until_it_is_told(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    from campaign import _ON_THE_WAY, _unaware

    moment = _ON_THE_WAY - 1
    assert _unaware([(100, 50), (100 + moment, 50)], [90]) == 2
    assert _unaware([(100, 50), (100 + 2 * moment, 50)], [90]) == 1  # it was told
    assert _unaware([(100, 95)], [90]) == 0  # it lived when the ban began
    assert _unaware([(100, 50), (130, 50)], [90, 120]) == 2
    assert _unaware([(80, 50)], [90]) == 0
    assert _unaware([], [1, 2]) == 0
