"""From numbers to places on a page, and the round numbers an axis shows."""

from __future__ import annotations

from math import ceil, floor, log10

import attrs

_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
_MINUTES = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0)


@attrs.frozen
class LinearScale:
    """Maps [`low`, `high`] to [`start`, `end`]. An empty interval is widened by one on either side."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        low, high = (self.low, self.high) if self.high > self.low else (self.low - 1.0, self.low + 1.0)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        """About `count` round numbers within the interval."""
        step = nice_step(self.high - self.low, count)
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]

    def time_ticks(self, count: int) -> list[float]:
        """About `count` round times, for a scale in seconds."""
        step = next((step for step in _MINUTES if (self.high - self.low) / step <= count), 3600.0)
        return [number * step for number in range(ceil(self.low / step), floor(self.high / step) + 1)]


@attrs.frozen
class LogScale:
    """Maps [`low`, `high`], both positive, to [`start`, `end`] by the logarithm."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = log10(max(value, self.low) / self.low) / log10(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """The powers of ten within the interval."""
        return [10.0**power for power in range(ceil(log10(self.low)), floor(log10(self.high)) + 1)]


def nice_step(span: float, count: int) -> float:
    """A step of 1, 2, 2.5 or 5 times a power of ten that divides `span` into about `count` parts."""
    if not span > 0.0:
        return 1.0
    rough = span / max(count, 1)
    power: float = 10.0 ** floor(log10(rough))
    return next(factor for factor in _ROUND if factor * power >= rough * (1 - 1e-9)) * power


def padded(low: float, high: float, part: float = 0.06) -> tuple[float, float]:
    """An interval with room on either side."""
    room = (high - low) * part or 1.0
    return low - room, high + room


def clock_time(seconds: float) -> str:
    """`450.0` → `7:30`; tenths only where there are some."""
    minutes, rest = divmod(round(seconds, 1), 60.0)
    return f"{int(minutes)}:{int(rest):02d}" if rest == int(rest) else f"{int(minutes)}:{rest:04.1f}"


def duration(microseconds: float) -> str:
    """A latency with its unit and three digits: `154 µs`, `4.92 ms`."""
    value, unit = (microseconds, "µs") if microseconds < 1000 else (microseconds / 1e3, "ms")
    if value >= 1000:
        value, unit = value / 1e3, "s"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {unit}"
