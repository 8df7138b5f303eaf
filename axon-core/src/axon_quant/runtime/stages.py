"""How long each stage took, in wall time: stamps that no decision depends on."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from time import perf_counter_ns

from axon_quant.metrics.latency import LatencyWindow
from axon_quant.runtime.tracing import OrderSpans, OrderStamps

_NAMES = ("observation", "inference", "strategy", "risk", "decision", "durable", "order")


class _Path:
    """The stamps of one order on its way (perf_counter ns); 0 for a stage it did not pass."""

    __slots__ = ("decided", "durable", "received", "sent")

    def __init__(self, received: int, decided: int) -> None:
        self.received = received
        self.decided = decided
        self.durable = 0
        self.sent = 0


class Stages:
    """Latency windows per stage, and the stamps of each order until its venue answers.

    `observation`, `inference`, `strategy` and `risk` are the stages alone; `decision` is from the due row to the last
    order handed on; `durable` is the wait for the journal; `order` is from the decision's start to the venue's first
    answer. `note` is told the finished stamps of an order, `record_latency` its duration in milliseconds.
    """

    def __init__(
        self,
        note: Callable[[str, dict[str, object]], object],
        record_latency: Callable[[str, float], None],
    ) -> None:
        self.observation = LatencyWindow()
        self.inference = LatencyWindow()
        self.strategy = LatencyWindow()
        self.risk = LatencyWindow()
        self.decision = LatencyWindow()
        self._durable = LatencyWindow()
        self._order = LatencyWindow()
        self._note = note
        self._record_latency = record_latency
        self._paths: dict[str, _Path] = {}
        self.spans: OrderSpans | None = None
        """Offered the stamps of every order that is complete."""

    def follow(self, client_order_id: str, received: int, decided: int) -> None:
        """An order was recorded; it was decided on what was `received`."""
        self._paths[client_order_id] = _Path(received, decided)

    def durable(self, client_order_id: str, waited: int) -> None:
        """The journal holds the order on disk, after a wait of `waited` ns."""
        self._durable.record(waited)
        path = self._paths.get(client_order_id)
        if path is not None:
            path.durable = perf_counter_ns()

    def sent(self, client_order_id: str) -> None:
        """The order was handed to the venue."""
        path = self._paths.get(client_order_id)
        if path is not None:
            path.sent = perf_counter_ns()

    def acknowledged(self, client_order_id: str, *, rejected: bool = False) -> None:
        """The venue answered for the first time: the order's stamps are complete."""
        path = self._paths.pop(client_order_id, None)
        if path is None:
            return
        now = perf_counter_ns()
        self._order.record(now - path.received)
        self._record_latency("place_order", (now - path.received) / 1e6)
        stamps: dict[str, object] = {"client_order_id": client_order_id, "received": path.received}
        stamps |= {"decided": path.decided, "durable": path.durable, "sent": path.sent, "acknowledged": now}
        self._note("order-stamps", stamps)
        if self.spans is not None:
            passed = (path.received, path.decided, path.durable, path.sent, now)
            self.spans.offer(OrderStamps(client_order_id, *passed, rejected))

    def cancelled(self, took: int) -> None:
        """The venue answered a cancel after `took` ns."""
        self._record_latency("cancel_order", took / 1e6)

    @property
    def windows(self) -> dict[str, LatencyWindow]:
        """The windows by stage, but for `order`, which the metrics know as place_order."""
        return {
            "observation": self.observation,
            "inference": self.inference,
            "strategy": self.strategy,
            "risk": self.risk,
            "decision": self.decision,
            "durable": self._durable,
        }

    def summary(self) -> dict[str, dict[str, float | None]]:
        """p50 and p99 in microseconds per stage that ran; None where there are too few samples to claim one."""
        windows = zip(
            _NAMES,
            (self.observation, self.inference, self.strategy, self.risk, self.decision, self._durable, self._order),
            strict=True,
        )
        return {
            name: {"p50": _microseconds(window.quantile(0.5)), "p99": _microseconds(window.quantile(0.99))}
            for name, window in windows
            if window.count
        }


def _microseconds(ns: float) -> float | None:
    return None if isnan(ns) else round(ns / 1e3, 1)
