"""How long each stage took, in wall time: stamps that no decision depends on."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

from axon_quant.journal import Ticket
from axon_quant.metrics.latency import LatencyWindow


class _Path:
    """The stamps of one order on its way: received, decided, durable, sent, acknowledged (perf_counter ns)."""

    __slots__ = ("acknowledged", "decided", "received", "sent", "ticket")

    def __init__(self, ticket: Ticket, received: int, decided: int) -> None:
        self.ticket = ticket
        self.received = received
        self.decided = decided
        self.sent = 0
        self.acknowledged = 0


class Stages:
    """Latency windows per stage, and the stamps of each order until it is acknowledged.

    `note` is told the finished stamps of an order; the runtime hands them to the journal's unchained table.
    """

    def __init__(self, note: Callable[[str, dict[str, object]], None], on_order: Callable[[float], None]) -> None:
        self.observation = LatencyWindow()
        self.inference = LatencyWindow()
        self.strategy = LatencyWindow()
        self.risk = LatencyWindow()
        self.decision = LatencyWindow()
        self.order = LatencyWindow()
        self._note = note
        self._on_order = on_order
        self._paths: dict[str, _Path] = {}

    def follow(self, client_order_id: str, ticket: Ticket, received: int, decided: int) -> None:
        self._paths[client_order_id] = _Path(ticket, received, decided)

    def sent(self, client_order_id: str) -> None:
        path = self._paths.get(client_order_id)
        if path is not None:
            path.sent = perf_counter_ns()

    def acknowledged(self, client_order_id: str) -> None:
        """The first answer of the venue: the order's stamps are complete."""
        path = self._paths.pop(client_order_id, None)
        if path is None:
            return
        now = perf_counter_ns()
        self.order.record(now - path.received)
        self._on_order((now - path.received) / 1e6)
        self._note(
            "order-stamps",
            {
                "client_order_id": client_order_id,
                "received": path.received,
                "decided": path.decided,
                "sent": path.sent,
                "acknowledged": now,
            },
        )

    def summary(self) -> dict[str, dict[str, float]]:
        """p50 and p99 in microseconds, per stage that ran."""
        windows = {
            name: window
            for name in ("observation", "inference", "strategy", "risk", "decision", "order")
            if (window := getattr(self, name)).count
        }
        return {
            name: {"p50": round(window.quantile(0.5) / 1e3, 1), "p99": round(window.quantile(0.99) / 1e3, 1)}
            for name, window in windows.items()
        }
