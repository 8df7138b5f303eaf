"""Numbers, times and names as a reader sees them. Names come from outside: what cannot be seen is spelled out."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from math import floor, isfinite, log10

_SPELLED_OUT = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def seen(text: str) -> str:
    """`text` with the characters that show nothing, or turn others around, spelled out: `a\\u202eb`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(spelled(c) if unicodedata.category(c) in _SPELLED_OUT else c for c in text)


def number(value: float) -> str:
    """Four digits that count: `0.1235`, `−12,350`, `3.2e−07`."""
    if not isfinite(value):
        return str(value)
    size = abs(value)
    if size == 0.0:
        return "0"
    if 1e-4 <= size < 1e7:
        digits = max(0, 3 - floor(log10(size)))
        text = f"{value:,.{digits}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = f"{value:.2e}"
    return "0" if text in ("0", "-0") else text.replace("-", "\N{MINUS SIGN}")


def signed(value: float) -> str:
    """The same with a plus for what is not negative."""
    return number(value) if value < 0.0 else f"+{number(value)}"


def aligned(values: Iterable[float]) -> Callable[[float], str]:
    """How to write numbers that stand in a column: signed, all with as many decimals as the largest one needs for three
    digits."""
    largest = max((abs(value) for value in values if isfinite(value)), default=0.0)
    if not 1e-4 <= largest < 1e7:
        return signed
    digits = max(0, 2 - floor(log10(largest)))
    return lambda value: f"{value:+,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """`0.8312` → `83.1 %`."""
    return f"{100 * share:.1f} %"


def utc(nanoseconds: int) -> str:
    """`2026-03-01 09:30:00.125 UTC`: milliseconds, and more digits only where there are some."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    fraction = f"{rest:09d}"
    kept = max(3, len(fraction.rstrip("0")))
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{fraction[:kept]} UTC"


def exactness(error: float | None) -> str:
    """How far off the importances may be; None is not known."""
    if error is None:
        return "standard error not known"
    return "exact" if error == 0.0 else f"standard error {number(error)}"


def listed(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 order`, `2,000 orders`."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def shortened(text: str, length: int) -> str:
    """At most `length` characters, the middle left out."""
    if len(text) <= length:
        return text
    tail = length // 3
    return f"{text[: length - tail - 1]}…{text[-tail:]}"


def spelled(character: str) -> str:
    """`\\u202e` for a character by its number."""
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
