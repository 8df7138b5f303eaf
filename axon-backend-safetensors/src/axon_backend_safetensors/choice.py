"""Which engine computes a model: numpy, or compiled kernels where they are clearly faster and agree.

They round differently, so the choice decides the bits of every score, and a replay must not depend on how busy the
machine was while a model was loaded. So the kernels have to be faster by far, and what was found is written down in
axon's cache: the same architecture gets the same engine again on this machine, until numba, numpy or the kernels change.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from axon_backend_safetensors.model import Model
from axon_backend_safetensors.session import Engine, NumpyEngine, SafetensorsSession
from axon_quant.errors import ModelCheckError, PluginMissingError
from axon_quant.inference.checks import probe
from axon_quant.inference.session import FloatArray

ENGINES = ("auto", "numpy", "numba")
MARGIN = 0.75
"""The kernels must take at most this share of numpy's time."""
TOLERANCE = 1e-5
"""Largest difference between the engines' scores, for scores of up to 1; in proportion above."""

_PROBES = 8
_ROUNDS = 30


def choose(model: Model, wanted: str) -> tuple[Engine, str]:
    """The engine, and its name for the plan.

    Raises PluginMissingError for numba where it is not installed, ModelCheckError where it was asked for and disagrees
    with numpy.
    """
    if wanted == "numpy" or (wanted == "auto" and not _numba_is_here()):
        return NumpyEngine(model), "numpy"
    try:
        from axon_backend_safetensors.compiled import NAME, NumbaEngine
    except ImportError as error:
        if wanted == "auto":
            warnings.warn(f"numba is installed and cannot be used, numpy computes: {error}", RuntimeWarning, 2)
            return NumpyEngine(model), "numpy"
        raise PluginMissingError(
            f'the engine needs numba: pip install "axon-backend-safetensors[numba]" ({error})', plugin="safetensors"
        ) from error
    numba, numpy = NumbaEngine(model), NumpyEngine(model)
    ...
