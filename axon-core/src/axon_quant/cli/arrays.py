"""Reads the array that a command is given. The file is hostile input: no pickle, no size taken on trust."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from tokenize import TokenError
from typing import Any

import click
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from axon_quant.inference.checks import describe
from axon_quant.inference.session import FloatArray

_UNREADABLE = (
    *(ValueError, TypeError, KeyError, OverflowError, MemoryError, RecursionError, EOFError),
    *(SyntaxError, TokenError),
)
"""What numpy raises for one file or another: a header is a Python literal, and is tokenized if it is not one."""


def read_npy(source: str) -> NDArray[Any]:
    """The array in an `.npy` file, or on stdin for `-`. Raises click.UsageError that says what is wrong."""
    name = "stdin" if source == "-" else source
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise click.UsageError(f"--input: {name}: {error.strerror}") from error
    if data.startswith(b"PK"):
        raise click.UsageError(f"--input: {name} is an .npz archive; save the one array with numpy.save")
    stream = io.BytesIO(data)
    try:
        with warnings.catch_warnings(action="ignore"):  # of headers that it makes sense of, or fails on below
            array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
    except _UNREADABLE as error:
        raise click.UsageError(f"--input: {name} is no .npy file that can be read: {error}") from error
    if stream.read(1):
        raise click.UsageError(f"--input: {name} goes on after its first array; save one array, [n, …window]")
    return array


def as_windows(array: NDArray[Any], window: tuple[int, ...]) -> tuple[FloatArray, str | None]:
    """`[…window]` or `[n, …window]` of real numbers → `[n, …window]` float32, and a note if it had to be converted.

    Raises click.UsageError for another shape, another type, and numbers that float32 cannot hold.
    """
    expected = f"{describe(window)} or {describe((None, *window))}"
    if array.dtype.kind not in "fiu":
        raise click.UsageError(f"--input: expected real numbers, found {array.dtype}")
    if array.shape == window:
        array = array[None]
    if array.ndim != len(window) + 1 or array.shape[1:] != window or not len(array):
        raise click.UsageError(f"--input: expected {expected}, found {describe(array.shape)}")
    with np.errstate(over="ignore"):
        windows = np.ascontiguousarray(array, np.float32)
    bad = np.argwhere(~np.isfinite(windows))
    if len(bad):
        where = tuple(map(int, bad[0]))
        raise click.UsageError(
            f"--input: expected finite float32 numbers, found {array[where]} at {list(where)} ({len(bad)} in all)"
        )
    return windows, _conversion(array, windows)


def _conversion(array: NDArray[Any], windows: FloatArray) -> str | None:
    if array.dtype == np.float32:
        return None
    error = float(np.max(np.abs(windows.astype(np.float64) - array.astype(np.float64)), initial=0.0))
    lost = "nothing was lost" if error == 0 else f"the largest change is {error:.1e}"
    return f"the input is {array.dtype}, and was converted to float32: {lost}"
