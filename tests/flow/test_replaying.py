"""`axon replay`: a decision of an ordinary run is computed again, bit for bit, or it is said why not."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import struct
import subprocess
import sys
from contextlib import contextmanager
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import attrs
import msgspec
import pytest
from click.testing import CliRunner

from axon_quant.cli import main
from axon_quant.clock import NANOSECONDS
from axon_quant.config import load_config
from axon_quant.config.rollout import RolloutEntry
from axon_quant.demo.market import PausingMarket
from axon_quant.demo.rule import TrendRule
from axon_quant.errors import JournalError, JournalTamperedError
from axon_quant.events import Decision, FeatureRow
from axon_quant.inference import ModelStore
from axon_quant.inference.files import write_whole
from axon_quant.journal import read, verify
from axon_quant.journal.chain import GENESIS, link
from axon_quant.journal.storage import record_id
from axon_quant.market.generated import GeneratedMarket
from axon_quant.observation.features import FEATURES
from axon_quant.plugins import load_backend
from axon_quant.runtime.decisions import Verdict, compare, find_decision, open_versions, replay_decision
from axon_quant.runtime.keeping import archive_folder
from axon_quant.runtime.live import Live
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.wiring import build_instruments

sys.path.insert(0, str(Path(__file__).parent))
from socket_venue import SocketAdapter, Venue, configured
from test_command_line import AXON, INSTRUMENT, line_of
from test_rollout import OTHER, Merged

ROOT = Path(__file__).resolve().parents[2]


def market_of(config, seconds=10.0):
    return GeneratedMarket(build_instruments(config)[0], seconds=seconds, price=60_000.0)


def builtin(name, backend="onnx"):
    return load_backend(backend).builtin(name, FEATURES)


def replayed(journal, decision_id="last", *, store=None, members=None):
    record = find_decision(journal, decision_id)
    return replay_decision(record, open_versions(journal, record.run, store=store), members=members)


def axon_replay(*arguments):
    return CliRunner().invoke(main, ["replay", *map(str, arguments)])


@contextmanager
def opened(journal):
    """The journal as somebody with a database tool sees it."""
    connection = sqlite3.connect(journal, isolation_level=None)
    yield connection
    connection.close()


def forge(journal, sequence, change):
    """Change the body of a record of run 1, and every hash after it, so that the chain holds."""
    with opened(journal) as connection:
        rows = connection.execute("SELECT id, body FROM records WHERE id >= ? ORDER BY id", (record_id(1, sequence),))
        before = connection.execute("SELECT hash FROM records WHERE id = ?", (record_id(1, sequence - 1),)).fetchone()
        head = GENESIS if before is None else before[0]
        for number, (identity, body) in enumerate(rows.fetchall(), sequence):
            text = change(body) if number == sequence else body
            head = link(head, number, text.encode())
            connection.execute("UPDATE records SET body = ?, hash = ? WHERE id = ?", (text, head, identity))
        connection.execute("UPDATE runs SET head = ?", (head,))


@pytest.fixture
def run(btcusdt):
    """An ordinary run of the shipped example: two models, no model store."""
    Replay(btcusdt, market=market_of(btcusdt)).run()
    return btcusdt.journal.path


# After an ordinary run.


def test_a_decision_of_an_ordinary_run_is_replayed_from_the_command_line(root, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text((root / "examples" / "btcusdt.toml").read_text())
    recording = tmp_path / "market.jsonl"
    market = GeneratedMarket(INSTRUMENT, seconds=12, price=60_000.0)
    recording.write_text("".join(f"{event.received} {line_of(event)}\n" for event in market))
    done = subprocess.run([*AXON, "run", "-c", config, "--replay", recording, "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    decisions = json.loads(done.stdout)["decisions"]
    assert decisions > 30
    for named in ("1:1", str(decisions)):
        done = subprocess.run([*AXON, "replay", named, "-c", config, "--json"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + done.stdout
        found = json.loads(done.stdout)
        assert found["agreed"] is True
        assert found["scores_recorded"] == found["scores_recomputed"]
        assert [member["verdict"] for member in found["members"]] == ["agreed", "agreed"]
        assert all(member["plan_recorded"] == member["plan_used"] for member in found["members"])


def test_every_decision_comes_out_in_the_same_bits(run):
    decisions = [event for _, event in read(run, kinds=[Decision])]
    versions = open_versions(run, 1)
    results = [replay_decision(find_decision(run, f"1:{event.number}"), versions) for event in decisions]
    assert len(results) > 20
    assert {result.verdict for result in results} == {Verdict.Agreed}
    for event, result in zip(decisions, results, strict=True):
        assert struct.pack("<3d", *event.scores) == struct.pack("<3d", *result.scores_recomputed)
        assert result.action_recomputed == event.action


def test_the_text_says_what_was_compared(run):
    done = axon_replay("1:2", "--journal", run)
    assert done.exit_code == 0
    assert "agreed: 2 models and the decision came out in the same bits" in done.output
    assert "plan as recorded: runtime onnxruntime" in done.output


def test_the_models_that_are_kept_are_read_only_copies_beside_the_journal(run):
    store = ModelStore(archive_folder(run))
    assert set(store.names()) == {"flow", "reversion"}
    for name in store.names():
        (stored,) = store.list(name)
        stored.verify()
        assert stored.schema is None  # another window in the next run's configuration is no reason to refuse a model
        assert not stored.path.stat().st_mode & 0o222


def test_another_window_in_the_configuration_does_not_meet_what_was_kept(btcusdt, run):
    slower = attrs.evolve(btcusdt, observation=attrs.evolve(btcusdt.observation, interval_ms=50))
    Replay(slower, market=market_of(slower)).run()
    assert replayed(run, "1:1").agreed
    assert replayed(run, "2:1").agreed


def test_who_keeps_no_models_is_told_what_to_do(btcusdt):
    config = attrs.evolve(btcusdt, journal=attrs.evolve(btcusdt.journal, keep_models=False))
    Replay(config, market=market_of(config)).run()
    journal = config.journal.path
    assert not archive_folder(journal).exists()
    done = axon_replay("1", "--journal", journal)
    assert done.exit_code == 1
    assert "cannot be replayed: flow: " in done.output
    assert "is in no model store" in done.output
    assert "[journal] keep_models = false" in done.output
    assert replayed(journal).verdict is Verdict.NotReplayed


def test_a_folder_where_nothing_can_be_kept_is_a_notice_and_no_failure(btcusdt):
    archive_folder(btcusdt.journal.path).write_text("in the way")
    summary = Replay(btcusdt, market=market_of(btcusdt)).run()
    assert summary.outcome == "completed"
    assert sum("its decisions cannot be replayed" in notice for notice in summary.notices) == 2


def test_keeping_models_does_not_change_the_head(btcusdt, tmp_path):
    heads = set()
    for name, keep in (("kept", True), ("not-kept", False)):
        journal = attrs.evolve(btcusdt.journal, path=tmp_path / name / "run.db", keep_models=keep)
        config = attrs.evolve(btcusdt, journal=journal)
        heads.add(Replay(config, market=market_of(config)).run().journal_head)
    assert len(heads) == 1


# With a model store, from every side.


@pytest.fixture
def stored_run(root, tmp_path):
    """A run with a model store; its configuration's file."""
    text = (root / "examples" / "btcusdt.toml").read_text() + '\n[model_store]\npath = "kept"\n'
    (tmp_path / "run.toml").write_text(text)
    config = load_config(tmp_path / "run.toml")
    Replay(config, market=market_of(config)).run()
    return tmp_path / "run.toml", config


def test_with_a_model_store_nothing_is_kept_beside_the_journal_and_the_store_is_found(stored_run, tmp_path):
    file, config = stored_run
    journal = config.journal.path
    assert not archive_folder(journal).exists()
    assert axon_replay("last", "-c", file).exit_code == 0
    assert axon_replay("last", "--journal", journal).exit_code == 0  # the run noted where its store is
    (tmp_path / "kept").rename(tmp_path / "moved")
    done = axon_replay("last", "--journal", journal)
    assert (done.exit_code, "is in no model store" in done.output) == (1, True)
    assert axon_replay("last", "--journal", journal, "--store", tmp_path / "moved").exit_code == 0


def test_a_journal_without_notes_is_replayed_by_the_plan_in_the_store(stored_run):
    _, config = stored_run
    journal = config.journal.path
    with opened(journal) as connection:
        connection.execute("DELETE FROM notes")
    result = replayed(journal, store=config.model_store.path)
    assert result.agreed
    assert all(member.plan_recorded == member.plan_used is not None for member in result.members)


def test_a_journal_of_an_earlier_axon_needs_the_configuration_to_combine_the_votes(stored_run):
    file, config = stored_run
    forge(config.journal.path, 1, lambda body: body.replace(',"ensemble":"softmax-sharpe"', ""))
    assert find_decision(config.journal.path, "1").ensemble == ""
    done = axon_replay("1", "--journal", config.journal.path)
    assert done.exit_code == 1
    assert "cannot be combined" in done.output
    assert axon_replay("1", "-c", file).exit_code == 0


def test_damage_in_one_store_is_made_up_for_by_another(run, tmp_path):
    archive = archive_folder(run)
    shutil.copytree(archive, tmp_path / "copy")
    damage(archive, "flow")
    found = replayed(run)
    assert found.verdict is Verdict.NotReplayed
    assert "damaged in the store" in found.reason
    done = axon_replay("last", "--journal", run)
    assert done.exit_code == 1
    assert "cannot be replayed: flow: " in done.output
    assert replayed(run, store=tmp_path / "copy").agreed


def damage(folder, name):
    """Flip a bit in the middle of the model's file."""
    (stored,) = ModelStore(folder).list(name)
    data = bytearray(stored.path.read_bytes())
    data[len(data) // 2] ^= 1
    stored.path.chmod(0o644)
    stored.path.write_bytes(data)


# Models that are replaced while the run goes on, in every format.


@pytest.mark.parametrize("backend", ["onnx", "safetensors", "torch"])
def test_each_decision_is_replayed_with_the_version_that_made_it(btcusdt, tmp_path, backend):
    if backend == "torch":
        pytest.importorskip("torch")
        pytest.importorskip("axon_backend_torch")
    first, second = builtin("demo-64x128", backend), builtin("demo-64x128-reversion", backend)
    served = tmp_path / f"served{first.suffix}"
    served.write_bytes(first.read_bytes())
    model = attrs.evolve(btcusdt.models[0], builtin=None, path=served, backend=backend, reload=True)
    config = attrs.evolve(btcusdt, models=(model,))
    pipelines = []

    @contextmanager
    def around(built):
        pipelines.append(built)
        yield

    def swap():
        write_whole(served, second.read_bytes())
        pipelines[0].reload.wait_for("flow", timeout=60.0)

    market = market_of(config, 14.0)
    start = next(iter(market)).received
    pausing = PausingMarket(market, start + 10 * NANOSECONDS, swap)
    Replay(config, market=pausing, around=around).run()
    served.unlink()
    journal = config.journal.path
    by_version = {event.models[0].number: event for _, event in read(journal, kinds=[Decision])}
    assert sorted(by_version) == [1, 2]
    digests = set()
    for number, event in by_version.items():
        result = replayed(journal, f"1:{event.number}")
        assert result.agreed, result
        (member,) = result.members
        assert member.model == event.models[0]
        assert (member.model.number, member.plan_recorded) == (number, member.plan_used)
        digests.add(member.model.sha256)
    assert len(digests) == 2


def test_a_canary_decision_is_replayed_with_the_candidate(btcusdt):
    rollout = RolloutEntry(model="flow", builtin=OTHER, mode="canary", keys=("BTCUSDT",), max_notional=Decimal(2_000))
    config = attrs.evolve(btcusdt, rollout=rollout, models=btcusdt.models[:1])
    Replay(config, market=market_of(config)).run()
    record = find_decision(config.journal.path, "last")
    assert [model.name for model in record.models] == ["flow:candidate"]
    result = replayed(config.journal.path)
    assert result.agreed
    assert result.model_sha256 == {"flow": record.models[0].sha256}


def test_several_symbols_have_rows_of_their_own(btcusdt):
    (instrument,) = btcusdt.market.instruments
    symbols = ("BTCUSDT", "ETHUSDT")
    instruments = tuple(attrs.evolve(instrument, symbol=symbol, base=symbol[:3]) for symbol in symbols)
    config = attrs.evolve(btcusdt, market=attrs.evolve(btcusdt.market, symbols=symbols, instruments=instruments))
    Replay(config, market=Merged(config, 9.0)).run()
    journal = config.journal.path
    decisions = [event for _, event in read(journal, kinds=[Decision])]
    assert {event.symbol for event in decisions} == set(symbols)
    assert all(replayed(journal, str(event.number)).agreed for event in decisions[-6:])


def test_a_live_decision_is_replayed_from_its_chained_notes(tmp_path):
    venue = Venue()
    config = configured(load_config(ROOT / "examples" / "btcusdt.toml"), tmp_path / "live.db")
    adapter = SocketAdapter(build_instruments(config), venue.port)

    async def feed():
        for event in market_of(config, 10.0):
            yield event

    try:
        asyncio.run(Live(config, adapter, feed=feed()).run())
    finally:
        venue.close()
    record = find_decision(tmp_path / "live.db", "last")
    assert record.mode == "live"
    result = replayed(tmp_path / "live.db")
    assert result.agreed
    assert all(member.plan_recorded == member.plan_used for member in result.members)
    assert verify(tmp_path / "live.db")[-1].by_kind["note"] >= 2


# A record that was changed.


def row_of(journal):
    """The sequence of a feature row that the last decision rests on."""
    return [sequence for sequence, event in read(journal, kinds=[FeatureRow])][-5]


def test_a_changed_record_is_named(run):
    record = find_decision(run, "last")
    with opened(run) as connection:
        connection.execute(
            'UPDATE records SET body = replace(body, \'"action":"\', \'"action":"s\') WHERE id = ?',
            (record_id(1, record.sequence),),
        )
    with pytest.raises(JournalTamperedError, match=f"record {record.sequence} is not what was recorded") as caught:
        find_decision(run, "last")
    assert caught.value.sequence == record.sequence
    done = axon_replay("last", "--journal", run)
    assert done.exit_code == 1
    assert f"record {record.sequence}" in done.output


def test_a_forged_observation_is_not_what_was_observed(run):
    sequence = row_of(run)

    def other(body):
        row = msgspec.json.decode(body)
        return body.replace(row["data"], "A" * 4 + row["data"][4:])

    forge(run, sequence, other)
    with pytest.raises(JournalTamperedError, match="are not what was observed"):
        find_decision(run, "last")


def test_a_forged_score_differs_from_what_the_model_says(run):
    record = find_decision(run, "last")
    score = record.event.members[1].scores[0]
    forged = struct.unpack("<f", struct.pack("<I", struct.unpack("<I", struct.pack("<f", score))[0] + 1))[0]
    forge(run, record.sequence, lambda body: body.replace(repr(score), repr(forged), 1))
    assert find_decision(run, "last").event.members[1].scores[0] == forged  # the chain holds
    result = replayed(run)
    assert result.verdict is Verdict.Differs
    assert not result.agreed
    (difference,) = result.differences
    assert difference.what == "reversion: score of buy"
    assert (difference.recorded, difference.recomputed) == (forged, score)
    assert (difference.type, difference.steps) == ("float32", 1)
    assert "is the record as it was written?" in result.reason
    done = axon_replay("last", "--journal", run)
    assert done.exit_code == 1
    assert "reversion     differs" in done.output
    assert "1 float32 step)" in done.output


@pytest.mark.parametrize("what", ["confidence", "weight", "action"])
def test_a_forged_decision_does_not_follow_from_its_votes(run, what):
    record = find_decision(run, "last")
    other = "sell" if record.event.action != "sell" else "buy"

    def change(body):
        if what == "action":
            return body.replace(f'"action":"{record.event.action}"', f'"action":"{other}"')
        decision = msgspec.json.decode(body)
        value = decision["confidence"] if what == "confidence" else decision["members"][0]["weight"]
        return body.replace(f'"{what}":{value!r}', f'"{what}":{value * 0.9!r}', 1)

    forge(run, record.sequence, change)
    result = replayed(run)
    assert result.verdict is Verdict.Differs
    assert {member.verdict for member in result.members} == {Verdict.Agreed}
    assert "does not follow from what they said" in result.reason
    assert axon_replay("last", "--journal", run).exit_code == 1


def test_another_model_under_the_name_of_the_one_that_decided_differs(btcusdt, run):
    """Whoever forges the record of which version decided is found out, because that version says something else."""
    record = find_decision(run, "last")
    flow, reversion = (model.sha256 for model in record.models)
    forge(run, record.sequence, lambda body: body.replace(flow, reversion))
    result = replayed(run)
    assert result.verdict is Verdict.Differs
    assert all(difference.what.startswith(("flow", "decision")) for difference in result.differences)


# Another way to compute.


def renoted(journal, name, **plan):
    """Change the plan that the run noted for a model."""
    with opened(journal) as connection:
        for identity, body in connection.execute("SELECT id, body FROM notes").fetchall():
            note = msgspec.json.decode(body)
            if note["name"] == "model-plan" and note["body"]["name"] == name:
                note["body"]["plan"] |= plan
                note["body"]["machine"]["processor"] = "Another Processor"
                text = msgspec.json.encode(note).decode()
                connection.execute("UPDATE notes SET body = ? WHERE id = ?", (text, identity))


def test_a_plan_that_cannot_be_kept_to_is_replaced_and_said(run):
    renoted(run, "flow", runtime="onnxruntime 0.1.0")
    result = replayed(run)
    flow, reversion = result.members
    assert flow.plan_recorded["runtime"] == "onnxruntime 0.1.0"
    assert flow.plan_used["runtime"] != "onnxruntime 0.1.0"
    assert reversion.plan_recorded == reversion.plan_used
    assert {**flow.plan_used, "runtime": ""} == {**flow.plan_recorded, "runtime": ""}  # its level is kept to
    assert result.agreed
    assert "plan not as recorded: runtime onnxruntime" in axon_replay("last", "--journal", run).output


def test_a_difference_names_the_plan_and_the_machine(run):
    renoted(run, "flow", runtime="onnxruntime 0.1.0")
    record = find_decision(run, "last")
    score = record.event.members[0].scores[0]
    forge(run, record.sequence, lambda body: body.replace(repr(score), repr(score * 0.5), 1))
    result = replayed(run)
    assert result.verdict is Verdict.Differs
    assert "the plan differs: runtime was onnxruntime 0.1.0 and is onnxruntime" in result.reason
    assert "another machine: Another Processor" in result.reason


# Members that are code.


def test_a_member_that_is_code_is_replayed_where_it_is_given(btcusdt):
    rule = TrendRule()
    Replay(btcusdt, market=market_of(btcusdt), members={"trend": rule}).run()
    journal = btcusdt.journal.path
    result = replayed(journal)
    assert result.verdict is Verdict.NotReplayed
    assert "trend: it is code, not a model" in result.reason
    assert [member.verdict for member in result.members] == [Verdict.Agreed, Verdict.Agreed, Verdict.NotReplayed]
    assert replayed(journal, members={"trend": rule}).agreed
    given = axon_replay("last", "--journal", journal, "--member", "trend=axon_quant.demo.rule:TrendRule")
    assert given.exit_code == 0, given.output
    other = replayed(journal, members={"trend": lambda observation: "sell"})
    assert other.agreed == (find_decision(journal, "last").event.members[2].scores == (0.0, 1.0, 0.0))


@pytest.mark.parametrize("strategy", ["soft-voting", "hard-voting", "weighted-voting", "hedge", "boa"])
def test_every_strategy_combines_the_votes_as_it_did(btcusdt, strategy):
    config = attrs.evolve(btcusdt, ensemble=attrs.evolve(btcusdt.ensemble, strategy=strategy))
    Replay(config, market=market_of(config, 12.0)).run()
    assert find_decision(config.journal.path, "last").ensemble == strategy
    assert replayed(config.journal.path).agreed


def test_an_ensemble_that_stood_aside_did_so_by_its_record(run, monkeypatch):
    from axon_quant.ensemble.weighting import SoftmaxSharpe

    record = find_decision(run, "last")
    event = msgspec.structs.replace(record.event, scores=(0.0, 0.0, 1.0), action="hold", confidence=1.0)
    aside = attrs.evolve(record, event=event)
    versions = open_versions(run, 1)
    assert replay_decision(aside, versions).verdict is Verdict.Differs  # this strategy never does
    monkeypatch.setattr(
        "axon_quant.runtime.decisions.recompute.load_ensemble",
        lambda name: lambda initial, window: SoftmaxSharpe(initial, window, all_negative="abstain"),
    )
    result = replay_decision(aside, versions)
    assert result.agreed
    assert any("stood aside" in remark for remark in result.remarks)


# What is asked for.


def test_a_decision_is_found_by_number_run_last_and_order(run):
    record = find_decision(run, "last")
    count = record.event.number
    assert record.decision_id == find_decision(run, str(count)).decision_id == f"1:{count}"
    traded = next(
        found for found in (find_decision(run, str(number)) for number in range(1, count + 1)) if found.orders
    )
    order = traded.orders[0].order
    assert find_decision(run, order.client_order_id).event == traded.event
    assert find_decision(run, f"1:{order.client_order_id}").event == traded.event


@pytest.mark.parametrize("named", ["99999", "0", "7:1", "r9", "", "1:", 'x"y', "last:1", "-1"])
def test_a_decision_that_is_not_there_is_a_mistake_of_the_caller(run, named):
    with pytest.raises(JournalError):
        find_decision(run, named)
    done = axon_replay("--journal", run, "--", named)
    assert done.exit_code == 2, done.output


def test_what_cannot_be_asked_is_said(run, tmp_path, root):
    assert "which journal?" in axon_replay("1").output
    assert axon_replay("1").exit_code == 2
    both = axon_replay("1", "--journal", run, "-c", root / "examples" / "btcusdt.toml")
    assert both.exit_code == 2
    missing = axon_replay("1", "--journal", tmp_path / "none.db")
    assert (missing.exit_code, "no such file (a run writes it" in missing.output) == (2, True)
    store = axon_replay("1", "--journal", run, "--store", tmp_path / "none")
    assert (store.exit_code, "no such model store" in store.output) == (2, True)
    member = axon_replay("1", "--journal", run, "--member", "trend=nowhere:Rule")
    assert (member.exit_code, "No module named 'nowhere'" in member.output) == (2, True)


def test_steps_count_the_numbers_in_between():
    (zero,) = compare(["a"], [0.0], [-0.0], "float32")
    assert zero.steps == 1
    (above,) = compare(["a"], [1.0], [1.0 + 2**-22], "float32")
    assert above.steps == 2
    (across,) = compare(["a"], [-(2.0**-149)], [2.0**-149], "float32")
    assert across.steps == 3  # -0.0, 0.0 and the number itself
    assert compare(["a"], [0.1], [0.1], "float64") == ()


def test_the_observation_of_a_record_is_that_of_the_decision(run):
    record = find_decision(run, "last")
    assert record.observation.shape == (64, 128)
    digest = sha256(b"".join(sha256(row.tobytes()).digest() for row in record.observation)).hexdigest()
    assert digest == record.event.observation_sha256
    assert record.feature_names == FEATURES
    assert record.interval_ms == 100
