import asyncio
import os
import queue
import threading
import time

import attrs
import pytest

from axon_quant.clock import SimClock
from axon_quant.errors import ConfigError, ModelCheckError, ModelError, ModelLoadError
from axon_quant.events import ModelLoaded, ModelRefused
from axon_quant.inference import Device, ModelConfig, ModelHotReloader

PATIENCE = 10.0


def replace(path, text):
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def eventually(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


@pytest.fixture
def events():
    return []


@pytest.fixture
def reloader(engine, events):
    reloader = ModelHotReloader(engine, engine.config, debounce=0.05, emit=events.append, clock=SimClock(7))
    yield reloader
    reloader.stop()


def test_a_replaced_file_is_taken_up_and_subscribers_are_told(engine, reloader, model_file, events):
    async def main():
        async with reloader:
            receiver = reloader.subscribe()
            replace(model_file, "3 2 1")
            await asyncio.wait_for(receiver.changed(), PATIENCE)
            return receiver.borrow()

    model = asyncio.run(main())
    assert f"Model updated to version {model}" == "Model updated to version 2"
    assert engine.model is model
    assert reloader.version == 2
    eventually(lambda: events == [ModelLoaded(at=7, model=model.identity)])


def test_a_file_written_in_place_is_taken_up_once_after_the_last_write(engine, model_file, events):
    config = engine.config
    with ModelHotReloader(engine, config, debounce=0.3, emit=events.append):
        for text in ("3", "3 2", "3 2 1"):
            model_file.write_text(text)
            time.sleep(0.02)
        eventually(lambda: engine.version == 2)
        time.sleep(0.4)
    assert engine.version == 2
    assert len(events) == 1


def test_it_works_without_an_event_loop_and_takes_up_what_it_missed(engine, reloader, model_file):
    replace(model_file, "3 2 1")
    receiver = reloader.subscribe()
    with reloader:
        eventually(lambda: engine.version == 2)
        eventually(lambda: receiver.borrow().number == 2)


def test_a_bad_model_changes_nothing_and_says_why(engine, reloader, model_file, events, window):
    before = engine.predict(window)
    with reloader:
        replace(model_file, "1 nan 3")
        eventually(lambda: reloader.last_error is not None)
        assert isinstance(reloader.last_error, ModelCheckError)
        assert reloader.last_error.file == str(model_file)
        assert engine.predict(window) == before
        eventually(lambda: len(events) == 1)
        assert isinstance(events[0], ModelRefused)
        assert "expected finite" in events[0].reason
        assert str(model_file) not in events[0].reason
        replace(model_file, "3 2 1")
        eventually(lambda: engine.version == 2)
        eventually(lambda: reloader.last_error is None)


def test_a_file_that_goes_and_comes_back_is_no_new_version(engine, reloader, model_file):
    with reloader:
        text = model_file.read_text()
        model_file.unlink()
        replace(model_file.with_name("unrelated"), "x")
        time.sleep(0.1)
        replace(model_file, text)
        time.sleep(0.2)
    assert engine.version == 1


def test_reading_the_file_does_not_reload_it(engine, reloader, model_file):
    with reloader:
        for _ in range(5):
            model_file.read_bytes()
        os.utime(model_file)
        time.sleep(0.2)
    assert engine.version == 1


def test_reload_loads_now_or_raises(engine, reloader, model_file):
    assert reloader.reload().number == 2
    model_file.write_text("garbage")
    with pytest.raises(ModelLoadError, match="garbage"):
        reloader.reload()
    assert reloader.last_error is not None
    assert engine.version == 2


def test_the_files_are_read_once_before_a_build_and_once_after_it(engine, reloader, model_file, monkeypatch):
    looked = []
    files = engine.files
    monkeypatch.setattr(engine, "files", lambda path: looked.append(path) or files(path))
    model_file.write_text("3 2 1")
    assert reloader.reload().sha256 == files(model_file).sha256
    assert looked == [model_file] * 2


def test_a_file_written_between_the_look_and_the_build_is_refused(engine, reloader, model_file, monkeypatch):
    files = engine.files

    def overtaken(path):
        found = files(path)
        model_file.write_text("3 2 1")
        return found

    monkeypatch.setattr(engine, "files", overtaken)
    with pytest.raises(ModelLoadError, match="changed while"):
        reloader.reload()
    assert engine.version == 1


def test_a_rollback_serves_the_version_before_under_a_new_number(engine, reloader, model_file, window, events):
    with pytest.raises(ModelError, match="no version to roll back to"):
        reloader.rollback()
    first = engine.model
    receiver = reloader.subscribe()
    with reloader:
        replace(model_file, "3 2 1")
        eventually(lambda: engine.version == 2)
        eventually(lambda: receiver.borrow().number == 2)
        assert reloader.rollback().sha256 == first.sha256
        assert (engine.version, engine.predict(window).name) == (3, "hold")
        assert receiver.borrow().number == 3
        os.utime(model_file)  # the same bytes as before the rollback: not taken up again
        time.sleep(0.2)
        assert engine.version == 3
        assert reloader.rollback().number == 4
        assert engine.predict(window).name == "buy"


def test_a_rollback_does_not_wait_for_a_load_and_the_load_is_given_up(linear_backend, model_file, events):
    entered, leave = threading.Event(), threading.Event()

    class Slow(linear_backend):
        def build_session(self, path):
            session = super().build_session(path)
            if session.weights == (2.0, 3.0, 1.0):
                entered.set()
                leave.wait(PATIENCE)
            return session

    engine = Slow(ModelConfig(model_file, "linear"))
    engine.load()
    with ModelHotReloader(engine, engine.config, debounce=0.02, quiet=False, emit=events.append) as reloader:
        replace(model_file, "3 2 1")
        eventually(lambda: engine.version == 2)
        replace(model_file, "2 3 1")
        assert entered.wait(PATIENCE)
        started = time.monotonic()
        assert str(reloader.rollback()) == "3"
        assert time.monotonic() - started < 1.0
        leave.set()
        eventually(lambda: isinstance(events[-1], ModelRefused))
        assert "rollback" in events[-1].reason
        assert (engine.version, engine.session.weights) == (3, (1.0, 2.0, 3.0))


def test_the_last_version_that_is_published_is_the_one_that_serves_whoever_swaps(engine, reloader, model_file):
    model_file.write_text("3 2 1")
    reloader.reload()

    def swap():
        for _ in range(50):
            reloader.rollback()

    threads = [threading.Thread(target=swap) for _ in range(3)]
    for thread in threads:
        thread.start()
    reloader.reload()
    for thread in threads:
        thread.join()
    assert reloader.subscribe().borrow() is engine.model
    assert engine.version in (152, 153)  # the load may have been given up


def test_old_sessions_are_taken_down_by_the_janitor_and_the_one_before_stays(linear_backend, model_file):
    ended = []

    class Witness:
        def __init__(self, weights):
            self.weights = weights

        def __del__(self):
            ended.append((self.weights[0], threading.current_thread().name))

    class Watching(linear_backend):
        def build_session(self, path):
            session = super().build_session(path)
            session.plan = {"provider": "numpy"}
            session.actions = None
            return _Carrying(session, Witness(session.weights))

    engine = Watching(ModelConfig(model_file, "linear"))
    engine.load()
    with ModelHotReloader(engine, engine.config, quiet=False) as reloader:
        for number in range(2, 6):
            model_file.write_text(f"{number} 1 0")
            reloader.reload()
        eventually(lambda: len(ended) == 3)
        assert ended == [(1.0, "axon-janitor"), (2.0, "axon-janitor"), (3.0, "axon-janitor")]
        model_file.unlink()
        assert reloader.rollback().number == 6
        assert engine.session.session.weights == (4.0, 1.0, 0.0)


class _Carrying:
    def __init__(self, session, witness):
        self.session = session
        self.witness = witness

    def __getattr__(self, name):
        return getattr(self.session, name)


def test_the_swap_can_be_handed_to_another_thread(engine, model_file, window):
    inbox = queue.SimpleQueue()
    emitted = []

    def emit(event):
        emitted.append((type(event), threading.current_thread()))

    with ModelHotReloader(engine, engine.config, debounce=0.02, swap_in=inbox.put, emit=emit) as reloader:
        replace(model_file, "3 2 1")
        swap = inbox.get(timeout=PATIENCE)
        assert (engine.version, emitted) == (1, [])
        swap()
        assert engine.predict(window).version == 2
        assert emitted == [(ModelLoaded, threading.current_thread())]
        assert reloader.last_error is None
        replace(model_file, "2 3 1")
        late = inbox.get(timeout=PATIENCE)
    late()
    assert engine.version == 2
    assert "too late" in str(reloader.last_error)


def test_an_emit_that_raises_does_not_end_the_watching(engine, model_file):
    def emit(event):
        if event.model.number == 2:
            raise RuntimeError("the journal is full")

    with ModelHotReloader(engine, engine.config, debounce=0.05, emit=emit) as reloader:
        replace(model_file, "3 2 1")
        eventually(lambda: reloader.last_error is not None)
        assert "the journal is full" in str(reloader.last_error)
        replace(model_file, "2 3 1")
        eventually(lambda: engine.version == 3)


def test_stop_cancels_pending_waits_and_ends_the_threads(engine, reloader):
    async def main():
        before = threading.active_count()
        reloader.spawn_watcher()
        reloader.spawn_watcher()
        task = asyncio.create_task(reloader.subscribe().changed())
        await asyncio.sleep(0)
        reloader.stop()
        reloader.stop()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert threading.active_count() == before

    asyncio.run(main())


def test_readers_are_served_while_models_are_replaced_on_disk(engine, reloader, model_file, window):
    stop = threading.Event()
    failures: list[Exception] = []
    versions: set[int] = set()

    def read():
        while not stop.is_set():
            try:
                versions.add(engine.predict(window).version)
            except ModelError as error:
                failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    with reloader:
        for reader in readers:
            reader.start()
        for number in range(2, 6):
            replace(model_file, f"{number} 1 0")
            eventually(lambda number=number: engine.version == number)
        stop.set()
        for reader in readers:
            reader.join()
    assert failures == []
    assert len(versions) > 2


@pytest.mark.parametrize(
    "change", [{"device": Device.CUDA(0)}, {"path": "elsewhere.txt"}, {"output_dim": 3}], ids=lambda c: next(iter(c))
)
def test_another_configuration_than_the_engines_is_refused(engine, change):
    with pytest.raises(ConfigError, match="another configuration"):
        ModelHotReloader(engine, attrs.evolve(engine.config, **change))


def test_an_engine_without_a_model_and_a_senseless_debounce_are_refused(engine, linear_backend, model_file):
    config = ModelConfig(model_file, "linear")
    with pytest.raises(ModelError, match="call load"):
        ModelHotReloader(linear_backend(config), config)
    with pytest.raises(ConfigError, match="debounce"):
        ModelHotReloader(engine, engine.config, debounce=float("nan"))


def test_a_folder_that_is_gone_cannot_be_watched(linear_backend, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    path = folder / "linear.txt"
    path.write_text("1 2 3")
    engine = linear_backend(ModelConfig(path, "linear"))
    engine.load()
    path.unlink()
    folder.rmdir()
    with pytest.raises(ModelLoadError, match="cannot be watched"):
        ModelHotReloader(engine, engine.config).spawn_watcher()


@pytest.mark.parametrize(
    ("weights", "message"),
    [("1 2", r"outputs: the version that serves has 3, found 2"), ("1 2 3 4", r"outputs: .* has 3, found 4")],
)
def test_a_version_with_other_outputs_than_the_serving_one_is_refused(engine, reloader, model_file, weights, message):
    """The configuration leaves them open: the callers of the engine do not."""
    replace(model_file, weights)
    with pytest.raises(ModelCheckError, match=message):
        reloader.reload()
    assert engine.version == 1


def test_a_version_with_another_window_than_the_serving_one_is_refused(engine, reloader, monkeypatch):
    build = engine.build_session
    monkeypatch.setattr(engine, "build_session", lambda path: attrs.evolve(build(path), input_shape=(None, 5, 2)))
    with pytest.raises(ModelCheckError, match=r"window: the version that serves has \[4, 2\], found \[5, 2\]"):
        reloader.reload()
    assert engine.version == 1
