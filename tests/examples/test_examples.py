"""What stands in examples/ and can be run without a recording; `nox -s example` runs the commands."""

from __future__ import annotations

import subprocess
import sys

import attrs
import pytest
from msgspec.structs import replace

from axon_quant.config import load_config
from axon_quant.market import BookSnapshot
from axon_quant.market.generated import GeneratedMarket
from axon_quant.market.recordings import open_recording
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.wiring import build_instruments


@pytest.fixture(scope="module")
def market(root, tmp_path_factory):
    file = tmp_path_factory.mktemp("market") / "market.jsonl.gz"
    subprocess.run([sys.executable, root / "examples" / "market.py", file, "--seconds", "30"], check=True)
    return file


@pytest.fixture
def config(root, tmp_path):
    config = load_config(root / "examples" / "imbalance.toml")
    return attrs.evolve(config, journal=attrs.evolve(config.journal, path=tmp_path / "run.db"))


def test_the_written_market_reads_back_as_it_was_generated(market, config):
    generated = list(GeneratedMarket(build_instruments(config)[0], seconds=30, price=60_000.0))
    reader = open_recording(market, ["BTCUSDT"])
    read = list(reader)
    assert (reader.malformed, len(read)) == (0, len(generated))

    def stripped(events):
        """Without the venue's stamps, and without the snapshot, which a reader hands out with the first update."""
        return [replace(event, venue_time=0) for event in events if not isinstance(event, BookSnapshot)]

    assert stripped(read) == stripped(generated)


def test_the_strategy_of_the_examples_buys_and_sells_back(market, config):
    summary = Replay(config, market).run()
    assert summary.outcome == "completed"
    assert summary.fills > 10
    assert summary.books["BTCUSDT"].whole
