"""Requests of many coroutines, answered together: whatever waits when the event loop comes round is one batch."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Self, TypeAlias

from axon_quant.errors import AxonError, ModelCheckError, ModelError
from axon_quant.inference.action import Action
from axon_quant.inference.backend import Backend, ModelVersion, decide
from axon_quant.inference.batch import BatchCheck
from axon_quant.inference.guards import failed
from axon_quant.inference.session import FloatArray

_Answer: TypeAlias = "asyncio.Future[tuple[ModelVersion, FloatArray]]"


class MicroBatcher:
    """Answers the coroutines of one event loop in batches of up to `max_batch` windows.

    There is no timer: a request waits only until the loop has run what is ready now, and all that came meanwhile goes
    through the model in one run, in the loop's thread. Every request gets its own answer or its own error, exactly
    once; one that is cancelled takes nobody with it. All windows of a batch are answered by one model version.

    A model is only batched after `Backend.check_batches` found that each window gets what it gets alone. Construction
    raises ModelCheckError otherwise; a version that is swapped in later is checked in a thread, is answered one by one
    until then, and for good if the check fails, which is logged; `check` has the findings. Scores may differ from
    single ones in the last bits, so what has to be replayed bit for bit is not to be batched.

    A batch keeps the loop for as long as it computes, at most `check.seconds` or so: choose `max_batch` for that.
    A context manager, sync or async, whose exit closes it. Raises ModelError if nothing is loaded, ValueError unless
    `max_batch` is at least 1.
    """

    def __init__(self, engine: Backend, *, max_batch: int = 32) -> None:
        check = engine.check_batches(max_batch)
        if not check.passed:
            raise ModelCheckError(
                f"the model cannot be batched: {check.reason}",
                file=engine.model.path,
                hint="call infer for each window, or export the model with an open batch in inference mode",
            )
        self.engine = engine
        self.max_batch = max_batch
        self._waiting: deque[tuple[FloatArray, _Answer]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def check(self) -> BatchCheck:
        """The findings on the version that serves now, which are made here and now if they are not there yet."""
        return self.engine.check_batches(self.max_batch)

    async def infer(self, window: FloatArray) -> FloatArray:
        """Scores of one window: `[…window]` or `[1, …window]` float32 → `[output_dim]` float32, owned by the caller.

        The window is read when its batch runs: leave it alone until then. Raises as `Backend.infer` does, and
        ModelError after `close` or in another event loop than the first call's.
        """
        return (await self._ask(window))[1]

    async def predict(self, window: FloatArray) -> Action:
        """The action for one window, as `Backend.predict` decides it. Raises as `infer` does."""
        model, scores = await self._ask(window)
        return decide(model, scores.tolist())

    def close(self) -> None:
        """Answer what waits, and refuse whatever is asked later. Idempotent.

        Raises ModelError if the event loop runs in another thread.
        """
        loop = self._loop
        if loop is not None and loop.is_running() and loop is not _running_loop():
            raise ModelError("the micro-batcher can only be closed in its event loop")
        self._closed = True
        if loop is None or loop.is_closed():
            self._waiting.clear()  # nobody is left to be answered
        while self._waiting:
            self._drain()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, window: FloatArray) -> _Answer:
        if self._closed:
            raise ModelError("the micro-batcher is closed")
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._move_to(loop)
        if not self._waiting:
            loop.call_soon(self._drain)
        future: _Answer = loop.create_future()
        self._waiting.append((window, future))
        return future

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None and not self._loop.is_closed():
            raise ModelError("the micro-batcher serves another event loop", hint="make one for each event loop")
        self._waiting.clear()  # of a loop that is closed, and its tasks with it
        self._loop = loop

    def _drain(self) -> None:
        """Answer the first `max_batch` requests; the loop's other callbacks have their turn before the next ones."""
        waiting = self._waiting
        asked = [waiting.popleft() for _ in range(min(len(waiting), self.max_batch))]
        if waiting and self._loop is not None:
            self._loop.call_soon(self._drain)
        asked = [request for request in asked if not request[1].done()]
        if not asked:
            return
        try:
            result = self.engine.infer_batch([window for window, _ in asked], largest=self.max_batch, wait=False)
            if len(result) != len(asked):
                raise ModelError(f"{len(asked)} windows got {len(result)} answers")
        except Exception as error:  # noqa: BLE001 (nothing of the kind is known; but whoever asked gets an answer)
            for _, future in asked:
                future.set_exception(failed(self.engine.model.path, error))
            return
        except BaseException:
            for _, future in asked:
                future.cancel("the event loop was interrupted")
            raise
        model = result.model
        for (_, future), answer in zip(asked, result.answers, strict=True):
            if isinstance(answer, AxonError):
                future.set_exception(answer)
            else:
                future.set_result((model, answer))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
