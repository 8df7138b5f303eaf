"""What a model must pass before it serves: shape, dtype, finite outputs, repeatable, and the number of actions."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod, sqrt
from pathlib import Path

import numpy as np
from msgspec import Struct

from axon_quant.errors import ModelCheckError
from axon_quant.inference.action import TRADING_ACTIONS
from axon_quant.inference.config import ModelConfig
from axon_quant.inference.session import FloatArray, Session

WARM_CALLS = 20


class ModelSpec(Struct, frozen=True):
    """What configuration and model agreed on: `input_shape` is (batch, …window) without open dimensions."""

    input_shape: tuple[int, ...]
    output_dim: int
    actions: tuple[str, ...]


def check_pin(config: ModelConfig, path: Path, sha256: str) -> None:
    """Raise ModelCheckError unless the bytes are the pinned ones."""
    if config.sha256 is not None and sha256 != config.sha256:
        raise ModelCheckError(
            f"the file is not the pinned one: expected sha256 {config.sha256}, found {sha256}", file=path
        )


def check_plan(session: Session, plan: Mapping[str, str], path: Path) -> None:
    """Raise ModelCheckError unless the session computes as `plan` says."""
    found = session.plan
    for key in sorted(plan.keys() | found.keys()):
        if plan.get(key) != found.get(key):
            raise ModelCheckError(
                f"plan: {key}: expected {plan.get(key)}, found {found.get(key)}",
                file=path,
                hint="it may compute other bits here: load it without a plan to have one made",
            )


def check_session(session: Session, config: ModelConfig, path: Path) -> ModelSpec:
    """Run the model on zeros and on seeded noise. Raises ModelCheckError with what was expected and found."""
    shape = _agree_shape(session, config, path)
    if session.output_dim < 1:
        raise ModelCheckError(f"outputs: expected at least one, found {session.output_dim}", file=path)
    if config.output_dim is not None and config.output_dim != session.output_dim:
        raise ModelCheckError(f"outputs: expected {config.output_dim}, found {session.output_dim}", file=path)
    actions = _agree_actions(session, config, path)
    spec = ModelSpec(shape, session.output_dim, actions)
    _check_scores(session, np.zeros(shape, np.float32), spec, "zeros", path)
    noise = probe(shape)
    first = _check_scores(session, noise, spec, "noise", path)
    if first.tobytes() != _check_scores(session, noise, spec, "noise", path).tobytes():
        raise ModelCheckError(
            "the same input gave two answers", file=path, hint="export the model in inference mode, without dropout"
        )
    return spec


def warm(session: Session, spec: ModelSpec, calls: int = WARM_CALLS) -> None:
    """Run the model so often that the first live decision is not the slow one."""
    x = probe(spec.input_shape)
    for _ in range(calls):
        session.run(x)


def probe(shape: tuple[int, ...], seed: int = 0) -> FloatArray:
    """Bell-shaped noise with mean 0 and variance 1, within ±3.5; the same bits for a seed everywhere.

    Sums of four numbers of 16 bits from splitmix64: a start need not import numpy.random for them.
    """
    count = prod(shape)
    state = (np.arange(1, count + 1, dtype=np.uint64) + (np.uint64(seed) << np.uint64(32))) * np.uint64(
        0x9E3779B97F4A7C15
    )
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    sums = state.view(np.uint16).reshape(count, 4).sum(axis=1).astype(np.float32)
    noise: FloatArray = ((sums - np.float32(2 * 0xFFFF)) * np.float32(sqrt(3) / 0x10000)).reshape(shape)
    return noise


def _agree_shape(session: Session, config: ModelConfig, path: Path) -> tuple[int, ...]:
    found, asked = session.input_shape, config.input_shape
    if asked is None:
        shape = (found[0] or 1, *(size for size in found[1:] if size is not None))
        if len(shape) != len(found):
            raise ModelCheckError(
                f"input: the model leaves a dimension of its window open: {describe(found)}",
                file=path,
                hint="set input_shape",
            )
        return shape
    if len(asked) != len(found) or any(size not in (None, want) for size, want in zip(found, asked, strict=True)):
        raise ModelCheckError(f"input: expected {describe(asked)}, found {describe(found)}", file=path)
    return asked


def _agree_actions(session: Session, config: ModelConfig, path: Path) -> tuple[str, ...]:
    declared = session.actions
    if declared is not None and config.actions is not None and declared != config.actions:
        raise ModelCheckError(f"actions: expected {list(config.actions)}, found {list(declared)}", file=path)
    actions = config.actions or declared
    if actions is None:
        return TRADING_ACTIONS if session.output_dim == len(TRADING_ACTIONS) else ()
    if len(actions) != session.output_dim:
        raise ModelCheckError(
            f"actions: expected one per output, {session.output_dim}, found {len(actions)}: {list(actions)}", file=path
        )
    return actions


def _check_scores(session: Session, x: FloatArray, spec: ModelSpec, what: str, path: Path) -> FloatArray:
    y = session.run(x)
    expected = (x.shape[0], spec.output_dim)
    if y.shape != expected:
        raise ModelCheckError(f"scores for {what}: expected {describe(expected)}, found {describe(y.shape)}", file=path)
    if y.dtype != np.float32:
        raise ModelCheckError(f"scores for {what}: expected float32, found {y.dtype}", file=path)
    if not np.isfinite(y).all():
        raise ModelCheckError(f"scores for {what}: expected finite numbers, found {y.ravel()[:8].tolist()}", file=path)
    return y


def describe(shape: tuple[int | None, ...]) -> str:
    """`(None, 64, 128)` → `[?, 64, 128]`."""
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"
