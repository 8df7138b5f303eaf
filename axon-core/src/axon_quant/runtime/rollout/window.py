"""One window of comparisons, and the verdict on it."""

from __future__ import annotations

from axon_quant.config.rollout import GateEntry
from axon_quant.metrics.latency import LatencyWindow
from axon_quant.runtime.rollout.answer import Choice
from axon_quant.runtime.rollout.gate import Verdict
from axon_quant.runtime.rollout.paper import PaperReturns

_P99 = 0.99
HARD_SAMPLES = 20
"""Answers before a hard limit on errors is looked at."""


class Window:
    """Counts of one window that began at `began` (UTC ns).

    `offered` observations were to be compared; the candidate `answered` or failed (`errors`); `compared` have both
    answers, of which `disagreed` chose different actions; `dropped` found the queue full.
    """

    def __init__(self, began: int) -> None:
        self.began = began
        self.offered = self.answered = self.errors = self.dropped = 0
        self.compared = self.disagreed = 0
        self.stable_ns = LatencyWindow()
        self.candidate_ns = LatencyWindow()
        self._distance = self._confidence = 0.0

    def compare(self, stable: Choice, candidate: Choice) -> None:
        """Both models answered the same observation."""
        self.compared += 1
        self.disagreed += stable.index != candidate.index
        self._distance += stable.distance(candidate)
        self._confidence += abs(stable.confidence - candidate.confidence)

    @property
    def disagreement(self) -> float:
        """The share of comparisons in which the actions differ; 0 without any."""
        return self.disagreed / self.compared if self.compared else 0.0

    @property
    def distance(self) -> float:
        """Mean total variation between the shares."""
        return self._distance / self.compared if self.compared else 0.0

    @property
    def confidence_gap(self) -> float:
        """Mean difference of the confidences."""
        return self._confidence / self.compared if self.compared else 0.0

    @property
    def error_rate(self) -> float:
        """The share of answers that were errors."""
        asked = self.answered + self.errors
        return self.errors / asked if asked else 0.0


class Finding:
    """A verdict with the names of the checks behind it: `failed`, or `lacking` samples."""

    __slots__ = ("failed", "lacking", "verdict")

    def __init__(self, failed: tuple[str, ...], lacking: tuple[str, ...]) -> None:
        self.failed = failed
        self.lacking = lacking
        self.verdict = Verdict.Fail if failed else Verdict.Inconclusive if lacking else Verdict.Pass

    def __str__(self) -> str:
        if self.failed:
            return ", ".join(self.failed)
        return f"too few samples for {', '.join(self.lacking)}" if self.lacking else "every check"


class Judge:
    """Holds a window against the limits of [rollout.gate].

    With `relative` the candidate's p99 is also compared with the stable model's. Rates and quantiles need
    `min_samples`; a fall of the paper equity is a fact however few decisions it took.
    """

    def __init__(self, rules: GateEntry, *, relative: bool) -> None:
        self._rules = rules
        self._relative = relative

    def judge(self, window: Window, paper: PaperReturns, baseline_ns: float | None) -> Finding:
        """The verdict. `baseline_ns` is the stable model's p99, None where it is not known."""
        rules = self._rules
        failed: list[str] = []
        lacking: list[str] = []
        asked, enough = window.answered + window.errors, rules.min_samples
        if asked < enough:
            # Not one in a whole window: it hangs.
            (failed if not asked and window.offered >= enough else lacking).append("answers")
        elif not window.error_rate <= rules.max_error_rate:
            failed.append("errors")
        if window.compared < enough:
            lacking.append("disagreement")
        elif not window.disagreement <= rules.max_disagreement:
            failed.append("disagreement")
        fall = paper.candidate.deepest
        if not (fall <= rules.max_drawdown or fall <= paper.stable.deepest):
            failed.append("drawdown")
        slow = self._too_slow(window, baseline_ns)
        if slow is None:
            lacking.append("latency")
        elif slow:
            failed.append("latency")
        return Finding(tuple(failed), tuple(lacking))

    def breach(self, window: Window, paper: PaperReturns) -> str | None:
        """Which hard limit is broken right now, if any."""
        rules = self._rules
        asked = window.answered + window.errors
        if asked >= HARD_SAMPLES and not window.error_rate <= rules.hard_error_rate:
            return f"errors: {window.errors} of {asked} answers"
        if not paper.candidate.drawdown <= rules.hard_drawdown:
            return f"drawdown: {paper.candidate.drawdown:.4f} of the paper capital"
        return None

    def _too_slow(self, window: Window, baseline_ns: float | None) -> bool | None:
        """None where there are too few samples for a p99 that is asked for."""
        rules = self._rules
        if rules.max_p99_ms is None and not self._relative:
            return False
        if window.candidate_ns.count < rules.min_samples:
            return None
        p99 = window.candidate_ns.estimate(_P99)
        if rules.max_p99_ms is not None and not p99 <= rules.max_p99_ms * 1e6:
            return True
        if not self._relative or baseline_ns is None or p99 <= rules.fast_enough_ms * 1e6:
            return False
        return not p99 <= rules.max_p99_ratio * baseline_ns
