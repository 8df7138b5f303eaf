"""The only source of time: UTC nanoseconds from a live or a simulated clock.

Stages ask the clock they were given and never the operating system, so a replay sees the recording's time. The one
exception is a latency stamp (`perf_counter_ns` around a stage), which no decision depends on.
"""

from __future__ import annotations

import time
from typing import Protocol

NANOSECONDS = 1_000_000_000
MILLISECOND = 1_000_000
NEVER = 2**63 - 1
"""Later than any time: what is due NEVER is not due."""


class Clock(Protocol):
    """What a stage asks for the time."""

    def now(self) -> int:
        """UTC nanoseconds since 1970."""
        ...


class LiveClock:
    """Wall-clock time that never runs backwards within a process.

    Anchored to UTC at construction and advanced by the monotonic clock, so a step of the system clock cannot reorder
    events.
    """

    __slots__ = ("_offset",)

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.monotonic_ns()

    def now(self) -> int:
        return self._offset + time.monotonic_ns()


class SimClock:
    """Time that a replay sets, event by event. It refuses to run backwards."""

    __slots__ = ("time",)

    def __init__(self, time: int = 0) -> None:
        self.time = time

    def now(self) -> int:
        return self.time

    def advance(self, time: int) -> None:
        """Move to `time`; an earlier one is ignored, because recordings jitter by microseconds."""
        if time > self.time:
            self.time = time
