"""Python's garbage collector, while models serve."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_collector() -> Iterator[None]:
    """What is loaded by now stays loaded: the garbage collector does not walk through it, and looks in less often.

    A full collection holds the GIL for tens of milliseconds where torch is imported, and every call waits for it. Enter
    it when models are loaded and warm; `axon run` does. It is a setting of the whole process.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
