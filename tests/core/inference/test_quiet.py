"""Threads that give way, as the kernel sees them."""

import gc
import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from axon_quant.inference import ModelConfig, ModelHotReloader, pausing, quiet

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux schedules threads, others processes")


def niceness(tid=None):
    return os.getpriority(os.PRIO_PROCESS, tid or threading.get_native_id())


def test_work_is_done_in_a_thread_of_its_own_and_its_result_returned():
    builder = quiet.QuietBuilder()
    name = builder.run(lambda: threading.current_thread().name, "axon-load-x")
    assert name.startswith("axon-load-x")
    assert threading.current_thread().name != name
    with pytest.raises(ZeroDivisionError):
        builder.run(lambda: 1 / 0, "axon-load-x")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("axon-load-x")]


@linux
def test_the_thread_is_nice_while_there_is_a_core_to_spare_and_nobody_else_is(monkeypatch):
    monkeypatch.setattr(quiet, "spare_cores", lambda _: 1.5)
    own = niceness()
    assert quiet.QuietBuilder().run(niceness, "x") == min(own + quiet.NICE, 19)
    assert niceness() == own


@linux
def test_the_thread_is_not_nice_while_no_core_is_to_spare(monkeypatch):
    monkeypatch.setattr(quiet, "spare_cores", lambda _: 0.9)
    assert quiet.QuietBuilder().run(niceness, "x") == niceness()


@linux
def test_a_machine_without_sched_setattr_is_nice_all_the_same(monkeypatch):
    monkeypatch.setattr(quiet, "spare_cores", lambda _: 1.5)
    monkeypatch.setattr(quiet, "_SYSCALLS", {})
    assert quiet.QuietBuilder().run(niceness, "x") == min(niceness() + quiet.NICE, 19)


@linux
def test_elsewhere_the_work_is_done_all_the_same(monkeypatch):
    monkeypatch.setattr(quiet, "_LINUX", False)
    assert quiet.QuietBuilder().run(niceness, "x") == niceness()


LEFT_BEHIND = """
import os, sys, threading
from axon_quant.inference import ModelConfig, ModelHotReloader, pausing, quiet

quiet.spare_cores = lambda _: 1.5
if len(sys.argv) > 1 and os.geteuid() == 0:
    os.setuid(65534)
stop = threading.Event()
builds = []

def build():
    worker = threading.Thread(target=stop.wait)  # as the native runtime starts its own
    worker.start()
    builds.append(worker)
    return worker

builder = quiet.QuietBuilder()
workers = [builder.run(build, "x"), builder.run(build, "x")]
niceness = [os.getpriority(os.PRIO_PROCESS, worker.native_id) for worker in workers]
stop.set()
print(*niceness, len(builds))
"""


@linux
@pytest.mark.parametrize("user", ["as it is", "without privileges"])
def test_threads_that_a_build_leaves_behind_serve_with_the_priority_of_the_others(user):
    arguments = [sys.executable, "-c", LEFT_BEHIND, *(["nobody"] if user == "without privileges" else [])]
    own = niceness()
    printed = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert [int(word) for word in printed[:2]] == [own, own]
    # Who may not undo it builds once more without it, and remembers that.
    assert int(printed[2]) == (3 if user == "without privileges" or os.geteuid() else 2)


@linux
def test_many_quiet_builds_leave_nothing_to_the_garbage_collector():
    builder = quiet.QuietBuilder()
    builder.run(lambda: None, "axon-load-x")
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            builder.run(lambda: None, "axon-load-x")
        assert gc.collect() < 5
    finally:
        gc.enable()


def test_busy_cores_are_not_spare():
    idle = quiet.spare_cores(0.05)
    assert 0 <= idle <= len(os.sched_getaffinity(0)) + 0.5
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in os.sched_getaffinity(0)]
    try:
        time.sleep(0.5)
        assert quiet.spare_cores(0.2) < 0.5
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def test_a_quiet_build_sleeps_between_its_steps_and_nobody_else_does(monkeypatch):
    slept = []
    monkeypatch.setattr(pausing, "time", SimpleNamespace(sleep=slept.append))
    pausing.pause()
    assert slept == []
    quiet.in_thread(pausing.pauses_from_now_on, pausing.pause, "x")
    assert slept == [pausing.PAUSE]
    pausing.pause()
    assert slept == [pausing.PAUSE]


def test_a_caller_gets_the_gil_while_a_build_holds_it_most_of_the_time():
    """A build of short turns: without the pauses a waiter may go through once in 5 ms."""
    through, stop = [], threading.Event()

    def build():
        for _ in range(100):
            until = time.perf_counter() + 5e-4
            while time.perf_counter() < until:
                pass
            pausing.pause()
        stop.set()

    def call():
        while not stop.is_set():
            time.sleep(1e-4)
            through.append(time.perf_counter())

    caller = threading.Thread(target=call)
    caller.start()
    quiet.QuietBuilder().run(build, "x")
    caller.join()
    assert len(through) > 30


def test_every_reload_pauses_between_its_steps(linear_backend, model_file, monkeypatch):
    engine = linear_backend(ModelConfig(model_file, "linear"))
    slept = []
    monkeypatch.setattr(pausing, "time", SimpleNamespace(sleep=slept.append))
    engine.load()
    assert slept == []
    ModelHotReloader(engine, engine.config, quiet=False).reload()
    assert slept == []
    ModelHotReloader(engine, engine.config).reload()
    assert len(slept) >= 5
