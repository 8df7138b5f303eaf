"""What "absent" means for a feature: rows of a background, and where they came from."""

from __future__ import annotations

import hashlib
import warnings
from typing import Any, Literal

import attrs
import numpy as np
from numpy.typing import NDArray

from axon_explain.subject import Floats, Subject
from axon_quant.errors import ExplainError
from axon_quant.inference import ModelStore

Source = Literal["call", "constructor", "store", "baseline"]


@attrs.frozen(eq=False)
class Background:
    """Rows `[rows, …shape]`, where they came from, and the SHA-256 of their dtype, shape and bytes."""

    rows: NDArray[np.floating[Any]]
    source: Source
    sha256: str

    def __len__(self) -> int:
        return len(self.rows)


def background(
    subject: Subject,
    observation: Floats,
    *,
    call: object = None,
    constructor: object = None,
    store: ModelStore | None = None,
    otherwise: str = "features are compared with zeros",
    stacklevel: int = 3,
) -> Background:
    """The background of a call: its own, else the constructor's, else the model store's sample, else a baseline.

    All of its rows are used. The baseline is one row of zeros, with a warning that says what happens `otherwise`.
    Raises ExplainError for rows that do not fit `observation`.
    """
    if call is not None:
        return _checked(subject, call, observation, "call")
    if constructor is not None:
        return _checked(subject, constructor, observation, "constructor")
    sample = None if store is None else _stored(subject, observation, store)
    if sample is not None:
        return _checked(subject, sample, observation, "store")
    warnings.warn(
        f"no background data for {subject.name}: {otherwise}; "
        f"pass background_data=… or keep a sample with the model in the store",
        UserWarning,
        stacklevel=stacklevel,
    )
    return _checked(subject, np.zeros_like(observation)[None], observation, "baseline")


def _stored(subject: Subject, observation: Floats, store: ModelStore) -> Floats | None:
    """The sample of the model, or of the first member of an ensemble that has one for such observations."""
    for identity in subject.models:
        stored = store.find(identity.sha256)
        sample = None if stored is None else stored.background
        if sample is not None and sample.shape[1:] == observation.shape:
            return sample
    return None


def _checked(subject: Subject, value: object, observation: Floats, source: Source) -> Background:
    rows = subject.array(value)
    if rows.ndim == observation.ndim and rows.shape == observation.shape:
        rows = rows[None]
    if len(rows) == 0 or rows.shape[1:] != observation.shape:
        raise ExplainError(
            f"background data of shape {list(rows.shape)} does not fit an observation of shape "
            f"{list(observation.shape)}",
            hint=f"pass rows of shape {['rows', *observation.shape]}",
        )
    rows = np.ascontiguousarray(rows)
    head = f"{rows.dtype.str} {list(rows.shape)}\n".encode()
    return Background(rows, source, hashlib.sha256(head + rows.tobytes()).hexdigest())
