"""Many windows at once: what a batch answers, and whether batches may be trusted with a live signal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from axon_quant.errors import AxonError, ModelInputError
from axon_quant.inference.checks import describe, probe
from axon_quant.inference.guards import FLOAT32, admit_one, failed, find_not_finite, not_finite
from axon_quant.inference.session import FloatArray, Session

if TYPE_CHECKING:
    from axon_quant.inference.backend import ModelVersion

LARGEST = 64
"""Windows in one run, unless a caller says otherwise: beyond that a CPU gains nothing more."""
TOLERANCE = 1e-6
"""How far a row of a batch may be from its scores alone, in units of its largest score, or of 1 if that is less."""


class BatchResult(Struct, frozen=True, eq=False):
    """One answer per window, in order, all by the version `model`: scores `[output_dim]` float32, or the error.

    `batched` says whether windows went through the model together; if not, they went one by one.
    """

    model: ModelVersion
    answers: Sequence[FloatArray | AxonError]
    batched: bool

    @property
    def errors(self) -> dict[int, AxonError]:
        """Which windows have no scores, and why."""
        return {index: answer for index, answer in enumerate(self.answers) if isinstance(answer, AxonError)}

    def scores(self) -> FloatArray:
        """`[n, output_dim]` float32. Raises the first error, if there is one."""
        rows: list[FloatArray] = []
        for answer in self.answers:
            if isinstance(answer, AxonError):
                raise answer
            rows.append(answer)
        return np.array(rows, FLOAT32).reshape(len(rows), self.model.output_dim)

    def __len__(self) -> int:
        return len(self.answers)

    def __iter__(self) -> Iterator[FloatArray | AxonError]:
        return iter(self.answers)

    def __getitem__(self, index: int) -> FloatArray | AxonError:
        return self.answers[index]


class BatchCheck(Struct, frozen=True):
    """Whether batches of a model version give each row what it gives alone; `reason` says why not.

    Batches of `sizes` seeded windows were compared with the same windows one by one; a row's difference is measured in
    units of its largest score, or of 1 if that is less. `seconds` is what the largest batch took.
    """

    sizes: tuple[int, ...]
    max_difference: float
    seconds: float
    reason: str | None

    @property
    def passed(self) -> bool:
        """Whether it may be batched."""
        return self.reason is None


def check_largest(largest: int) -> None:
    """Raise ValueError unless it is a size that a batch can have."""
    if not largest >= 1:
        raise ValueError(f"the largest batch has at least one window, got {largest}")


def check_batches(session: Session, window: tuple[int, ...], largest: int = LARGEST) -> BatchCheck:
    """Compare batches of 2, 3, every power of two below `largest`, and `largest`, with their windows one by one.

    Never raises for what the session does: a model that refuses batches, or one whose rows touch each other (dynamic
    quantisation, normalisation over the batch), is a check that did not pass.
    """
    fixed = session.input_shape[0]
    if fixed is not None:
        return BatchCheck((), 0.0, 0.0, f"its batch is fixed at {fixed}")
    rows = probe((largest, *window), seed=1)
    sizes: list[int] = []
    worst = seconds = 0.0
    reason: str | None = None
    try:
        alone = np.concatenate([session.run(row[None]) for row in rows])
        unit = np.maximum(np.abs(alone).max(axis=1, keepdims=True), 1.0)
        for size in _sizes(largest):
            sizes.append(size)
            started = perf_counter()
            together = session.run(rows[:size])
            seconds = perf_counter() - started
            if together.shape != alone[:size].shape:
                reason = f"a batch of {size} gave scores of shape {describe(together.shape)}"
                break
            worst = float(np.max(np.abs(together - alone[:size]) / unit[:size], initial=worst))
            if not worst <= TOLERANCE:
                reason = f"a row in a batch of {size} differs by {worst:.1e} from the same window alone"
                break
    except Exception as error:  # noqa: BLE001 (a plugin's runtime raises what it likes, and the check says so)
        reason = f"a batch of {sizes[-1] if sizes else 1} failed: {error}"
    return BatchCheck(tuple(sizes), worst, seconds, reason)


def _sizes(largest: int) -> list[int]:
    powers = (2**power for power in range(1, largest.bit_length()))
    return sorted(size for size in {*powers, 3, largest} if 2 <= size <= largest)


def answer(
    run: Callable[[FloatArray], FloatArray],
    window: tuple[int, ...],
    path: Path,
    windows: Iterable[object],
    largest: int,
) -> list[FloatArray | AxonError]:
    """Scores, or an error, for each of the windows; they go through `run` in batches of up to `largest`."""
    rows: list[FloatArray] = []
    refused: dict[int, AxonError] = {}
    count = 0
    for item in windows:
        if type(item) is np.ndarray and item.dtype is FLOAT32 and item.shape == window:
            rows.append(item)
        else:
            try:
                rows.append(admit_one(item, window)[0])
            except ModelInputError as error:
                refused[count] = error.with_traceback(None)  # whose frames would hold the session
        count += 1
    answers: list[FloatArray | AxonError] = []
    for start in range(0, len(rows), largest):
        answers += _through(run, path, rows[start : start + largest])
    if not refused:
        return answers
    passed = iter(answers)
    return [refused[place] if place in refused else next(passed) for place in range(count)]


def _through(
    run: Callable[[FloatArray], FloatArray], path: Path, rows: list[FloatArray]
) -> Sequence[FloatArray | AxonError]:
    """Those that are finite go on together."""
    x = np.array(rows, FLOAT32)
    if isfinite(np.vdot(x, x)):
        return _together(run, path, x)
    refused = [find_not_finite(row[None]) for row in rows]  # none at all where the dot product only overflowed
    passed = iter(_together(run, path, x[[error is None for error in refused]]))
    return [next(passed) if error is None else error for error in refused]


def _together(run: Callable[[FloatArray], FloatArray], path: Path, x: FloatArray) -> Sequence[FloatArray | AxonError]:
    if len(x) > 1:
        try:
            y = run(x)
        except Exception:  # noqa: BLE001 (below, what fails alone fails again and says why; the others do not)
            y = x[:0]
        if len(y) == len(x):
            if isfinite(sum(y.ravel().tolist())):
                return list(y)
            return [scores if np.isfinite(scores).all() else not_finite(path, scores) for scores in y]
    return [_alone(run, path, row[None]) for row in x]


def _alone(run: Callable[[FloatArray], FloatArray], path: Path, x: FloatArray) -> FloatArray | AxonError:
    try:
        (scores,) = run(x)
    except AxonError as error:
        return error.with_traceback(None)
    except Exception as error:  # noqa: BLE001 (it becomes this window's answer)
        problem = failed(path, error)
        problem.__cause__ = error.with_traceback(None)
        return problem
    return scores if np.isfinite(scores).all() else not_finite(path, scores)


def report(check: BatchCheck, name: str, number: int) -> None:
    """Log that a version is not batched, and why."""
    if not check.passed:
        import logging  # a start does without it

        logger = logging.getLogger(__name__)
        logger.warning("%s: version %d is answered one window at a time: %s", name, number, check.reason)
