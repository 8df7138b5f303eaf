"""An open loop: each message has a time at which it is to arrive, however long the one before it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter_ns

from axon_quant.clock import MILLISECOND, NANOSECONDS
from axon_quant.load.report import Durations
from axon_quant.market import MarketEvent

_SPIN = 150_000  # ns before a message is due in which sleeping would oversleep
_NAP = 50 * MILLISECOND  # so that a stop is seen
_LEAD = 10 * MILLISECOND
_TELL_EVERY = NANOSECONDS // 2


class OpenLoop:
    """A market whose messages come `offsets` ns after its start, and which notes how late each was done with.

    A consumer that stalls finds the messages of that time waiting, and each counts from when it was meant to come. What
    is late while the consumer is idle is the generator's own `lateness`. `decisions` tells how many there were so far;
    a message that raised the number counts in `decision_latency`, too.
    """

    def __init__(
        self,
        events: Sequence[MarketEvent],
        offsets: Sequence[int],
        decisions: Callable[[], int],
        on_progress: Callable[[int], object] | None = None,
    ) -> None:
        self.messages = 0
        self.malformed = 0
        self.message_latency, self.decision_latency, self.lateness = Durations(), Durations(), Durations()
        self.elapsed = 0
        self.stopped = False
        self._events, self._offsets = events, offsets
        self._decisions = decisions
        self._on_progress = on_progress

    def stop(self) -> None:
        """Yield nothing more."""
        self.stopped = True

    def __iter__(self) -> Iterator[MarketEvent]:
        start = perf_counter_ns() + _LEAD
        done, told, decided = start, start, self._decisions()
        for event, offset in zip(self._events, self._offsets, strict=True):
            due = start + offset
            if self._on_progress is not None and done - told > _TELL_EVERY:
                told = done
                self._on_progress(self.messages)
            self._wait(due)
            if self.stopped:
                break
            began = perf_counter_ns()
            self.lateness.record(began - max(due, done))
            yield event
            done = perf_counter_ns()
            self.messages += 1
            self.elapsed = done - start
            self.message_latency.record(done - due)
            decisions = self._decisions()
            if decisions != decided:
                decided = decisions
                self.decision_latency.record(done - due)

    def _wait(self, due: int) -> None:
        while not self.stopped:
            left = due - perf_counter_ns()
            if left <= 0:
                return
            if left > _SPIN:
                time.sleep(min(left - _SPIN, _NAP) / NANOSECONDS)
