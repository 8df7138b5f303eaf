"""What a venue counts against an address or an account: requests, their weight, orders; then 429, then a ban."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from axon_quant.clock import NANOSECONDS


@attrs.frozen
class Limit:
    """At most `limit` of `kind` in each `period` seconds, counted in windows that begin at multiples of it.

    `kind` is the protocol's: `weight`, `orders`, `requests`, …
    """

    kind: str
    limit: int
    period: float


@attrs.frozen
class Verdict:
    """Whether a request may pass; else how long to stay away, whether that is a ban, and which limit was reached."""

    allowed: bool
    retry_after: float = 0.0
    banned: bool = False
    limit: Limit | None = None


class Meter:
    """Counts for one client.

    With `bans`, a client that is over a limit is told to stay away until the window ends, and one that comes
    `patience` times in spite of that is banned for `ban_seconds`, twice as long each time. Without, it may go on with
    what the limit does not count.

    `refused` counts what was over a limit, `during_wait` what came before the client was to come back, `during_ban`
    what came while it was banned. What arrived within `grace` seconds after the client was sent away may have been on
    its way: it is refused, but held against nobody, and counted as `in_flight`. `late` has when each
    of the others came, and when the client was sent away.
    """

    def __init__(
        self,
        limits: Iterable[Limit],
        *,
        bans: bool = True,
        patience: int = 10,
        ban_seconds: float = 120.0,
        grace: float = 0.0,
    ) -> None:
        self.limits = tuple(limits)
        self.refused = self.during_wait = self.during_ban = self.in_flight = 0
        self.late: list[tuple[int, int]] = []
        self._bans = bans
        self._patience = patience
        self._ban_seconds = ban_seconds
        self._grace = round(grace * NANOSECONDS)
        self._closed_at = 0
        self._counts: dict[Limit, tuple[int, int]] = {}
        self._closed_until = 0
        self._banned = False
        self._strikes = 0

    def take(self, now: int, use: Mapping[str, int], arrived: int | None = None) -> Verdict:
        """Count a request at `now` (UTC ns) that uses so much of each kind; it `arrived` then, or before."""
        if now < self._closed_until:
            return self._closed(now, now if arrived is None else arrived)
        counted = []
        for limit in self.limits:
            amount = use.get(limit.kind, 0)
            if amount:
                window, used = self._window(limit, now)
                if used + amount > limit.limit:
                    return self._over(limit, window, now)
                counted.append((limit, window, used + amount))
        for limit, window, used in counted:
            self._counts[limit] = (window, used)
        return Verdict(True)

    def close(self, now: int, seconds: float, *, banned: bool) -> Verdict:
        """Answer nothing for `seconds`."""
        if now >= self._closed_until or banned is not self._banned:
            self._closed_at = now
        self._closed_until = max(self._closed_until, now + round(seconds * NANOSECONDS))
        self._banned = banned
        self._strikes = 0
        return Verdict(False, seconds, banned)

    def used(self, now: int) -> list[tuple[Limit, int]]:
        """What each window holds now."""
        return [(limit, self._window(limit, now)[1]) for limit in self.limits]

    def _window(self, limit: Limit, now: int) -> tuple[int, int]:
        window = now // round(limit.period * NANOSECONDS)
        known, used = self._counts.get(limit, (window, 0))
        return window, used if known == window else 0

    def _over(self, limit: Limit, window: int, now: int) -> Verdict:
        self.refused += 1
        seconds = ((window + 1) * round(limit.period * NANOSECONDS) - now) / NANOSECONDS
        if self._bans:
            self.close(now, seconds, banned=False)
        return Verdict(False, seconds, False, limit)

    def _closed(self, now: int, arrived: int) -> Verdict:
        if arrived - self._closed_at < self._grace:
            self.in_flight += 1
            return Verdict(False, (self._closed_until - now) / NANOSECONDS, self._banned)
        self.late.append((arrived, self._closed_at))
        if self._banned:
            self.during_ban += 1
        else:
            self.during_wait += 1
            self._strikes += 1
            if self._bans and self._strikes > self._patience:
                seconds, self._ban_seconds = self._ban_seconds, self._ban_seconds * 2
                return self.close(now, seconds, banned=True)
        return Verdict(False, (self._closed_until - now) / NANOSECONDS, self._banned)
