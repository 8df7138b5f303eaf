"""What a venue counts against a key or an address: requests, their weight, orders; then 429, then a ban."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import attrs

from axon_quant.clock import NANOSECONDS


@attrs.frozen
class Limit:
    """At most `limit` of `kind` in each `period` seconds, counted in windows that begin at multiples of it."""

    kind: Literal["weight", "orders", "requests"]
    limit: int
    period: float


@attrs.frozen
class Verdict:
    """Whether a request may pass; else how long to stay away, and whether that is a ban."""

    allowed: bool
    retry_after: float = 0.0
    banned: bool = False
    limit: Limit | None = None


class Meter:
    """Counts for one client. Who goes on after `patience` refusals in one window is banned for `ban_seconds`.

    `during_ban` counts the requests that came while the client was banned or told to wait, `refused` those that were
    over a limit.
    """

    def __init__(self, limits: Iterable[Limit], *, patience: int = 10, ban_seconds: float = 120.0) -> None:
        self.limits = tuple(limits)
        self.refused = self.during_ban = 0
        self._patience = patience
        self._ban_seconds = ban_seconds
        self._counts: dict[tuple[str, float], tuple[int, int]] = {}
        self._closed_until = 0
        self._banned = False
        self._strikes: tuple[int, int] = (0, 0)

    def take(self, now: int, *, weight: int = 1, orders: int = 0) -> Verdict:
        """Count a request at `now` (UTC ns)."""
        if now < self._closed_until:
            self.during_ban += 1
            return Verdict(False, (self._closed_until - now) / NANOSECONDS, self._banned)
        for limit in self.limits:
            amount = {"weight": weight, "orders": orders, "requests": 1}[limit.kind]
            if not amount:
                continue
            window, used = self._window(limit, now)
            if used + amount > limit.limit:
                return self._refuse(limit, window, now)
        for limit in self.limits:
            amount = {"weight": weight, "orders": orders, "requests": 1}[limit.kind]
            if amount:
                window, used = self._window(limit, now)
                self._counts[limit.kind, limit.period] = (window, used + amount)
        return Verdict(True)

    def close(self, now: int, seconds: float, *, banned: bool) -> None:
        """Answer nothing for `seconds`."""
        self._closed_until = max(self._closed_until, now + round(seconds * NANOSECONDS))
        self._banned = banned

    def used(self, now: int) -> list[tuple[Limit, int]]:
        """What each window holds now."""
        return [(limit, self._window(limit, now)[1]) for limit in self.limits]

    def _window(self, limit: Limit, now: int) -> tuple[int, int]:
        window = now // round(limit.period * NANOSECONDS)
        known, used = self._counts.get((limit.kind, limit.period), (window, 0))
        return window, used if known == window else 0

    def _refuse(self, limit: Limit, window: int, now: int) -> Verdict:
        self.refused += 1
        known, strikes = self._strikes
        self._strikes = (window, strikes + 1 if known == window else 1)
        if self._strikes[1] > self._patience:
            self.close(now, self._ban_seconds, banned=True)
            return Verdict(False, self._ban_seconds, True, limit)
        period = round(limit.period * NANOSECONDS)
        return Verdict(False, ((window + 1) * period - now) / NANOSECONDS, False, limit)
