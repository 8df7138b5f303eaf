"""What goes wrong in a campaign, and how often: every kind of fault there is."""

from __future__ import annotations

from axon_quant.exchange.simulator.faults import KINDS

Rule = dict[str, object]
CHANGES = "request:order.[!s]*"
"""Orders, cancels, amendments, replacements; not `order.status`."""


def rules(orders: int) -> list[Rule]:
    """For a campaign of so many orders: the rare and costly faults come a few times in each, however small it is."""
    part = max(orders, 100)
    return [
        # Requests that change something.
        _often("lose-request", CHANGES, 0.008),
        _often("lose-response", CHANGES, 0.015),
        _often("unknown-accepted", CHANGES, 0.008),
        _often("unknown-refused", CHANGES, 0.008),
        _often("late-accept", "request:order.place", 0.004, seconds=1.5),
        _often("late-accept", "request:order.place", 0.003, seconds=2.9),  # within what the engine may take
        _often("late-accept", "request:order.place", 0.003, seconds=3.5),  # too old when it gets there
        _often("refuse", CHANGES, 0.008),
        _often("slow", CHANGES, 0.01, seconds=0.4),
        _often("slow", CHANGES, 0.002, seconds=4.0),  # longer than the request is valid
        # Any request, look-ups and repairs included.
        _often("lose-request", "request:*", 0.003),
        _often("lose-response", "request:*", 0.003),
        _often("refuse", "request:*", 0.003),
        _often("slow", "request:*", 0.01, seconds=0.2),
        _rare("rate-limit", CHANGES, part, 4, seconds=1.0),
        _rare("ban", CHANGES, part, 2, seconds=3.0),
        # The venue's clock jumps ahead of ours again and again, and once back.
        *(_once("drift", CHANGES, part * jump // 8, milliseconds=2_500.0 * jump) for jump in range(1, 7)),
        _once("drift", CHANGES, part, milliseconds=13_500.0),
        # Streams.
        _often("duplicate", "stream:*", 0.01),
        _often("reorder", "stream:*", 0.01),
        _often("drop", "stream:account:*", 0.001),
        _often("drop", "stream:market:*", 0.001),
        _rare("disconnect", "stream:account:trade", part // 2, 15),
        _rare("disconnect", "stream:account:new", part // 2, 15),
        _rare("disconnect", "stream:market:*", part * 4, 5),
        _rare("stall", "stream:account:*", part, 4),
        _rare("freeze", "stream:account:*", part, 3),
        _rare("freeze", "stream:market:*", part * 4, 2),
        _rare("shutdown", "stream:account:*", part, 3, seconds=0.5),
        _rare("terminate", "stream:account:*", part, 2),
        # Connections.
        _often("refuse-connection", "connect", 0.15),
        _often("slow-start", "connect", 0.15, seconds=0.5),
    ]


def silent(fired: dict[str, int]) -> list[str]:
    """The kinds that never happened."""
    return sorted(KINDS - {kind for kind, count in fired.items() if count})


def _often(kind: str, where: str, probability: float, **more: object) -> Rule:
    return {"kind": kind, "where": where, "probability": probability, **more}


def _once(kind: str, where: str, after: int, **more: object) -> Rule:
    return {"kind": kind, "where": where, "every": 1, "after": after, "limit": 1, **more}


def _rare(kind: str, where: str, part: int, times: int, **more: object) -> Rule:
    return {"kind": kind, "where": where, "every": max(1, part // times), **more}
