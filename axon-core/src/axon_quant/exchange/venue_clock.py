"""The venue's clock as well as it can be known from here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from axon_quant.clock import Clock

_SAMPLES = 3


class VenueClock:
    """Our clock plus the offset of the venue's, taken half way through the quickest of a few round trips.

    `error` is half of that round trip: the offset is wrong by no more, as long as neither clock drifts. Both are 0
    before the first measurement.
    """

    __slots__ = ("_clock", "error", "measured_at", "offset")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset = 0
        self.error = 0
        self.measured_at = 0

    def now(self) -> int:
        """The venue's time, UTC ns."""
        return self._clock.now() + self.offset

    async def measure(self, fetch: Callable[[], Awaitable[int]], samples: int = _SAMPLES) -> None:
        """Ask the venue for its time. Raises what `fetch` raises when not even one answer came."""
        best: tuple[int, int] | None = None
        for _ in range(samples):
            before = self._clock.now()
            try:
                time = await fetch()
            except Exception:
                if best is None:
                    raise
                break
            after = self._clock.now()
            half = (after - before + 1) // 2
            if best is None or half < best[0]:
                best = half, time - before - half
        if best is not None:
            self.error, self.offset = best
            self.measured_at = self._clock.now()
