"""A limit on how long an answer is waited for, at a fraction of what `asyncio.timeout` costs.

One timer looks after everything that waits, a few times a second; starting and ending to wait touch a dict only. So a
limit is kept to a quarter of a second, which is what a request without an answer needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

_T = TypeVar("_T")
_LOOK_EVERY = 0.25


class _Waiting:
    """One task that waits for an answer, until `deadline` on the loop's clock."""

    __slots__ = ("deadline", "is_overdue", "task")

    def __init__(self, task: asyncio.Task[object], deadline: float) -> None:
        self.task = task
        self.deadline = deadline
        self.is_overdue = False


class Patience:
    """Waits for answers, and not for ever."""

    def __init__(self) -> None:
        self._waiting: dict[int, _Waiting] = {}
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def wait(self, ask: Callable[[], Awaitable[_T]], seconds: float) -> _T:
        """The answer to `ask`, which runs in this task. Raises TimeoutError when it takes longer than `seconds`."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        if task is None:
            return await ask()
        waiting = _Waiting(task, loop.time() + seconds)
        key = self._next = self._next + 1
        self._waiting[key] = waiting
        if self._timer is None or self._loop is not loop:
            self._loop = loop
            self._timer = loop.call_later(_LOOK_EVERY, self._look, loop)
        try:
            answer = await ask()
        except asyncio.CancelledError:
            # Ours, unless somebody else has asked for it as well.
            if waiting.is_overdue and task.uncancel() == 0:
                raise TimeoutError from None
            raise
        finally:
            del self._waiting[key]
        if waiting.is_overdue:
            task.uncancel()  # the answer was there all the same
        return answer

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for waiting in self._waiting.values():
            if now >= waiting.deadline and not waiting.is_overdue:
                waiting.is_overdue = True
                waiting.task.cancel()
        if self._waiting:
            self._timer = loop.call_later(_LOOK_EVERY, self._look, loop)
