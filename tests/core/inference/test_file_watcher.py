"""Real folders, links and writers: when does the watcher say that files have changed and are quiet again?"""

import os
import subprocess
import sys
import threading
import time

import pytest

from axon_quant.errors import ModelLoadError
from axon_quant.inference.file_stamp import folders, stamps
from axon_quant.inference.file_watcher import FileWatcher

DEBOUNCE = 0.05
PATIENCE = 10.0


def replace(path, text):
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text)
    temporary.replace(path)


def read(path):
    try:
        return path.read_text()
    except OSError:
        return None


class Watched:
    """A watcher that notes what it finds in the files each time it calls."""

    def __init__(self, *files, debounce=DEBOUNCE):
        self.files = list(files)
        self.found = []
        self.called = []
        self.watcher = FileWatcher(lambda: list(self.files), debounce, self._on_change)

    def _on_change(self):
        self.called.append(time.monotonic())
        self.found.append(tuple(read(file) for file in self.files))

    def wait_for(self, *texts):
        deadline = time.monotonic() + PATIENCE
        while not self.found or self.found[-1] != texts:
            assert time.monotonic() < deadline, f"waited for {texts}, found {self.found}"
            time.sleep(0.005)


@pytest.fixture
def watch():
    made = []

    def make(*files, **options):
        made.append(Watched(*files, **options))
        return made[-1]

    yield make
    for watched in made:
        watched.watcher.stop()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "models" / "served.onnx"
    path.parent.mkdir()
    path.write_text("one")
    return path


def test_it_calls_once_after_the_start_and_after_each_change(watch, file):
    watched = watch(file)
    watched.wait_for("one")
    replace(file, "two")
    watched.wait_for("two")
    time.sleep(4 * DEBOUNCE)
    assert watched.found == [("one",), ("two",)]


def test_a_name_that_another_file_is_moved_to_is_followed(watch, file):
    watched = watch(file)
    watched.wait_for("one")
    other = file.with_name("next.bin")
    other.write_text("two")
    other.rename(file)
    watched.wait_for("two")
    elsewhere = file.parent.parent / "third.bin"
    elsewhere.write_text("three")
    elsewhere.rename(file)
    watched.wait_for("three")


def test_a_slow_writer_is_waited_for_however_it_writes(watch, file):
    watched = watch(file, debounce=0.25)
    watched.wait_for("one")
    with file.open("w") as out:  # never closed in between, so there is no event but the first
        for word in ("two ", "and ", "a ", "half"):
            out.write(word)
            out.flush()
            time.sleep(0.15)
    written = time.monotonic()
    watched.wait_for("two and a half")
    assert watched.called[-1] >= written + 0.05
    assert ("",) not in watched.found
    assert len(watched.found) == 2


def test_a_writer_that_is_killed_leaves_half_a_file_and_the_next_one_is_seen(watch, file):
    watched = watch(file)
    watched.wait_for("one")
    script = "import sys, time; f = open(sys.argv[1], 'w'); f.write('tw'); f.flush(); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        writer.kill()
    watched.wait_for("tw")
    file.write_text("two")
    watched.wait_for("two")


def test_a_volume_that_is_swapped_by_its_data_link_is_followed(watch, tmp_path):
    """As Kubernetes updates a ConfigMap: the served name is a link through ..data, and only ..data is replaced."""
    volume = tmp_path / "volume"

    def publish(stamp, text):
        (volume / stamp).mkdir(parents=True)
        (volume / stamp / "served.onnx").write_text(text)
        (volume / "..data_tmp").symlink_to(stamp)
        (volume / "..data_tmp").rename(volume / "..data")

    publish("..2024_01_01", "one")
    (volume / "served.onnx").symlink_to("..data/served.onnx")
    watched = watch(volume / "served.onnx")
    watched.wait_for("one")
    for number, text in enumerate(("two", "three"), 2):
        publish(f"..2024_01_0{number}", text)
        watched.wait_for(text)
    (volume / "..2024_01_03" / "served.onnx").write_text("in place")
    watched.wait_for("in place")


def test_a_link_into_another_folder_is_followed_there_and_when_it_leads_elsewhere(watch, file, tmp_path):
    store = tmp_path / "store"
    for version in ("v1", "v2"):
        (store / version).mkdir(parents=True)
        (store / version / "model.bin").write_text(version)
    file.unlink()
    file.symlink_to(store / "v1" / "model.bin")
    watched = watch(file)
    watched.wait_for("v1")
    replace(store / "v1" / "model.bin", "v1 again")
    watched.wait_for("v1 again")
    file.with_name("link").symlink_to(store / "v2" / "model.bin")
    file.with_name("link").rename(file)
    watched.wait_for("v2")
    replace(store / "v2" / "model.bin", "v2 again")
    watched.wait_for("v2 again")


def test_a_folder_above_that_is_a_link_is_followed_within_a_second(watch, tmp_path):
    for release in ("41", "42"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "served.onnx").write_text(release)
    (tmp_path / "current").symlink_to("41")
    watched = watch(tmp_path / "current" / "served.onnx")
    watched.wait_for("41")
    (tmp_path / "new").symlink_to("42")
    (tmp_path / "new").rename(tmp_path / "current")
    watched.wait_for("42")
    replace(tmp_path / "42" / "served.onnx", "42 again")
    watched.wait_for("42 again")


def test_a_file_and_its_folder_may_go_and_come_back(watch, file):
    watched = watch(file)
    watched.wait_for("one")
    file.unlink()
    watched.wait_for(None)
    file.write_text("two")
    watched.wait_for("two")
    aside = file.parent.with_name("aside")
    file.parent.rename(aside)
    watched.wait_for(None)
    file.parent.mkdir()
    file.write_text("three")
    watched.wait_for("three")
    replace(file, "four")
    watched.wait_for("four")
    (aside / file.name).write_text("of no interest any more")
    time.sleep(4 * DEBOUNCE)
    assert watched.found[-1] == ("four",)


@pytest.mark.parametrize("obstacle", ["file", "loop"])
def test_a_folder_that_cannot_be_entered_for_a_while(watch, file, obstacle):
    watched = watch(file)
    watched.wait_for("one")
    folder = file.parent
    folder.rename(folder.with_name("aside"))
    if obstacle == "file":
        folder.write_text("no folder")
    else:
        folder.symlink_to(folder)
    watched.wait_for(None)
    folder.unlink()
    folder.with_name("aside").rename(folder)
    watched.wait_for("one")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_for_a_while(watch, file):
    watched = watch(file)
    watched.wait_for("one")
    file.chmod(0)
    watched.wait_for(None)
    file.chmod(0o600)
    watched.wait_for("one")


def test_files_beside_it_are_watched_as_soon_as_they_are_named(watch, file):
    side = file.with_name("weights.bin")
    watched = watch(file)
    watched.wait_for("one")
    watched.files.append(side)
    side.write_text("of one")  # a new name: the watcher asks again what to watch
    watched.wait_for("one", "of one")
    replace(side, "of two")
    watched.wait_for("one", "of two")


def test_noise_in_the_folder_neither_holds_it_up_nor_calls(watch, file):
    watched = watch(file)
    watched.wait_for("one")
    stop = threading.Event()

    def chatter():
        while not stop.is_set():
            file.with_name("log.txt").write_text("x")
            replace(file.with_name("state.json"), "x")
            time.sleep(0.002)

    thread = threading.Thread(target=chatter)
    thread.start()
    try:
        time.sleep(4 * DEBOUNCE)
        assert watched.found == [("one",)]
        replace(file, "two")
        watched.wait_for("two")
    finally:
        stop.set()
        thread.join()


def test_it_can_be_stopped_from_its_own_call_and_leaves_no_thread(file):
    before = threading.active_count()
    done = threading.Event()

    def on_change():
        watcher.stop()
        done.set()

    watcher = FileWatcher(lambda: [file], 0.01, on_change)
    assert done.wait(PATIENCE)
    watcher.stop()
    deadline = time.monotonic() + PATIENCE
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_folder_that_is_not_there_cannot_be_watched(tmp_path):
    before = threading.active_count()
    with pytest.raises(ModelLoadError, match="cannot be watched: No such file"):
        FileWatcher(lambda: [tmp_path / "away" / "served.onnx"], DEBOUNCE, lambda: None)
    assert threading.active_count() == before


def test_stamps_tell_a_file_from_one_of_equal_size_and_time(file):
    status = file.stat()
    (before,) = stamps([file])
    assert stamps([file]) == (before,)
    file.write_text("two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    (after,) = stamps([file])
    assert (after.size, after.modified) == (before.size, before.modified)
    assert after != before
    assert stamps([file.with_name("away")]) == (None,)


def test_folders_stops_in_a_loop_of_links(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert list(folders([tmp_path / "a"])) == [str(tmp_path.resolve())]
