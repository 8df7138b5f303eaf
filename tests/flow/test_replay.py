"""The main job: a recorded market through models, strategy, risk and venue, with every step in the journal."""

from __future__ import annotations

import gzip
import itertools
import json
import socket
from decimal import Decimal

import attrs
import pytest

from axon_quant.config import MetricsConfig, load_config
from axon_quant.errors import (
    ConfigError,
    JournalTamperedError,
    MarketDataError,
    MetricsError,
    ModelLoadError,
    SchemaMismatchError,
    StrategyError,
)
from axon_quant.events import Decision, OrderPlaced, OrderUpdated, RunEnded, RunStarted
from axon_quant.journal import read, verify
from axon_quant.market import BookSnapshot
from axon_quant.market.generated import GeneratedMarket
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.wiring import build_instruments


def generated(config, seconds=60.0, **options):
    return GeneratedMarket(build_instruments(config)[0], seconds=seconds, price=60_000.0, **options)


def events_of(config, *kinds):
    return [event for _, event in read(config.journal.path) if isinstance(event, kinds)]


def test_a_recorded_session_is_traded_end_to_end(btcusdt, btcusdt_session, ledger):
    summary = Replay(btcusdt, btcusdt_session).run()
    assert summary.outcome == "completed"
    assert (summary.messages, summary.malformed, summary.gaps, summary.ignored) == (41_249, 0, 0, 0)
    assert summary.decisions > 3_300
    assert summary.orders >= 300
    assert summary.fills >= 300
    assert summary.cancels >= 300
    book = summary.books["BTCUSDT"]
    assert book.whole
    assert (book.gaps, book.crossings) == (0, 0)

    placed = {event.order.client_order_id: event.order for event in events_of(btcusdt, OrderPlaced)}
    updates = [event.update for event in events_of(btcusdt, OrderUpdated)]
    fills = [update.fill for update in updates if update.fill is not None]
    assert len(placed) == summary.orders
    assert len(fills) == summary.fills
    for fill in fills:
        order = placed[fill.client_order_id]
        assert (fill.price - order.price) * order.side.sign <= 0, "no fill is worse than its limit"

    mine = ledger(Decimal(100_000))
    for fill in fills:
        mine.add(fill)
    assert str(mine.cash) == str(Decimal(summary.cash)) or mine.cash == Decimal(summary.cash)
    assert mine.realised == Decimal(summary.realised)
    assert mine.fees == Decimal(summary.fees)
    assert mine.position("BTCUSDT") == Decimal(summary.positions["BTCUSDT"])
    held = Decimal(summary.equity) - mine.cash
    assert held == pytest.approx(mine.position("BTCUSDT") * Decimal("61685.995"), abs=Decimal("0.01"))
    assert Decimal(summary.pnl) == mine.realised + Decimal(summary.unrealised) - mine.fees

    (report,) = verify(btcusdt.journal.path)
    assert report.head == summary.journal_head


def test_two_runs_with_one_seed_place_identical_orders_and_end_in_one_head(btcusdt):
    first, second = (Replay(btcusdt, market=generated(btcusdt)).run().journal_head for _ in range(2))
    assert first == second
    first_orders, second_orders = (list(read(btcusdt.journal.path, run=run, kinds=[OrderPlaced])) for run in (1, 2))
    assert first_orders == second_orders != []


def test_another_market_or_seed_ends_in_another_head(btcusdt):
    first = Replay(btcusdt, market=generated(btcusdt, seconds=10)).run()
    other_market = Replay(btcusdt, market=generated(btcusdt, seconds=10, seed=1)).run()
    other_seed = Replay(
        attrs.evolve(btcusdt, run=attrs.evolve(btcusdt.run, seed=8)), market=generated(btcusdt, seconds=10)
    ).run()
    assert len({first.journal_head, other_market.journal_head, other_seed.journal_head}) == 3


def test_waiting_for_the_disk_changes_no_order(btcusdt):
    loose = Replay(btcusdt, market=generated(btcusdt)).run()
    strict = attrs.evolve(btcusdt, journal=attrs.evolve(btcusdt.journal, strict=True))
    tight = Replay(strict, market=generated(btcusdt)).run()
    assert loose.journal_head == tight.journal_head
    assert "durable" in tight.latency_us
    assert "durable" not in loose.latency_us


def test_ethusdt_needs_only_another_configuration(root, tmp_path, ethusdt_session):
    text = (root / "examples" / "btcusdt.toml").read_text()
    text = text.replace("BTCUSDT", "ETHUSDT").replace('"BTC"', '"ETH"').replace('"0.00001"', '"0.0001"')
    (tmp_path / "ethusdt.toml").write_text(text)
    summary = Replay(load_config(tmp_path / "ethusdt.toml"), ethusdt_session).run()
    assert summary.messages == 33_618
    assert summary.orders >= 300
    assert summary.books["ETHUSDT"].whole


def test_every_decision_rests_on_a_whole_window_and_stands_on_the_grid(btcusdt):
    Replay(btcusdt, market=generated(btcusdt, seconds=20)).run()
    decisions = events_of(btcusdt, Decision)
    assert [decision.number for decision in decisions] == list(range(1, len(decisions) + 1))
    for decision in decisions:
        assert decision.last_row - decision.first_row == 63
        assert decision.at % 100_000_000 == 0
        assert len(decision.members) == len(decision.models) == 2
        assert sum(member.weight for member in decision.members) == pytest.approx(1.0)


def test_a_recording_without_a_snapshot_runs_on_quotes_and_trades_and_says_so(btcusdt):
    class WithoutSnapshot(GeneratedMarket):
        def __iter__(self):
            return (event for event in super().__iter__() if not isinstance(event, BookSnapshot))

    market = WithoutSnapshot(build_instruments(btcusdt)[0], seconds=60, price=60_000.0)
    summary = Replay(btcusdt, market=market).run()
    assert summary.orders > 0
    assert not summary.books["BTCUSDT"].whole
    assert any("the book is not whole" in notice for notice in summary.notices)


def test_a_recording_that_starts_mid_stream_and_has_a_gap_says_so(btcusdt, btcusdt_session, tmp_path):
    with gzip.open(btcusdt_session) as file:
        lines = list(itertools.islice(file, 6000))
    depth = [number for number, line in enumerate(lines) if b"@depth" in line]
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(b"".join(line for number, line in enumerate(lines) if number != depth[300]))
    summary = Replay(btcusdt, cut).run()
    assert summary.gaps == 1
    assert summary.decisions > 0
    late = tmp_path / "late.jsonl"
    late.write_bytes(b"".join(lines[3000:]))
    summary = Replay(btcusdt, late).run()
    assert summary.gaps == 0
    assert summary.decisions > 0
    assert summary.books["BTCUSDT"].whole_after_s is None


def test_malformed_lines_are_counted_and_named_with_their_line(btcusdt, btcusdt_session, tmp_path):
    with gzip.open(btcusdt_session) as file:
        lines = list(itertools.islice(file, 2000))
    lines[9] = b"junk\n"
    lines[1000] = lines[1000][:40] + b"\n"
    path = tmp_path / "broken.jsonl"
    path.write_bytes(b"".join(lines))
    summary = Replay(btcusdt, path).run()
    assert (summary.messages, summary.malformed) == (2000, 2)
    assert [f"{path.name}:10:" in summary.notices[0], f"{path.name}:1001:" in summary.notices[1]] == [True, True]


def test_a_recording_of_another_symbol_is_noticed(btcusdt, ethusdt_session):
    summary = Replay(btcusdt, ethusdt_session, max_events=500).run()
    assert summary.ignored == 500
    assert any("is it the right recording" in notice for notice in summary.notices)


def test_a_table_of_bars_is_traded(btcusdt, tmp_path):
    path = tmp_path / "bars.csv"
    rows = ["time,open,high,low,close,volume"]
    price = 60_000.0
    for minute in range(200):
        move = 40.0 if (minute // 7) % 2 else -40.0
        rows.append(f"{1_700_000_000 + minute * 60},{price},{price + 50},{price - 50},{price + move},3")
        price += move
    path.write_text("\n".join(rows))
    observation = attrs.evolve(btcusdt.observation, interval_ms=60_000, max_silence_ms=300_000)
    risk = attrs.evolve(btcusdt.risk, max_reference_age_ms=120_000)  # a bar is a minute old before the next
    summary = Replay(attrs.evolve(btcusdt, observation=observation, risk=risk), path).run()
    assert summary.messages == 200
    assert summary.decisions > 100
    assert summary.fills > 0


def test_a_stop_ends_the_run_in_an_orderly_way(btcusdt):
    replay = Replay(btcusdt, market=generated(btcusdt), on_progress=lambda built: replay.stop())
    summary = replay.run()
    assert summary.outcome == "interrupted"
    assert 0 < summary.messages < 2000
    assert events_of(btcusdt, RunEnded)[-1].outcome == "interrupted"
    verify(btcusdt.journal.path)


def test_a_run_that_fails_says_so_in_the_journal(btcusdt, tmp_path):
    (tmp_path / "bad.py").write_text(
        "from axon_quant import Strategy\n"
        "class Bad(Strategy):\n"
        "    def on_decision(self, ctx, action):\n"
        "        raise RuntimeError('no idea')\n"
    )
    strategy = attrs.evolve(btcusdt.strategy, name="bad.py:Bad", options={})
    with pytest.raises(StrategyError, match=r"bad\.py:4: BTCUSDT: Bad\.on_decision raised RuntimeError: no idea"):
        Replay(attrs.evolve(btcusdt, strategy=strategy, folder=tmp_path), market=generated(btcusdt, seconds=20)).run()
    assert events_of(btcusdt, RunEnded)[-1].outcome == "failed"


def test_a_run_whose_metrics_port_is_taken_has_failed_and_was_not_killed(btcusdt):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = attrs.evolve(btcusdt, metrics=MetricsConfig(port=taken.getsockname()[1]))
        with pytest.raises(MetricsError, match="is in use"):
            Replay(config, market=generated(config, seconds=1)).run()
    assert [report.outcome for report in verify(btcusdt.journal.path)] == ["failed"]


def test_the_first_record_says_what_runs(btcusdt):
    summary = Replay(btcusdt, market=generated(btcusdt, seconds=8)).run()
    (started,) = events_of(btcusdt, RunStarted)
    assert started.seed == 7
    assert started.models == summary.models
    assert started.config_sha256 == btcusdt.sha256


def test_a_tampered_fill_is_found_and_named(btcusdt):
    import sqlite3

    Replay(btcusdt, market=generated(btcusdt)).run()
    with sqlite3.connect(btcusdt.journal.path) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(records)")]
        assert "body" in columns
        rowid, body = connection.execute(
            "SELECT rowid, body FROM records WHERE body LIKE '%\"fill_id\"%' LIMIT 1"
        ).fetchone()
        text = body if isinstance(body, str) else body.decode()
        changed = text.replace('"quantity":"0', '"quantity":"9', 1)
        assert changed != text
        connection.execute("UPDATE records SET body = ? WHERE rowid = ?", (changed, rowid))
    connection.close()
    with pytest.raises(JournalTamperedError, match=r"order-updated|record"):
        verify(btcusdt.journal.path)


@pytest.mark.parametrize(
    ("section", "changes", "error", "message"),
    [
        ("observation", {"window": 32}, SchemaMismatchError, r"takes \[.*64, 128\], the observation is \[1, 32, 128\]"),
        ("exchange", {"name": "elsewhere"}, ConfigError, "paper venue"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_written(btcusdt, section, changes, error, message):
    config = attrs.evolve(btcusdt, **{section: attrs.evolve(getattr(btcusdt, section), **changes)})
    with pytest.raises(error, match=message):
        Replay(config, market=generated(btcusdt, seconds=1)).run()
    assert not btcusdt.journal.path.exists()


def test_a_cache_for_the_built_in_models_that_cannot_be_written_is_named_with_what_to_do(
    btcusdt, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AXON_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelLoadError, match=r"file/models/.+ cannot be written to the cache: .+ \(set AXON_CACHE to"):
        Replay(btcusdt, market=generated(btcusdt, seconds=1)).run()


def test_a_missing_recording_is_a_clear_error(btcusdt, tmp_path):
    with pytest.raises(MarketDataError, match="no such recording"):
        Replay(btcusdt, tmp_path / "none.jsonl.gz").run()


def test_the_summary_is_json_with_exact_money(btcusdt):
    import msgspec

    summary = Replay(btcusdt, market=generated(btcusdt, seconds=10)).run()
    data = json.loads(msgspec.json.encode(summary))
    for key in ("messages", "malformed", "gaps", "decisions", "orders", "fills", "cancels", "rejects"):
        assert isinstance(data[key], int)
    for key in ("pnl", "cash", "equity", "fees"):
        assert Decimal(data[key]).is_finite()
    assert set(data["latency_us"]["inference"]) == {"p50", "p99"}
    assert set(data) >= {"positions", "journal_head", "models"}


def test_nothing_is_left_open_when_a_run_ends(btcusdt):
    Replay(btcusdt, market=generated(btcusdt, seconds=30), max_events=1200).run()
    last = {event.update.client_order_id: event.update.status for event in events_of(btcusdt, OrderUpdated)}
    placed = {event.order.client_order_id for event in events_of(btcusdt, OrderPlaced)}
    assert placed == set(last)
    assert all(status.is_terminal for status in last.values())


def test_a_loss_beyond_the_limit_halts_and_cancels_what_is_open(btcusdt):
    from axon_quant.events import CancelRequested, RiskStateChanged

    risk = attrs.evolve(btcusdt.risk, max_daily_loss="0.00001")
    summary = Replay(attrs.evolve(btcusdt, risk=risk), market=generated(btcusdt, seconds=120)).run()
    assert summary.risk_state == "HALTED"
    (halted,) = events_of(btcusdt, RiskStateChanged)
    assert "loss" in halted.reason
    placed = events_of(btcusdt, OrderPlaced)
    assert placed
    assert all(event.at <= halted.at for event in placed), "nothing is placed after the halt"
    last = {event.update.client_order_id: event.update.status for event in events_of(btcusdt, OrderUpdated)}
    assert all(last[event.order.client_order_id].is_terminal for event in placed)
    assert events_of(btcusdt, CancelRequested)
