"""Simulated venues as third parties' tests start them."""

from __future__ import annotations

import json
import os
import time
from urllib.request import urlopen

import pytest

from axon_quant.errors import ConfigError, PluginError
from axon_quant.testing import simulate, simulated, simulated_process

__all__ = ["simulate"]


def test_the_fixture_starts_a_venue_that_adapters_find(simulate):
    began = time.monotonic()
    venue = simulate("binance", {"kind": "refuse", "where": "request:ping", "every": 1}, seed=3)
    assert time.monotonic() - began < 5  # a fraction of a second on a machine that has nothing else to do
    assert (os.environ["AXON_BINANCE_REST_URL"], os.environ["AXON_BINANCE_WS_URL"]) == (venue.rest, venue.ws)
    with pytest.raises(OSError, match="503"):
        urlopen(venue.rest + "/api/v3/ping", timeout=5)
    assert venue.truth()["faults"] == {"refuse": 1}


def test_two_venues_may_run_at_once(simulate):
    binance, okx = simulate("binance"), simulate("okx")
    assert {*binance.truth()["accounts"]} == {*okx.truth()["accounts"]} == {"main", "other"}


def test_a_venue_is_asked_over_http_in_a_process_as_on_a_thread():
    for start in (simulated, simulated_process):
        with start("binance") as venue:
            venue.transfer("main", "EUR", "5")
            assert venue.truth()["accounts"]["main"]["balances"]["EUR"]["free"] == "100005"
            with pytest.raises(ValueError, match="EUR is free"):
                venue.transfer("main", "EUR", "-1000000")
            venue.set_faults([{"kind": "slow", "every": 1, "seconds": 0.0}])
            with urlopen(venue.rest + "/api/v3/ping", timeout=5) as answer:
                assert json.load(answer) == {}
            assert venue.truth()["faults"] == {"slow": 1}
            with pytest.raises(ValueError, match="nonsense"):
                venue.set_faults([{"kind": "nonsense", "every": 1}])


def test_what_cannot_start_says_why():
    with pytest.raises(PluginError, match="no simulator"), simulated("paper"):
        pass
    with pytest.raises(ConfigError, match="nonsense"), simulated("binance", {"kind": "nonsense", "every": 1}):
        pass
    with pytest.raises(RuntimeError, match="exit code 2"), simulated_process("binance", "--port", "-1"):
        pass
