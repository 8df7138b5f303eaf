"""The threads of numpy's BLAS, which belong to the process and not to a model."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

import numpy as np

_PREFIXES = ("scipy_openblas_", "openblas_")
_SUFFIXES = ("64_", "")


def set_threads(number: int) -> int | None:
    """Let OpenBLAS use `number` threads, in the whole process; how many it uses now, None where it cannot be asked.

    numpy's own wheels hold OpenBLAS on Linux; on Windows its symbols cannot be reached through numpy, and on a Mac
    numpy may use Accelerate. There OPENBLAS_NUM_THREADS or VECLIB_MAXIMUM_THREADS decides, before numpy is imported.
    """
    found = _functions()
    if found is None:
        return None
    getter, setter = found
    if getter() != number:  # a reload must not disturb who computes meanwhile
        setter(ctypes.c_int(number))
    return int(getter())


@cache
def _functions() -> tuple[Callable[[], int], Callable[[ctypes.c_int], object]] | None:
    """How the number of threads is asked for and set; once, as each `CDLL` leaves garbage in cycles."""
    umath = getattr(np, "_core")._multiarray_umath  # noqa: B009, SLF001 (numpy has no public name for its BLAS)
    try:
        library = ctypes.CDLL(umath.__file__)
    except OSError:
        return None
    for prefix in _PREFIXES:
        for suffix in _SUFFIXES:
            getter = getattr(library, f"{prefix}get_num_threads{suffix}", None)
            setter = getattr(library, f"{prefix}set_num_threads{suffix}", None)
            if setter is not None and getter is not None:
                return getter, setter
    return None
