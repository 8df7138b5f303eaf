"""Lets go of models that no longer serve, so that no caller's thread has to take one down."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Sequence
from time import monotonic

from axon_quant.inference.backend import PreparedModel

_PATIENCE = 30.0
_EVERY = 0.1


def _references(slot: Sequence[object]) -> int:
    return sys.getrefcount(slot[0])


_NOBODY_ELSE = _references([object()])


class Janitor:
    """Holds retired models until nobody else does, and then drops them in a thread of its own.

    A caller holds the model it runs, so the last reference could be its: taking down a session of 64 MB then costs that
    call 2 ms. After 30 seconds a model is dropped all the same, because somebody means to keep it. The thread lives
    while there is something to drop.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._retired: deque[tuple[float, list[PreparedModel]]] = deque()
        self._thread: threading.Thread | None = None
        self._hurry = threading.Event()

    def retire(self, model: PreparedModel) -> None:
        """Take over a model that does not serve any more."""
        with self._lock:
            self._retired.append((monotonic() + _PATIENCE, [model]))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="axon-janitor", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Drop everything now, and wait for the thread."""
        self._hurry.set()
        with self._lock:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while True:
            with self._lock:
                keep: deque[tuple[float, list[PreparedModel]]] = deque()
                drop: list[list[PreparedModel]] = []
                for until, slot in self._retired:
                    free = self._hurry.is_set() or monotonic() >= until or _references(slot) <= _NOBODY_ELSE
                    drop.append(slot) if free else keep.append((until, slot))
                self._retired = keep
                if not keep and not drop:
                    self._thread = None
                    return
            drop.clear()  # outside the lock: this is what takes time
            self._hurry.wait(_EVERY)
