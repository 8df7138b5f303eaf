"""A small campaign at every venue, in processes of its own; `nox -s campaign` is the whole one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.skipif(
    "AXON_CAMPAIGN" not in os.environ, reason="AXON_CAMPAIGN is not set; nox -s campaign is the whole one"
)
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


def test_a_request_during_a_ban_excuses_one_new_process_only(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    from campaign import _FIRST_WITHIN, _unaware

    assert _unaware([100], [90, 95, 99]) == 1
    assert _unaware([100, 101], [90, 95]) == 2
    assert _unaware([100 + _FIRST_WITHIN], [99]) == 0
    assert _unaware([], [1, 2]) == 0
