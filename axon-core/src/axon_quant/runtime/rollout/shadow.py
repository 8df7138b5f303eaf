"""Where the model that does not decide is asked: in a thread behind a bounded queue, or in a replay at once."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from time import perf_counter_ns
from typing import Protocol, TypeAlias

from axon_quant.inference.session import FloatArray

logger = logging.getLogger("axon_quant.rollout")

Ask: TypeAlias = Callable[[FloatArray], list[float]]
"""One observation to raw scores."""


class Question:
    """One observation and what the deciding model said of it: `price` and `place` as in PaperReturns.

    `scores` are filled in by whoever asks, or `error` where the model failed; `took` is that in ns, and `beside` what
    the deciding model took when it was asked again on the same terms, 0 where it was not.
    """

    __slots__ = ("beside", "decided", "epoch", "error", "place", "price", "scores", "symbol", "took", "x")

    def __init__(self, epoch: int, symbol: str, place: int, price: float, decided: list[float]) -> None:
        self.epoch = epoch
        self.symbol = symbol
        self.place = place
        self.price = price
        self.decided = decided
        self.x: FloatArray | None = None
        self.scores: list[float] | None = None
        self.error: Exception | None = None
        self.took = self.beside = 0

    def put_to(self, ask: Ask, beside: Ask | None = None) -> None:
        """Ask the model, and the deciding one beside it where there is one; whatever they raise is kept."""
        x, self.x = self.x, None
        assert x is not None  # noqa: S101 - a question is put once
        # Whoever comes second finds the caches warm, so they take turns.
        first = beside is not None and self.place % 2 == 0
        if first:
            self.beside = _timed(beside, x)
        start = perf_counter_ns()
        try:
            self.scores = ask(x)
        except Exception as error:  # noqa: BLE001 - whatever a candidate raises is counted and reported by the gate
            self.error = error
        self.took = perf_counter_ns() - start
        if beside is not None and not first:
            self.beside = _timed(beside, x)


class Shadow(Protocol):
    """Answers questions, sooner or later."""

    dropped: int

    @property
    def waiting(self) -> int:
        """How many questions are queued."""
        ...

    def offer(self, question: Question, view: FloatArray) -> bool:
        """Take a question about what `view` shows now; False where there is no room. Never blocks, never raises."""
        ...

    def point(self, ask: Ask | None, beside: Ask | None = None) -> None:
        """Ask this model from now on. None lets go of the one before and takes no more questions."""
        ...

    def take(self) -> Question | None:
        """The next question that is answered, in the order of the offers."""
        ...

    def close(self) -> None:
        """Take no more questions, and stop."""
        ...


class InlineShadow:
    """Asks at once, in the caller's thread: for a replay, where the order of things must not depend on a thread."""

    waiting = 0

    def __init__(self) -> None:
        self.dropped = 0
        self._ask: Ask | None = None
        self._answered: deque[Question] = deque()

    def offer(self, question: Question, view: FloatArray) -> bool:
        if self._ask is None:
            return False
        question.x = view
        question.put_to(self._ask)
        self._answered.append(question)
        return True

    def point(self, ask: Ask | None, beside: Ask | None = None) -> None:  # noqa: ARG002 - nobody compares latencies here
        self._ask = ask

    def take(self) -> Question | None:
        return self._answered.popleft() if self._answered else None

    def close(self) -> None:
        self._ask = None


class ThreadShadow:
    """Asks in a daemon thread behind a queue of `limit`; what finds it full is dropped and counted, before any copy.

    `offer` and `take` belong to one thread. A model that hangs holds up this thread only: the queue fills, and `close`
    gives up on it after `patience` seconds.
    """

    def __init__(self, limit: int, *, patience: float = 2.0) -> None:
        self.dropped = 0
        self._limit = limit
        self._patience = patience
        self._ask: Ask | None = None
        self._inbox: SimpleQueue[Question | tuple[Ask | None, Ask | None] | None] = SimpleQueue()
        self._answered: deque[Question] = deque()
        self._thread = threading.Thread(target=self._work, name="axon-shadow", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return self._inbox.qsize()

    def offer(self, question: Question, view: FloatArray) -> bool:
        if self._ask is None or self._inbox.qsize() >= self._limit:
            self.dropped += 1
            return False
        question.x = view.copy()
        self._inbox.put(question)
        return True

    def point(self, ask: Ask | None, beside: Ask | None = None) -> None:
        # Through the queue, so that questions asked before still go to the model they were meant for, and so that
        # the worker is the one who lets go of a model: freeing a large one takes milliseconds.
        self._ask = ask
        self._inbox.put((ask, beside))

    def take(self) -> Question | None:
        return self._answered.popleft() if self._answered else None

    def close(self) -> None:
        self._ask = None
        self._inbox.put(None)
        self._thread.join(self._patience)
        if self._thread.is_alive():
            logger.warning("the model in the shadow still hangs after %g s; its thread is left behind", self._patience)

    def _work(self) -> None:
        ask: Ask | None = None
        beside: Ask | None = None
        while (item := self._inbox.get()) is not None:
            if isinstance(item, tuple):
                ask, beside = item
            elif ask is not None:
                item.put_to(ask, beside)
                self._answered.append(item)
            del item  # an idle worker holds no observation


def _timed(ask: Ask | None, x: FloatArray) -> int:
    start = perf_counter_ns()
    if ask is not None:
        try:
            ask(x)
        except Exception:  # noqa: BLE001 - the stable model's own failures are reported where it decides
            return 0
    return perf_counter_ns() - start
