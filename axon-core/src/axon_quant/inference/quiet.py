"""Work in a thread that gives way to the threads that serve.

A build keeps a core busy for tens of milliseconds, and a caller that wakes up meanwhile waits until the scheduler takes
that core away again: a slice of 1 to 4 ms, on every wake-up. Or it waits for the GIL, which the build of a small model
holds most of the time, if in short turns. So the build runs in a thread of its own that gives way:

- its *slice* is long. Linux since 6.12 lets a thread that wakes up with a shorter slice interrupt one with a longer
  slice at once, instead of at the end of the slice. This costs the build nothing: its share of the core stays the same.
- it is *nice* by 10 steps, which lets those that wake up go first more often.
- it *pauses* between its steps, so that callers get the GIL; see `pausing`.

The first two are moderate on purpose. At nice 19 or SCHED_IDLE a thread that holds the GIL may not get a core for a
second while the machine is busy, and every caller waits with it. For the same reason the thread is only nice while the
machine has a core to spare: without one even 10 steps cost more than they give. docs/hot-swap.md has figures, and says
what they do not settle.

A thread cannot become less nice again without a privilege, so each piece of work has a fresh thread, which ends with
it. Threads that the work leaves behind (a runtime's own workers) would serve with what they inherited: they are given
their priority back, and where that is not permitted the work is done once more without being nice.

Elsewhere than on Linux, and in real-time threads, the work runs in a thread that does nothing but pause.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from axon_quant.inference.pausing import pauses_from_now_on

T = TypeVar("T")

NICE = 10
SLICE_NS = 20_000_000
_SPARE = 1.0
_LOOK = 0.1  # seconds

_SYSCALLS = {"x86_64": 314, "aarch64": 274, "riscv64": 274, "ppc64le": 355, "s390x": 345}
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")  # struct sched_attr: size, policy, flags, nice, priority, runtime, …


class QuietBuilder:
    """Runs work in a thread that gives way, and remembers whether this kind of work may be nice."""

    def __init__(self) -> None:
        self._nice = NICE

    def run(self, work: Callable[[], T], name: str) -> T:
        """Do `work` in a fresh thread called `name`, and return or raise what it does."""
        nice = self._nice if _LINUX and self._nice and spare_cores(_LOOK) >= _SPARE else 0
        result, restored = _run(work, name, nice)
        if not restored and nice:
            self._nice = 0
            result, _ = _run(work, name, 0)
        return result


def _run(work: Callable[[], T], name: str, nice: int) -> tuple[T, bool]:
    """The result, and whether all threads that were left behind have the usual priority."""
    before = _threads()
    result = in_thread(lambda: _give_way(nice), work, name)
    return result, _restore(_threads() - before, nice)


def in_thread(prepare: Callable[[], object], work: Callable[[], T], name: str) -> T:
    """Do `prepare` and `work` in a fresh thread."""
    with ThreadPoolExecutor(1, name) as thread:
        thread.submit(prepare).result()
        return thread.submit(work).result()


def spare_cores(seconds: float) -> float:
    """How many of the cores that this process may use are idle, over the next `seconds`; 0 where it cannot be told."""
    before, began = _idle_ticks(), time.monotonic()
    time.sleep(seconds)
    after, elapsed = _idle_ticks(), time.monotonic() - began
    if before is None or after is None:
        return 0.0
    return (after - before) / (elapsed * os.sysconf("SC_CLK_TCK"))


def _idle_ticks() -> int | None:
    mine = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    try:
        with open("/proc/stat", encoding="ascii") as file:  # noqa: PTH123 (on the way to a build, not a user's file)
            lines = [line.split() for line in file if line.startswith("cpu")]
    except OSError:
        return None
    return sum(int(words[4]) for words in lines if words[0] in mine)


def _give_way(nice: int) -> None:
    """Let this thread give way to others, by pauses, a longer slice and `nice` steps of priority."""
    pauses_from_now_on()
    if not _LINUX or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return
    tid = threading.get_native_id()
    level = _level(nice)
    if not _set_scheduling(tid, level, SLICE_NS) and nice:
        os.setpriority(os.PRIO_PROCESS, tid, level)


def _restore(left: set[int], nice: int) -> bool:
    """Give threads that were left behind this thread's priority and slice; whether all of them have them now."""
    if not left:
        return True
    own, level = _level(0), _level(nice)
    restored = True
    for tid in left:
        try:
            if os.sched_getscheduler(tid) != os.SCHED_OTHER or os.getpriority(os.PRIO_PROCESS, tid) != level:
                continue  # somebody else started it
            if not _set_scheduling(tid, own, 0):
                os.setpriority(os.PRIO_PROCESS, tid, own)
        except ProcessLookupError:
            continue  # it has ended by itself
        except PermissionError:
            restored = False
    return restored


def _level(nice: int) -> int:
    return min(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) + nice, 19)


def _threads() -> set[int]:
    """The native ids of all threads of the process, also of those that Python does not know."""
    return {int(name) for name in os.listdir("/proc/self/task")} if _LINUX else set()  # noqa: PTH208


def _set_scheduling(tid: int, nice: int, slice_ns: int) -> bool:
    """Set a thread's niceness and slice (0: the default); False where the kernel or a sandbox refuses."""
    number = _SYSCALLS.get(platform.machine())
    if number is None:
        return False
    attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, slice_ns, 0, 0)
    return bool(_syscall()(number, tid, attributes, 0) == 0)


@cache
def _syscall() -> Callable[..., int]:
    """libc's; once, for each `CDLL` makes a type, which is garbage in a cycle when it goes."""
    return ctypes.CDLL(None).syscall


_LINUX = sys.platform == "linux" and sys.maxsize > 2**32
