"""What a run cannot do without is copied while it writes, found damaged where it is, and gone on from elsewhere."""

from __future__ import annotations

import json
import os
import pty
import random
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from axon_quant.backup import back_up, check, restore
from axon_quant.cli import main
from axon_quant.config import load_config
from axon_quant.errors import BackupError, ConfigError, JournalLockedError, JournalTamperedError, ModelCheckError
from axon_quant.inference import ModelStore
from axon_quant.inference.files import ModelFiles
from axon_quant.journal import runs, verify
from axon_quant.journal.lock import lock_journal
from axon_quant.market.generated import GeneratedMarket
from axon_quant.observation.features import FEATURES
from axon_quant.plugins import load_backend
from axon_quant.runtime.replay import Replay

sys.path.insert(0, str(Path(__file__).parent))
from test_command_line import AXON, INSTRUMENT
from venue_process import resting_venue, standing

STRATEGY = """
from axon_quant import TargetPosition


class Mine(TargetPosition):
    pass
"""


def axon(*arguments):
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def play(config_file):
    config = load_config(config_file)
    Replay(config, market=GeneratedMarket(INSTRUMENT, seconds=20, price=60_000.0)).run()
    return config


@pytest.fixture
def production(root, tmp_path):
    """A folder with a configuration and what a run has left: a journal, a model store, a strategy."""
    folder = tmp_path / "production"
    folder.mkdir()
    text = (root / "examples" / "btcusdt.toml").read_text()
    text = text.replace('name = "target-position"', 'name = "mine.py:Mine"')
    text = text.replace('builtin = "demo-64x128-reversion"', 'path = "models/reversion.onnx"')
    file = folder / "production.toml"
    file.write_text(f'{text}\n[model_store]\npath = "store"\n')
    (folder / "mine.py").write_text(STRATEGY)
    (folder / "models").mkdir()
    shutil.copy(load_backend("onnx").builtin("demo-64x128-reversion", FEATURES), folder / "models" / "reversion.onnx")
    play(file)
    return file


@pytest.fixture
def backup(production, tmp_path):
    folder = tmp_path / "backup"
    back_up(production, folder)
    return folder


def test_a_restored_folder_verifies_loads_its_models_and_is_gone_on_from(production, backup, tmp_path):
    store = ModelStore(production.parent / "store")
    names, heads = store.names(), [report.head for report in verify(production.parent / "journal" / "btcusdt.db")]
    shutil.rmtree(production.parent)
    assert check(backup) is None

    done = axon("restore", backup, "--to", tmp_path / "new")
    assert done.exit_code == 0, done.output
    journal = tmp_path / "new" / "journal" / "btcusdt.db"
    assert axon("journal", "verify", journal, "--head", heads[-1]).exit_code == 0
    restored = ModelStore(tmp_path / "new" / "store")
    assert restored.names() == names
    for name in names:
        assert restored.load(f"{name}@latest").model.sha256 == restored.versions(name)[-1]
    assert axon("replay", "last", "--journal", journal, "--store", restored.folder).exit_code == 0

    play(tmp_path / "new" / "production.toml")
    assert [report.number for report in verify(journal, logged=heads)] == [1, 2]


def test_a_backup_is_taken_while_a_live_run_writes_and_the_run_goes_on_from_it(root, tmp_path):
    venue = resting_venue(tmp_path, root)
    process = venue.run()
    try:
        venue.wait_for(lambda: standing(venue), process)
        before = sum(report.records for report in verify(venue.journal))
        # No key is at hand here: the run alone has them in its environment.
        done = axon("backup", "-c", venue.config, "--out", tmp_path / "backup", "--json")
        assert done.exit_code == 0, done.output
        manifest = json.loads(done.stdout)
        assert process.poll() is None
        venue.wait_for(lambda: sum(report.records for report in verify(venue.journal)) > before + 50, process)
        venue.stop(process)

        (run,) = manifest["runs"]
        assert run["records"] >= before
        assert run["outcome"] is None
        assert verify(venue.journal, logged=[run["head"]]), "the copy is a beginning of what the run wrote"
        assert check(tmp_path / "backup") is None

        restore(tmp_path / "backup", tmp_path / "new")
        venue.config = tmp_path / "new" / "run.toml"
        venue.journal = tmp_path / "new" / "journal" / "btcusdt.db"
        process = venue.run()
        venue.wait_for(lambda: len(runs(venue.journal)) == 2 and standing(venue), process)
        venue.stop(process)
        assert [report.outcome for report in verify(venue.journal, logged=[run["head"]])] == [None, "interrupted"]
    finally:
        process.kill()
        process.communicate()
        venue.close()


def test_a_backup_that_was_killed_is_incomplete_and_is_started_anew(production, tmp_path):
    large = tmp_path / "large.onnx"
    large.write_bytes(random.Random(1).randbytes(48 << 20))
    ModelStore(production.parent / "store").add(ModelFiles.at(large), name="large", backend="onnx")
    out, rng, interrupted = tmp_path / "backup", random.Random(2), 0
    for _ in range(12):
        process = subprocess.Popen([*AXON, "backup", "-c", str(production), "--out", str(out)])
        while not list(out.glob("files/store/*")) and process.poll() is None:
            time.sleep(0.001)
        time.sleep(rng.uniform(0.0, 0.12))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (out / "manifest.json").exists():
            assert check(out) is None
            shutil.rmtree(out)
            continue
        interrupted += 1
        assert "incomplete: the backup was interrupted" in check(out)
        with pytest.raises(BackupError, match="incomplete"):
            restore(out, tmp_path / "new")
        assert not (tmp_path / "new").exists()
        if interrupted == 4:
            break
    assert interrupted
    back_up(production, out)
    assert check(out) is None


def test_ctrl_c_leaves_nothing_behind(production, tmp_path):
    def interrupt(what, done, total):
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(production, tmp_path / "backup", on_progress=interrupt)
    assert not (tmp_path / "backup").exists()


def test_two_backups_do_not_write_into_one_folder(production, tmp_path):
    def second(what, done, total):
        with pytest.raises(BackupError, match=r"another process \(pid \d+\) writes a backup there"):
            back_up(production, tmp_path / "backup")

    back_up(production, tmp_path / "backup", on_progress=second)
    with pytest.raises(BackupError, match="holds a backup already"):
        back_up(production, tmp_path / "backup")
    assert check(tmp_path / "backup") is None


def test_a_flipped_bit_is_found_in_every_file(backup, tmp_path):
    rng = random.Random(3)
    files = sorted(path for path in backup.rglob("*") if path.is_file())
    assert len(files) > 8
    for path in files:
        data = path.read_bytes()
        at = rng.randrange(len(data))
        path.chmod(0o600)
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :])
        found = check(backup)
        assert found is not None, f"{path}: byte {at}"
        assert path.name in found
        with pytest.raises(BackupError):
            restore(backup, tmp_path / "new")
        assert not (tmp_path / "new").exists()
        path.write_bytes(data)
    assert check(backup) is None


def test_what_is_missing_or_was_added_is_found(backup):
    (backup / "files" / "more.txt").write_text("?")
    assert "more.txt: is not in the manifest" in check(backup)
    (backup / "files" / "more.txt").unlink()
    (backup / "files" / "mine.py").unlink()
    assert "mine.py: is missing" in check(backup)
    (backup / "files" / "mine.py").symlink_to("/dev/null")
    assert "mine.py: is a link" in check(backup)
    assert "no such folder" in check(backup / "nowhere")
    assert "not a backup" in check(backup / "files")


def test_a_damaged_source_is_not_backed_up(production, tmp_path):
    journal = production.parent / "journal" / "btcusdt.db"
    untouched = journal.read_bytes()
    connection = sqlite3.connect(journal)
    with connection:
        connection.execute("UPDATE records SET body = replace(body, '1', '2') WHERE sequence = 9")
    connection.close()
    with pytest.raises(JournalTamperedError, match="record 9"):
        back_up(production, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()

    journal.write_bytes(untouched)
    model = next((production.parent / "store" / "objects").glob("*/model/*"))
    model.chmod(0o600)
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelCheckError, match="damaged in the store"):
        back_up(production, tmp_path / "backup")


def test_what_is_there_is_replaced_only_by_force_and_kept(production, backup, tmp_path):
    folder = production.parent
    play(production)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(BackupError, match="is not empty"):
        restore(backup, folder)
    assert len(verify(folder / "journal" / "btcusdt.db")) == 2

    with lock_journal(folder / "journal" / "btcusdt.db"), pytest.raises(JournalLockedError):
        restore(backup, folder, force=True)
    assert len(verify(folder / "journal" / "btcusdt.db")) == 2

    # What a run that was killed left beside its journal would be read as a part of the restored one.
    (folder / "journal" / "btcusdt.db-wal").write_bytes(b"old")
    _, aside = restore(backup, folder, force=True)
    assert len(verify(folder / "journal" / "btcusdt.db")) == 1
    assert (aside / "journal" / "btcusdt.db-wal").read_bytes() == b"old"
    assert (folder / "notes.txt").read_text() == "mine"
    play(production)
    assert len(verify(folder / "journal" / "btcusdt.db")) == 2


def test_a_halted_run_is_halted_where_it_is_restored(production, tmp_path):
    halted = load_config(production).control.halt_file
    halted.write_text("{}")
    back_up(production, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "new")
    assert load_config(tmp_path / "new" / production.name).control.halt_file.read_text() == "{}"


def test_paths_outside_the_folder_are_inside_after_it(production, tmp_path):
    elsewhere = tmp_path / "var"
    (elsewhere / "lib").mkdir(parents=True)
    text = production.read_text()
    text = text.replace('"journal/btcusdt.db"', f"'{elsewhere}/lib/run.db'  # on its own disk")
    text = text.replace('path = "models/reversion.onnx"', 'path = "../served.onnx"').replace('"store"', '"./store/"')
    shutil.move(production.parent / "models" / "reversion.onnx", tmp_path / "served.onnx")
    production.write_text(text)
    config = play(production)
    manifest = back_up(production, tmp_path / "backup")
    assert set(manifest.moved) == {"journal.path", "models[1].path"}
    restore(tmp_path / "backup", tmp_path / "deep" / "new")
    shutil.rmtree(elsewhere)
    (tmp_path / "served.onnx").unlink()

    restored = play(tmp_path / "deep" / "new" / production.name)
    assert restored.sha256 == config.sha256, "it trades the same"
    assert restored.journal.path.is_relative_to(tmp_path / "deep" / "new")
    assert "# on its own disk" in (tmp_path / "deep" / "new" / production.name).read_text()
    assert len(verify(restored.journal.path)) == 2


def test_secrets_are_not_read_and_not_copied(production, tmp_path, monkeypatch):
    keys = production.parent / "keys"
    keys.mkdir()
    (keys / "secret").write_text("TOP-SECRET")
    (keys / "secret").chmod(0o600)
    monkeypatch.delenv("AXON_NOT_SET", raising=False)
    given = 'name = "paper"\napi_key = "env:AXON_NOT_SET"\napi_secret = "file:keys/secret"'
    text = production.read_text()
    production.write_text(text.replace('name = "paper"', given))
    back_up(production, tmp_path / "backup")
    assert not any(b"TOP-SECRET" in path.read_bytes() for path in (tmp_path / "backup").rglob("*") if path.is_file())
    assert "file:keys/secret" in (tmp_path / "backup" / "files" / production.name).read_text()

    production.write_text(text.replace('name = "paper"', given.replace("env:AXON_NOT_SET", "TOP-SECRET")))
    with pytest.raises(ConfigError) as literal:
        back_up(production, tmp_path / "second")
    production.write_text(text.replace('name = "paper"', f'{given}\n# api_key = "TOP-SECRET"'))
    with pytest.raises(BackupError, match="literal secret seems to stand in this comment") as commented:
        back_up(production, tmp_path / "second")
    assert "TOP-SECRET" not in f"{literal.value} {commented.value}"
    assert not (tmp_path / "second").exists()


def test_before_the_first_run_there_is_a_configuration_to_keep(root, tmp_path):
    shutil.copy(root / "examples" / "btcusdt.toml", tmp_path / "run.toml")
    done = axon("backup", "-c", tmp_path / "run.toml", "--out", tmp_path / "backup")
    assert "no journal yet" in done.stdout
    assert axon("restore", tmp_path / "backup", "--check").exit_code == 0


def test_a_terminal_shows_progress(production, tmp_path):
    main_end, terminal = pty.openpty()
    command = [*AXON, "backup", "-c", str(production), "--out", str(tmp_path / "backup")]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "160"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=terminal, env=environment)
    os.close(terminal)
    shown = b""
    while select.select([main_end], [], [], 30)[0]:
        try:
            piece = os.read(main_end, 65_536)
        except OSError:  # the other end is closed
            break
        shown += piece
    os.close(main_end)
    assert process.wait(30) == 0
    assert b"backup" in shown
    assert b"objects" in shown


@pytest.mark.parametrize("arguments", [[], ["--to", "new", "--check"]])
def test_restore_wants_a_folder_or_a_check(backup, arguments):
    done = axon("restore", backup, *arguments)
    assert done.exit_code == 2
    assert "give --to FOLDER, or --check" in done.output
