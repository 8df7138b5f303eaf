"""The member of the ensemble whose model is under rollout: the stable one answers, or the candidate where it is let."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

from axon_quant.inference.backend import Backend, ModelVersion
from axon_quant.inference.session import FloatArray


class SplitModel:
    """Stands in the ensemble in place of the `stable` backend and is asked like one.

    `candidate` is who decides instead, set around the decisions of a canary lane only. A candidate that fails costs
    no decision: its `error` is kept and the stable model answers. `scores` are the last ones given, in the order of the
    model's own actions, and `took` is what they took in ns. Belongs to one thread.
    """

    def __init__(self, stable: Backend) -> None:
        self.stable = stable
        self.candidate: Callable[[FloatArray], tuple[ModelVersion, list[float]]] | None = None
        self.scores: list[float] | None = None
        self.error: Exception | None = None
        self.took = 0
        self._score = stable.score

    @property
    def model(self) -> ModelVersion:
        """What serves in the stable backend."""
        return self.stable.model

    def infer(self, x: FloatArray) -> FloatArray:
        """The stable model's scores of a batch; see Backend."""
        return self.stable.infer(x)

    def score(self, observation: FloatArray) -> tuple[ModelVersion, list[float]]:
        """Scores of one window and the version that gave them. Raises what the stable model raises."""
        self.scores = self.error = None
        candidate = self.candidate
        start = perf_counter_ns()
        if candidate is not None:
            try:
                answer = candidate(observation)
            except Exception as error:  # noqa: BLE001 - counted by the gate, and the stable model decides
                self.error = error
                self.took = perf_counter_ns() - start
                return self._score(observation)
        else:
            answer = self._score(observation)
        self.took = perf_counter_ns() - start
        self.scores = answer[1]
        return answer
