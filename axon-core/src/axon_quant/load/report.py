"""What a load test found, and where it is kept for `axon preflight`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec
from msgspec import Struct

from axon_quant.metrics.latency import LatencyWindow, samples_needed

if TYPE_CHECKING:
    from axon_quant.config import Config

Verdict: TypeAlias = Literal["pass", "fail", "insufficient data"]

_QUANTILE = 0.99


class Quantiles(Struct, frozen=True):
    """Of durations in microseconds; p50 and p99 are None where there are too few samples to claim them."""

    samples: int
    p50: float | None
    p99: float | None
    max: float | None


class Durations:
    """Durations in nanoseconds, as they come."""

    __slots__ = ("_window", "largest")

    def __init__(self) -> None:
        self._window = LatencyWindow()
        self.largest = 0

    def record(self, ns: int) -> None:
        """Count one duration."""
        self._window.record(ns)
        if ns > self.largest:
            self.largest = ns

    def quantiles(self) -> Quantiles:
        """Their quantiles, as far as they can be claimed."""
        window = self._window
        largest = round(self.largest / 1e3, 1) if window.count else None
        return Quantiles(window.count, _micro(window.quantile(0.5)), _micro(window.quantile(_QUANTILE)), largest)


class LoadReport(Struct, frozen=True):
    """A load test's outcome. Latency is from the moment a message was meant to arrive, lateness the generator's own.

    `rate` and `achieved_rate` are messages a second, `seconds` is wall time. `decision_latency_us` counts the messages
    that led to a decision, until its orders were handed on; the verdict is on their p99.
    """

    outcome: Literal["completed", "interrupted"]
    verdict: Verdict
    reason: str
    sla_ms: float
    market: str
    rate: float
    achieved_rate: float
    seconds: float
    messages: int
    decisions: int
    orders: int
    fills: int
    rejects: int
    decision_latency_us: Quantiles
    message_latency_us: Quantiles
    generator_lateness_us: Quantiles
    stages_us: dict[str, dict[str, float | None]]
    config_sha256: str
    finished: int
    notices: tuple[str, ...] = ()


def judge(latency: Quantiles, lateness: Quantiles, sla_ms: float) -> tuple[Verdict, str]:
    """The verdict on a p99, and why. A generator that was late itself has measured nothing."""
    needed = samples_needed(_QUANTILE)
    if latency.p99 is None:
        return "insufficient data", f"a p99 needs {needed} decisions, there were {latency.samples}"
    told = f"p99 of the decisions {latency.p99 / 1e3:.2f} ms over {latency.samples} samples, SLA {sla_ms:g} ms"
    if not latency.p99 <= sla_ms * 1e3:
        return "fail", told
    if lateness.p99 is None or not lateness.p99 <= sla_ms * 1e3:
        late = "unknown" if lateness.p99 is None else f"{lateness.p99 / 1e3:.2f} ms"
        return "insufficient data", f"the generator itself was late (p99 {late}), so its latencies mean nothing"
    return "pass", told


def report_path(config: Config) -> Path:
    """Where the last load test of a configuration is kept: beside its journal."""
    return config.journal.path.with_name(config.journal.path.name + ".load-test.json")


def write_report(report: LoadReport, path: Path) -> None:
    """Keep a report. Raises OSError."""
    from axon_quant.inference.files import write_whole

    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def read_report(path: Path) -> LoadReport | None:
    """What `write_report` kept; None where there is none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=LoadReport)
    except (OSError, msgspec.MsgspecError, RecursionError):
        return None


def _micro(ns: float) -> float | None:
    return None if math.isnan(ns) else round(ns / 1e3, 1)
