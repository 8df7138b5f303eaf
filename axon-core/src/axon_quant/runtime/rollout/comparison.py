"""Candidate and stable model on the same observations, window by window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from axon_quant.clock import NANOSECONDS
from axon_quant.config.rollout import GateEntry
from axon_quant.events import RolloutJudged
from axon_quant.runtime.rollout.answer import Decoder
from axon_quant.runtime.rollout.paper import PaperReturns
from axon_quant.runtime.rollout.shadow import Question
from axon_quant.runtime.rollout.window import Finding, Judge, Window

_P99 = 0.99


class Comparison:
    """Everything that is measured in a rollout: the present `window`, the `paper` accounts of the step, and totals.

    `actions` are the models' own, in order; `horizon` is after how many decisions advice is settled; `relative` as in
    Judge. `begin` starts a step; answers of an earlier one, known by their `epoch`, are left out.
    """

    def __init__(self, rules: GateEntry, actions: Sequence[str], horizon: int, *, relative: bool) -> None:
        self.epoch = 0
        self.number = 0
        self.window = Window(0)
        self.paper = PaperReturns(horizon, 1)
        self.verdicts: Counter[str] = Counter()
        self.disagreement = 0.0
        self.last_error = ""
        self._rules = rules
        self._horizon = horizon
        self._decoder = Decoder(actions)
        self._judge = Judge(rules, relative=relative)
        self._baseline: float | None = None
        self._totals: Counter[str] = Counter()
        self._distance = self._confidence = 0.0

    def begin(self, at: int, lanes: int) -> None:
        """A step begins at `at`, comparing `lanes` lanes: nothing of the one before counts for it but the baseline."""
        self._add_up()
        self.epoch += 1
        self.paper = PaperReturns(self._horizon, lanes)
        self.window = Window(at)

    # What happens to observations.

    def failed(self, error: Exception) -> None:
        """The candidate gave no answer."""
        self.window.errors += 1
        self.last_error = f"{type(error).__name__}: {error}"

    def decided(self, took: int) -> None:
        """The candidate decided, in `took` ns."""
        self.window.answered += 1
        self.window.candidate_ns.record(took)

    def shadowed(self, question: Question) -> None:
        """The candidate was asked about what the stable model decided."""
        if question.epoch != self.epoch:
            return
        if question.scores is None:
            self.failed(question.error or RuntimeError("no answer"))
            return
        self.decided(question.took)
        if question.beside:
            self.window.stable_ns.record(question.beside)
        self._compare(question, question.decided, question.scores)

    def mirrored(self, question: Question) -> None:
        """The stable model was asked about what the candidate decided; where it failed there is nothing to compare."""
        if question.epoch == self.epoch and question.scores is not None:
            self._compare(question, question.scores, question.decided)

    def _compare(self, question: Question, stable: Sequence[float], candidate: Sequence[float]) -> None:
        mine, theirs = self._decoder.choice(stable), self._decoder.choice(candidate)
        self.window.compare(mine, theirs)
        self.paper.advise(question.symbol, question.place, question.price, mine.sign, theirs.sign)

    # What follows from it.

    def breach(self) -> str | None:
        """Which hard limit is broken right now, if any."""
        return self._judge.breach(self.window, self.paper)

    def is_over(self, at: int) -> bool:
        """Whether the window ends at `at`."""
        rules, window = self._rules, self.window
        window.began = window.began or at  # the first one begins with the market
        if window.offered >= rules.window_decisions:
            return True
        return rules.window_seconds is not None and at - window.began >= rules.window_seconds * NANOSECONDS

    def close(self, at: int, model: str) -> tuple[Finding, RolloutJudged, dict[str, object]]:
        """Judge the window and begin the next: the finding, its event, and the latencies, which no event carries."""
        window, paper = self.window, self.paper
        if window.stable_ns.count >= self._rules.min_samples:
            self._baseline = window.stable_ns.estimate(_P99)
        finding = self._judge.judge(window, paper, self._baseline)
        self.number += 1
        self.verdicts[finding.verdict.value] += 1
        self.disagreement = window.disagreement
        judged = RolloutJudged(
            at,
            model,
            self.number,
            finding.verdict.value,
            finding.failed or finding.lacking,
            window.offered,
            window.answered,
            window.errors,
            window.dropped,
            window.compared,
            window.disagreed,
            window.distance,
            window.confidence_gap,
            paper.stable.earned,
            paper.candidate.earned,
            paper.stable.deepest,
            paper.candidate.deepest,
        )
        latencies: dict[str, object] = {"model": model, "window": self.number}
        if window.candidate_ns.count:
            latencies["candidate_p99_us"] = round(window.candidate_ns.estimate(_P99) / 1e3, 1)
        if self._baseline is not None:
            latencies["stable_p99_us"] = round(self._baseline / 1e3, 1)
        self._add_up()
        self.window = Window(at)
        paper.next_window()
        return finding, judged, latencies

    def total(self, name: str) -> int:
        """`offered`, `answered`, `errors`, `dropped`, `compared` or `disagreed` since the rollout began."""
        return self._totals[name] + int(getattr(self.window, name))

    def mean(self, name: str) -> float:
        """`disagreement`, `distance` or `confidence_gap` over all comparisons since the rollout began."""
        count = self.total("compared")
        if not count:
            return 0.0
        window = self.window
        if name == "disagreement":
            return self.total("disagreed") / count
        before = self._distance if name == "distance" else self._confidence
        return (before + float(getattr(window, name)) * window.compared) / count

    def _add_up(self) -> None:
        """Move the counts of the window that ends into the totals."""
        window = self.window
        for name in ("offered", "answered", "errors", "dropped", "compared", "disagreed"):
            self._totals[name] += getattr(window, name)
        self._distance += window.distance * window.compared
        self._confidence += window.confidence_gap * window.compared
