"""Which engine computes a model: numpy, or compiled kernels where they are clearly faster and agree.

The two round differently, so the choice decides the bits of every score, and it must not depend on how busy a machine
was while a model was loaded. So the kernels have to be faster by far, and what was found is written down in axon's
cache: the same architecture gets the same engine again on this machine, until numba, numpy or the kernels change.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

from axon_backend_safetensors.model import Model
from axon_backend_safetensors.session import NumpyEngine, SafetensorsSession
from axon_quant.errors import ModelCheckError, PluginMissingError
from axon_quant.inference.checks import probe

MARGIN = 0.75
"""The kernels must take at most this share of numpy's time."""
TOLERANCE = 1e-5
"""Largest difference between the engines' scores where these are up to 1, in proportion to them above."""

_PROBES = 8
_ROUNDS = 30
_choices: dict[str, str] = {}
"""Of this process, where the cache cannot be written."""


def with_numpy(model: Model, plan: Mapping[str, str]) -> SafetensorsSession:
    """The session that computes with numpy."""
    return SafetensorsSession(model, NumpyEngine(model), {**plan, "engine": "numpy"})


def with_numba(model: Model, plan: Mapping[str, str]) -> SafetensorsSession:
    """The session that computes with compiled kernels.

    Raises PluginMissingError where numba cannot be used, ModelCheckError where its scores are not numpy's.
    """
    try:
        from axon_backend_safetensors.compiled import NAME, PROCESSOR, NumbaEngine
    except ImportError as error:
        raise PluginMissingError(
            f'numba cannot be used ({error}): pip install "axon-backend-safetensors[numba]"', plugin="safetensors"
        ) from error
    how = {"engine": NAME, "processor": PROCESSOR, "threads": "1"}
    session = SafetensorsSession(model, NumbaEngine(model), {**plan, **how})
    difference = _difference(session, with_numpy(model, plan))
    if not difference <= TOLERANCE:
        raise ModelCheckError(
            f"scores: numba's differ from numpy's by {difference:.1g}, expected at most {TOLERANCE:.0e}",
            hint='load the model with engine="numpy"',
        )
    return session


def with_the_faster(model: Model, plan: Mapping[str, str]) -> SafetensorsSession:
    """The session of the engine that was found to be the faster one, now or earlier."""
    numpy = with_numpy(model, plan)
    try:
        key = _key(model, plan)
        known = _recall(key)
        if known == "numpy":
            return numpy
        numba = with_numba(model, plan)
    except ImportError as error:
        warnings.warn(f"numba is installed and cannot be used, so numpy computes: {error}", RuntimeWarning, 2)
        return numpy
    except ModelCheckError:  # weights that make rounding visible: then the reference computes, slow or not
        return numpy
    if known is None:
        known = "numba" if _share(numba, numpy) <= MARGIN else "numpy"
        _remember(key, known)
    return numba if known == "numba" else numpy


def _noise(session: SafetensorsSession, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return probe((1, *(size for size in session.input_shape[1:] if size is not None)), seed)


def _difference(session: SafetensorsSession, reference: SafetensorsSession) -> float:
    """Between scores for noise, relative to the largest of them if that is above 1; NaN if only one is finite."""
    found = [0.0]
    for seed in range(_PROBES):
        x = _noise(session, seed)
        a, b = session.run(x), reference.run(x)
        if np.isfinite(b).all():  # otherwise nobody serves it anyway
            found.append(float(np.abs(a - b).max() / max(1.0, float(np.abs(b).max()))))
    return float(np.max(found))


def _share(session: SafetensorsSession, reference: SafetensorsSession) -> float:
    """How much of the reference's time the session takes, the best of some rounds in turns."""
    x = _noise(session, 0)
    times = [float("inf")] * 2
    for _ in range(_ROUNDS):
        for index, candidate in enumerate((session, reference)):
            started = time.perf_counter_ns()
            candidate.run(x)
            times[index] = min(times[index], time.perf_counter_ns() - started)
    return times[0] / times[1]


def _key(model: Model, plan: Mapping[str, str]) -> str:
    """What the choice depends on: the program without its weights, the libraries and the machine."""
    from llvmlite.binding import get_host_cpu_name

    from axon_backend_safetensors.program import Program

    words, _ = Program(model.layers, model.window).pack()
    kernels = Path(__file__).with_name("kernels.py").read_bytes()
    libraries = f"numpy {np.__version__}, numba {version('numba')}, {plan['threads']} threads"
    digest = hashlib.sha256(words.tobytes() + kernels + f"{libraries}, {get_host_cpu_name()}".encode())
    return digest.hexdigest()[:32]


def _recall(key: str) -> str | None:
    from axon_quant.inference.demo import cache_folder

    try:
        found = (cache_folder() / "engines" / key).read_text("ascii").strip()
    except FileNotFoundError:
        return _choices.get(key)
    except (OSError, ValueError) as error:
        warnings.warn(f"the choice of an engine cannot be read, so it is made anew: {error}", RuntimeWarning, 3)
        return _choices.get(key)
    return found if found in ("numpy", "numba") else None


def _remember(key: str, choice: str) -> None:
    from axon_quant.inference.demo import cache_folder
    from axon_quant.inference.files import write_whole

    _choices[key] = choice
    try:
        path = cache_folder() / "engines" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"{choice}\n".encode())
    except OSError as error:
        warnings.warn(
            f"the choice of {choice} cannot be kept, another process may choose otherwise and round otherwise: {error}",
            RuntimeWarning,
            3,
        )
