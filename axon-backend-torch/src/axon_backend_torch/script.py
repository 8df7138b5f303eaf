"""TorchScript, which torch deprecates with a warning per call while `.pt` files live on."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()


@contextmanager
def no_deprecations() -> Iterator[None]:
    """Ignore the deprecation of `torch.jit` functions, and nothing else, in what is done inside.

    Python's warning filters are one list for the process, so only one thread at a time may be in here.
    """
    with _lock, warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`?torch\.jit\.", DeprecationWarning)
        yield
