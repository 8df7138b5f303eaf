"""The model store: what is kept, what is refused, and what survives kills, damage and second processes."""

from __future__ import annotations

import json
import os
import random
import stat
import subprocess
import sys
import threading
import time
from itertools import pairwise

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from axon_quant.errors import ModelCheckError, ModelError, ModelInputError, ModelLoadError, SchemaMismatchError
from axon_quant.inference import GoldenVectors, ModelConfig, ModelHotReloader, ModelStore
from axon_quant.inference.files import ModelFiles
from axon_quant.inference.store import StoredModel, this_machine
from axon_quant.inference.store.history import Change, History
from axon_quant.inference.store.machine import Machine
from axon_quant.inference.store.records import check_name
from axon_quant.observation import FeatureSchema
from axon_quant.plugins import load_backend

SCHEMA = FeatureSchema("test", ("bid", "ask"), "none", 100, 4)


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "store")


@pytest.fixture
def write(tmp_path):
    """Write a file, and say what it is."""

    def write(content, name="model.onnx", folder="source", sides=None):
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        for side, data in (sides or {}).items():
            (path.parent / side).parent.mkdir(exist_ok=True, parents=True)
            (path.parent / side).write_bytes(data)
        return ModelFiles.at(path, [path.parent / side for side in sides or {}])

    return write


@pytest.fixture
def add(store, write):
    def add(content, name="flow", **more):
        return store.add(write(content), name=name, backend="onnx", **more)

    return add


@pytest.fixture
def onnx(tmp_path):
    """A loaded ONNX backend on a small built-in model."""

    def onnx(builtin="demo-4x2", **config):
        made = load_backend("onnx")
        path = tmp_path / f"{config.get('name', 'flow')}.onnx"
        path.write_bytes(made.builtin(builtin).read_bytes())
        engine = made(ModelConfig(path, "onnx", **config))
        engine.load()
        return engine

    return onnx


def left_over(store):
    return sorted(path.name for path in (store.folder / "incoming").iterdir())


# What is kept


def test_nothing_is_on_disk_before_the_first_version(store):
    assert store.names() == store.list("flow") == store.history() == ()
    assert store.find("0" * 64) is store.current("flow") is store.previous("flow") is None
    assert not store.folder.exists()


def test_a_version_is_a_read_only_copy_of_the_very_bytes(store, write):
    files = write(b"graph", sides={"weights.data": b"weights", "more/settings.json": b"{}"})
    stored = store.add(files, name="flow", backend="onnx", source="trainer")
    files.path.write_bytes(b"another")
    assert stored == store.get(files.sha256) == store.get(files.sha256[:8]) == store.resolve("flow@latest")
    assert stored.path.read_bytes() == b"graph"
    assert stored.path == store.path(stored)
    assert (stored.path.name, stored.suffix, stored.backend, stored.size) == ("model.onnx", ".onnx", "onnx", 14)
    assert (stored.names, stored.source) == (("flow",), "trainer")
    assert ModelFiles.at(stored.path, stored.files.sides).sha256 == files.sha256 == stored.sha256
    for path in (stored.path, *stored.files.sides):
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert left_over(store) == []


def test_the_same_bytes_are_kept_once_whatever_they_are_called(store, add, write):
    first = add(b"graph")
    inode = first.path.stat().st_ino
    assert add(b"graph") == first
    again = store.add(write(b"graph", "other.onnx"), name="other", backend="onnx")
    assert again.path == first.path
    assert again.path.stat().st_ino == inode
    assert again.names == ("flow", "other")
    assert store.names() == ("flow", "other")
    assert [change.action for change in store.history("flow")] == ["added"]


def test_versions_are_listed_in_the_order_they_came(store, add):
    stored = [add(content) for content in (b"a", b"b", b"c", b"b")]
    assert store.versions("flow") == tuple(one.sha256 for one in stored[:3])
    assert store.list("flow") == tuple(stored[:3])
    assert [store.resolve(f"flow@{number}") for number in (1, 2, 3)] == stored[:3]
    assert store.resolve("flow@latest") == stored[2]
    assert [one.added for one in stored[:3]] == sorted(one.added for one in stored[:3])


@pytest.mark.parametrize(
    "reference", ["flow@4", "flow@production", "flow@previous", "nobody@1", "flow", "abc", "f" * 9]
)
def test_what_is_not_there_is_said(add, store, reference):
    add(b"a")
    with pytest.raises(ModelLoadError, match="in the store") as caught:
        store.resolve(reference)
    assert reference in str(caught.value)
    assert "axon models list" in str(caught.value)


def test_a_prefix_of_several_versions_is_refused(store, add, monkeypatch):
    stored = add(b"a")
    twin = stored.sha256[:10] + "0" * 54
    (store.folder / "objects" / twin).mkdir()
    with pytest.raises(ModelLoadError, match="several versions"):
        store.get(stored.sha256[:10])
    assert store.get(stored.sha256) == stored


def test_a_file_that_changed_meanwhile_is_refused_and_leaves_nothing(store, write):
    files = write(b"graph", sides={"weights.data": b"weights"})
    files.sides[0].write_bytes(b"other weights")
    with pytest.raises(ModelLoadError, match=r"weights\.data: the file is not the one that was loaded"):
        store.add(files, name="flow", backend="onnx")
    assert store.find(files.sha256) is None
    assert store.names() == ()
    assert left_over(store) == []


def test_a_pipe_in_the_place_of_the_file_is_refused_and_not_waited_for(store, write):
    files = write(b"graph")
    files.path.unlink()
    os.mkfifo(files.path)
    with pytest.raises(ModelLoadError, match="no regular file"):
        store.add(files, name="flow", backend="onnx")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\0"])
def test_a_name_that_cannot_be_shown_is_refused(add, name):
    with pytest.raises(ModelError, match="name"):
        add(b"a", name=name)


# Names that lead elsewhere


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "a//b", "./a", "a/", "-", "", "a\\b", "a\nb", "a\0b", ".."]
)
def test_a_file_name_that_leads_elsewhere_is_refused(store, write, name):
    files = write(b"graph")
    tricked = ModelFiles(files.path, {"-": files.sha256_by_name["-"], name: files.sha256_by_name["-"]})
    if name == "-":
        tricked = ModelFiles(files.path.with_name("-"), files.sha256_by_name)
    with pytest.raises(ModelLoadError, match=r"no file of the name|two of its files"):
        store.add(tricked, name="flow", backend="onnx")
    assert not list(store.folder.rglob("evil"))
    assert left_over(store) == []


@given(st.text(max_size=30) | st.lists(st.sampled_from(["..", ".", "", "a", "b c", "-"]), max_size=5).map("/".join))
def test_whatever_name_passes_stays_below_its_folder(tmp_path_factory, name):
    root = tmp_path_factory.getbasetemp() / "root"
    try:
        check_name(name, root)
    except ModelLoadError:
        return
    path = root / name
    assert os.path.normpath(path) == str(path)
    assert path.is_relative_to(root)
    assert path != root


def test_a_record_whose_names_lead_elsewhere_is_refused(store, add, tmp_path):
    stored = add(b"graph")
    manifest = stored.folder / "manifest.json"
    record = json.loads(manifest.read_text())
    for changed in (
        {"file": "../../../secret"},
        {"files": {**record["files"], "/etc/passwd": "0" * 64}},
        {"file": "other"},
        {"files": []},
    ):
        manifest.chmod(0o644)
        manifest.write_text(json.dumps({**record, **changed}))
        with pytest.raises(ModelLoadError, match=r"manifest\.json"):
            store.get(stored.sha256)


# Damage


def change_a_byte(path):
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path):
    path.chmod(0o644)
    os.truncate(path, 3)


def replace_by_a_link(path):
    other = path.with_name("elsewhere")
    path.rename(other)
    path.symlink_to(other)


@pytest.mark.parametrize("harm", [change_a_byte, cut, os.unlink, replace_by_a_link])
@pytest.mark.parametrize("which", ["model.onnx", "more/weights.data"])
def test_a_damaged_file_is_named_and_adding_the_model_again_mends_it(store, write, harm, which):
    files = write(b"graph" * 100, sides={"more/weights.data": b"weights" * 100})
    stored = store.add(files, name="flow", backend="onnx", schema=SCHEMA)
    assert store.verify(files.sha256[:12]) == stored
    harm(stored.path.parent / which)
    for act in (stored.verify, lambda: store.verify(files.sha256), lambda: store.promote("flow", files.sha256)):
        with pytest.raises(ModelCheckError) as caught:
            act()
        assert which in str(caught.value)
    assert store.current("flow") is None
    store.add(files, name="flow", backend="onnx")
    assert store.verify(files.sha256).schema == SCHEMA
    assert [change.action for change in store.history()] == ["added"]


def test_a_file_that_the_store_did_not_put_there_is_named(store, add):
    stored = add(b"graph")
    (stored.path.parent / "config.json").write_text("{}")
    with pytest.raises(ModelCheckError, match=r"config\.json: the store put no such file here"):
        stored.verify()


def test_a_record_of_other_files_is_damage(store, add):
    stored, other = add(b"a"), add(b"b")
    manifest = stored.folder / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_bytes((other.folder / "manifest.json").read_bytes())
    with pytest.raises(ModelCheckError, match="of another version"):
        store.verify(stored.sha256)


@pytest.mark.parametrize("name", ["schema.json", "golden.npz", "background.npz", "plans.json"])
def test_a_damaged_record_is_named_and_may_be_deleted(store, onnx, name):
    engine = onnx()
    sample = np.zeros((3, 4, 2), np.float32)
    stored = store.put(engine.prepared, engine.config, schema=SCHEMA, background=sample)
    path = stored.folder / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ModelLoadError, match="delete it") as caught:
        getattr(stored, path.stem)
    assert name in str(caught.value)
    path.unlink()
    assert getattr(stored, path.stem) in (None, ())


def test_a_schema_that_was_tampered_with_is_refused(store, add):
    stored = add(b"a", schema=SCHEMA)
    path = stored.folder / "schema.json"
    path.write_text(path.read_text().replace("bid", "bad"))
    with pytest.raises(ModelLoadError, match="feature schema: expected sha256"):
        _ = stored.schema


# Two processes, kills and full disks

ADDS = """
import sys
from pathlib import Path
from axon_quant.inference.files import ModelFiles
from axon_quant.inference.store import ModelStore

store, source = ModelStore(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for path in sorted(source.iterdir()):
    stored = store.add(ModelFiles.at(path), name="flow", backend="onnx")
    store.promote("flow", stored.sha256)
    print(stored.sha256, flush=True)
"""


@pytest.fixture
def spawn():
    processes = []

    def spawn(code, *arguments):
        command = [sys.executable, "-c", code, *map(str, arguments)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        processes.append(process)
        return process

    yield spawn
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "sources"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.onnx").write_bytes(random.Random(number).randbytes(1 << 20))
    return folder


def test_kill_9_at_random_points_leaves_only_whole_versions(store, sources, spawn):
    seed = random.randrange(2**32)
    generator = random.Random(seed)
    acknowledged = set()
    for _ in range(6):
        process = spawn(ADDS, store.folder, sources)
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        time.sleep(generator.uniform(0.005, 0.15))
        process.kill()
        acknowledged |= {line.strip() for line in process.stdout.readlines() if line.endswith("\n")}
        process.wait()
        for sha256 in store.versions("flow"):
            store.verify(sha256)
        assert acknowledged <= set(store.versions("flow")), f"seed {seed}"
        current = store.current("flow")
        assert current is None or current.sha256 in store.versions("flow")
    process = spawn(ADDS, store.folder, sources)
    output, errors = process.communicate("go\n", timeout=60)
    assert process.returncode == 0, errors
    assert len(output.split()) == 41
    assert left_over(store) == []
    assert len(store.versions("flow")) == len(list((store.folder / "objects").iterdir())) == 40
    for stored in store.list("flow"):
        stored.verify()


def test_two_processes_add_the_same_models_at_once(store, sources, spawn):
    processes = [spawn(ADDS, store.folder, sources) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    added = [change.sha256 for change in store.history("flow") if change.action == "added"]
    assert len(added) == len(set(added)) == 40
    assert left_over(store) == []
    for stored in store.list("flow"):
        stored.verify()


FILLS = """
import resource, signal, sys
from pathlib import Path
from axon_quant.errors import ModelError
from axon_quant.inference.files import ModelFiles
from axon_quant.inference.store import ModelStore

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    ModelStore(sys.argv[1]).add(ModelFiles.at(Path(sys.argv[2])), name="flow", backend="onnx")
except ModelError as error:
    print(error)
"""


def test_a_full_disk_is_an_error_and_leaves_nothing(store, sources, spawn):
    output, errors = spawn(FILLS, store.folder, sources / "00.onnx").communicate(timeout=60)
    assert "the model store cannot be written" in output, errors
    assert store.names() == ()
    assert left_over(store) == []


def test_threads_add_at_once(store, write):
    files = [write(bytes([number]) * 1000, f"{number}.onnx") for number in range(8)]
    errors = []

    def work():
        try:
            for one in files:
                store.add(one, name="flow", backend="onnx")
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(store.history()) == len(store.list("flow")) == 8


# The history


def test_a_line_that_was_cut_off_is_none_and_is_removed_by_the_next(tmp_path):
    history = History(tmp_path / "history.jsonl")
    first, second = (Change(at=at, action="added", name="flow", sha256=f"{at}") for at in (1, 2))
    history.append(first)
    for rest in (b'{"at":9,"action":"prom', b"x" * 9000):
        with history.path.open("ab") as file:
            file.write(rest)
        assert history.read()[-1] in (first, second)
        history.append(second)
    assert history.read() == (first, second, second)


def test_a_damaged_line_is_named(store, add):
    add(b"a")
    path = store.folder / "history.jsonl"
    path.write_bytes(b"not json\n" + path.read_bytes())
    with pytest.raises(ModelLoadError, match=r"history\.jsonl:1: "):
        store.names()


# The label


def test_a_rollback_goes_back_step_by_step(store, add):
    a, b, c = (add(content) for content in (b"a", b"b", b"c"))
    for version in (a, b, c):
        store.promote("flow", version.sha256, source="test")
    assert (store.current("flow"), store.previous("flow")) == (c, b)
    assert store.resolve("flow@production") == c
    assert store.resolve("flow@previous") == b
    assert store.rollback("flow") == b
    assert store.rollback("flow") == a
    assert (store.current("flow"), store.previous("flow")) == (a, None)
    with pytest.raises(ModelError, match="no version was in production before"):
        store.rollback("flow")
    assert [change.action for change in store.history("flow")][3:] == ["promoted"] * 3 + ["rolled-back"] * 2


def test_a_rollback_of_a_model_that_was_never_promoted_says_so(store, add):
    add(b"a")
    for name in ("flow", "flop"):
        with pytest.raises(ModelError, match=rf"model {name}: no version is in production \(see axon models list\)"):
            store.rollback(name)


def test_promoting_what_is_in_production_changes_nothing(store, add):
    a, b = add(b"a"), add(b"b")
    for version in (a, b, b):
        store.promote("flow", version.sha256)
    assert store.rollback("flow") == a


def test_a_label_only_names_what_was_added(store, add):
    add(b"a")
    with pytest.raises(ModelLoadError, match="there is no version"):
        store.promote("flow", "0" * 64)
    assert store.current("flow") is None


def test_a_version_may_be_promoted_under_another_name(store, add):
    candidate = add(b"b", name="flow:candidate")
    store.promote("flow", candidate.sha256)
    assert store.current("flow").names == ("flow:candidate", "flow")


def test_a_rollback_to_a_damaged_version_is_refused(store, add):
    a, b = add(b"a" * 9), add(b"b")
    store.promote("flow", a.sha256)
    store.promote("flow", b.sha256)
    cut(a.path)
    with pytest.raises(ModelCheckError, match="damaged"):
        store.rollback("flow")
    assert store.current("flow") == b


def test_pruning_keeps_the_last_the_promoted_and_the_previous(store, add):
    stored = [add(bytes([number])) for number in range(6)]
    shared = add(b"shared", name="other")
    add(b"shared")
    for version in (stored[0], stored[1], stored[2]):
        store.promote("flow", version.sha256)
    removed = store.prune(keep=2, name="flow")
    assert set(removed) == {stored[number].sha256 for number in (0, 3, 4)}
    assert store.list("flow") == (stored[1], stored[2], stored[5], store.get(shared.sha256))
    assert store.list("other") == (store.get(shared.sha256),)
    assert store.rollback("flow") == stored[1]
    with pytest.raises(ModelError):
        store.rollback("flow")
    assert left_over(store) == []
    assert add(bytes([3])).sha256 == stored[3].sha256
    assert store.versions("flow")[-1] == stored[3].sha256


def test_pruning_removes_what_a_killed_process_left_without_a_name(store, add, write):
    kept = add(b"a")
    orphan = add(b"b")
    path = store.folder / "history.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert store.get(orphan.sha256).names == ()
    assert store.prune(keep=1) == (orphan.sha256,)
    assert store.list("flow") == (kept,)
    assert store.prune(keep=0) == (kept.sha256,)
    assert store.names() == ()


class Labels(RuleBasedStateMachine):
    """The store against two plain lists per name."""

    folders = iter(range(10**9))

    @initialize(base=st.just(None))
    def begin(self, base):
        self.store = ModelStore(self.root / str(next(self.folders)))
        self.versions = {"flow": [], "other": []}
        self.production = {"flow": [], "other": []}

    @rule(name=st.sampled_from(["flow", "other"]), content=st.integers(0, 4))
    def add(self, name, content):
        path = self.root / "model"
        path.write_bytes(bytes([content]))
        stored = self.store.add(ModelFiles.at(path), name=name, backend="onnx")
        if stored.sha256 not in self.versions[name]:
            self.versions[name].append(stored.sha256)

    @precondition(lambda self: any(self.versions.values()))
    @rule(name=st.sampled_from(["flow", "other"]), data=st.data())
    def promote(self, name, data):
        sha256 = data.draw(st.sampled_from(sorted({one for names in self.versions.values() for one in names})))
        self.store.promote(name, sha256)
        if self.production[name][-1:] != [sha256]:
            self.production[name].append(sha256)
        if sha256 not in self.versions[name]:
            self.versions[name].append(sha256)

    @rule(name=st.sampled_from(["flow", "other"]))
    def rollback(self, name):
        if len(self.production[name]) < 2:
            with pytest.raises(ModelError):
                self.store.rollback(name)
            return
        self.production[name].pop()
        assert self.store.rollback(name).sha256 == self.production[name][-1]

    @rule(keep=st.integers(0, 2))
    def prune(self, keep):
        protected = {one for stack in self.production.values() for one in stack[-2:]}
        for names in self.versions.values():
            protected.update(names[len(names) - keep :] if keep else [])
        removed = {one for names in self.versions.values() for one in names} - protected
        assert set(self.store.prune(keep=keep)) == removed
        for name in self.versions:
            self.versions[name] = [one for one in self.versions[name] if one not in removed]
            stack = [one for one in self.production[name] if one not in removed]
            self.production[name] = stack[:1] + [new for old, new in pairwise(stack) if old != new]

    @invariant()
    def agrees(self):
        for name in self.versions:
            assert list(self.store.versions(name)) == self.versions[name]
            for stored in self.store.list(name):
                stored.verify()
            current, previous = self.store.current(name), self.store.previous(name)
            stack = self.production[name]
            assert (current and current.sha256) == (stack[-1] if stack else None)
            assert (previous and previous.sha256) == (stack[-2] if len(stack) > 1 else None)


def test_labels_agree_with_plain_lists(tmp_path):
    Labels.root = tmp_path
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(Labels, settings=settings(max_examples=15, stateful_step_count=12, deadline=None))


# Plans, schemas, golden vectors, background


def test_a_plan_is_recorded_once_and_found_again(store, onnx):
    engine = onnx()
    stored = store.put(engine.prepared, engine.config)
    store.put(engine.prepared, engine.config)
    assert store.plan_for(stored, engine.config) == engine.model.plan
    (plan,) = stored.plans
    assert plan.machine == this_machine()
    assert plan.suits(engine.config)
    other = attrs.evolve(engine.config, num_threads=2)
    assert store.plan_for(stored, other, any_machine=True) is None


def test_a_plan_of_another_machine_is_only_used_when_asked_for(store, onnx, monkeypatch):
    engine = onnx()
    elsewhere = Machine("Plan9 mips", "toaster", ())
    monkeypatch.setattr("axon_quant.inference.store.store.this_machine", lambda: elsewhere)
    stored = store.put(engine.prepared, engine.config)
    monkeypatch.undo()
    assert elsewhere.fingerprint != this_machine().fingerprint
    assert store.plan_for(stored, engine.config) is None
    assert store.plan_for(stored, engine.config, any_machine=True) == engine.model.plan


def test_a_stored_plan_is_kept_to_and_a_new_runtime_makes_a_new_one(store, onnx):
    engine = onnx()
    stored = store.put(engine.prepared, engine.config)
    (plan,) = stored.plans
    other = "all" if plan.plan["optimisation"] == "basic" else "basic"
    stored.write_plans((attrs_like(plan, optimisation=other),))
    prepared = store.prepare(engine)
    assert prepared.session.plan["optimisation"] == other
    stored.write_plans((attrs_like(plan, runtime="onnxruntime 0.1"),))
    prepared = store.prepare(engine)
    assert prepared.session.plan["runtime"] == plan.plan["runtime"]
    store.put(prepared, engine.config)
    assert [one.plan["runtime"] for one in stored.plans] == ["onnxruntime 0.1", plan.plan["runtime"]]
    with pytest.raises(ModelCheckError, match=r"plan: runtime: expected onnxruntime 0\.1"):
        store.load(stored, like=engine.config, plan=stored.plans[0].plan)


def test_a_reload_of_known_bytes_keeps_to_their_plan_and_their_golden_vectors(store, onnx):
    engine = onnx()
    stored = store.put(engine.prepared, engine.config)
    (plan,) = stored.plans
    other = "all" if plan.plan["optimisation"] == "basic" else "basic"
    stored.write_plans((attrs_like(plan, optimisation=other),))
    reloader = ModelHotReloader(engine, engine.config, store=store)
    assert reloader.reload().plan["optimisation"] == other
    golden = stored.golden
    stored.write_golden(attrs.evolve(golden, outputs=golden.outputs * 2))
    with pytest.raises(ModelCheckError, match="golden vectors"):
        reloader.reload()
    assert engine.version == 2
    assert ModelHotReloader(engine, engine.config).reload().number == 3  # without a store nothing is known


def attrs_like(plan, **changes):
    from msgspec.structs import replace

    return replace(plan, plan={**plan.plan, **changes})


def test_a_version_has_one_schema(store, add):
    stored = add(b"a", schema=SCHEMA)
    assert stored.schema == SCHEMA
    assert add(b"a").schema == SCHEMA
    other = FeatureSchema("test", ("ask", "bid"), "none", 100, 4)
    with pytest.raises(SchemaMismatchError, match="was added with the schema"):
        add(b"a", schema=other)
    assert stored.schema == SCHEMA


def test_a_model_that_does_not_take_the_schema_is_not_kept(store, onnx):
    engine = onnx()
    with pytest.raises(SchemaMismatchError, match="takes"):
        store.put(engine.prepared, engine.config, schema=FeatureSchema("test", ("bid",), "none", 100, 4))
    assert store.names() == ()


def test_golden_vectors_are_recorded_unless_given_and_are_held_to(store, onnx):
    engine = onnx()
    stored = store.put(engine.prepared, engine.config)
    first = stored.golden
    first.check(engine.prepared)
    store.put(engine.prepared, engine.config)
    assert stored.golden.outputs.tobytes() == first.outputs.tobytes()
    given = GoldenVectors.record(engine.prepared, np.ones((2, 4, 2), np.float32))
    store.put(engine.prepared, engine.config, golden=given)
    assert len(stored.golden) == 2
    wrong = attrs.evolve(given, outputs=given.outputs + 1)
    with pytest.raises(ModelCheckError, match="golden"):
        store.put(engine.prepared, engine.config, golden=wrong)
    assert stored.golden.outputs.tobytes() == given.outputs.tobytes()
    stored.write_golden(wrong)
    for act in (
        lambda: store.prepare(engine),
        lambda: store.put(engine.prepared, engine.config),
        lambda: store.load("flow@latest"),
    ):
        with pytest.raises(ModelCheckError, match="golden vectors: vector"):
            act()


def test_a_background_sample_is_kept(store, add):
    sample = np.random.default_rng(0).standard_normal((5, 4, 2), np.float32)
    assert add(b"a").background is None
    stored = add(b"a", background=sample)
    assert stored.background.tobytes() == sample.tobytes()
    assert add(b"a").background.shape == (5, 4, 2)


@pytest.mark.parametrize("sample", [np.zeros((2, 2)), np.zeros(3, np.float32), np.full((2, 2), np.nan, np.float32)])
def test_a_background_sample_that_cannot_be_is_refused(add, sample):
    with pytest.raises(ValueError, match="background"):
        add(b"a", background=sample)


# Loading


def test_the_exact_version_is_loaded_as_it_was_before(store, onnx, tmp_path):
    engine = onnx(actions=["buy", "sell", "hold"], input_shape=[1, 4, 2])
    store.put(engine.prepared, engine.config)
    loaded = store.load(engine.model.sha256)
    x = np.random.default_rng(1).standard_normal((1, 4, 2), np.float32)
    assert loaded.infer(x).tobytes() == engine.infer(x).tobytes()
    assert loaded.model.sha256 == engine.model.sha256
    assert loaded.model.plan == engine.model.plan
    assert loaded.config.actions == ("buy", "sell", "hold")
    assert loaded.config.input_shape == (1, 4, 2)
    assert loaded.model.path.is_relative_to(store.folder)
    assert loaded.config.sha256 == engine.model.sha256
    with pytest.raises(ModelInputError):
        loaded.infer(x[:, :3])


def test_how_it_is_loaded_can_be_said(store, onnx):
    engine = onnx()
    store.put(engine.prepared, engine.config)
    like = attrs.evolve(engine.config, num_threads=2, name="again")
    assert store.load("flow@1", like=like).model.plan["threads"] == "2"


def test_a_damaged_version_is_not_loaded(store, onnx):
    engine = onnx()
    stored = store.put(engine.prepared, engine.config)
    change_a_byte(stored.path)
    with pytest.raises(ModelCheckError, match="damaged in the store"):
        store.load(stored)


def test_trust_does_not_come_from_the_store(store, onnx):
    engine = onnx()
    stored = store.put(engine.prepared, attrs.evolve(engine.config, trusted=True, sha256=engine.model.sha256))
    assert store.load(stored).config.trusted is False
    assert store.load(stored, trusted=True).config.trusted is True


def test_a_damaged_manifest_does_not_keep_a_known_model_from_being_prepared_and_mended(store, onnx, caplog):
    engine = onnx()
    stored = store.put(engine.prepared, engine.config)
    (before,) = stored.plans
    (stored.folder / "manifest.json").unlink()
    prepared = store.prepare(engine)
    assert "damaged" in caplog.text
    store.put(prepared, engine.config)
    assert isinstance(store.verify(stored.sha256), StoredModel)
    assert stored.plans[0] == before


def test_a_machine_says_which_instructions_it_has():
    machine = this_machine()
    assert len(machine.fingerprint) == 16
    assert machine.system
    assert not {"hypervisor", "smep"} & set(machine.features)
