"""From attributions and counterfactuals to the facts of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from math import isfinite

import attrs
import numpy as np
from numpy.typing import NDArray

from axon_explain.counterfactuals import Counterfactual, Counterfactuals
from axon_explain.decision_report import facts
from axon_explain.decision_report.words import counted, number
from axon_explain.explanation import Explanation
from axon_explain.kernel_shap import COALITIONS, KernelSHAP
from axon_explain.players import Groups
from axon_explain.subject import Subject

CHANNELS = 15
"""Rows of the heat map."""
COLUMNS = 64
"""Its columns at most; steps beyond are summed up."""
BLOCKS = 8
"""Columns where single steps cannot be told apart."""
MANY_CELLS = 64
"""A window of more cells than this is explained by its channels."""


def grouping(shape: tuple[int, ...]) -> Groups:
    """How the observation is attributed unless somebody says: windows by channel, else feature by feature."""
    return "channel" if len(shape) > 1 and int(np.prod(shape)) > MANY_CELLS else None


def attribution(found: Explanation, source: str | None) -> facts.Attribution:
    """Players by their weight; `source` is another word for where the background came from."""
    order = np.argsort(-np.abs(found.feature_importances), kind="stable")
    return facts.Attribution(
        action=found.action,
        score=found.score,
        base_value=found.base_value,
        players=tuple(
            facts.Player(
                found.feature_names[index],
                float(found.feature_importances[index]),
                _known(float(found.feature_values[index])),
            )
            for index in order
        ),
        method=found.method,
        grouping=found.grouping,
        budget=found.budget,
        evaluations=found.evaluations,
        seed=found.seed,
        background_rows=found.background_rows,
        background_sha256=found.background_sha256,
        background_source=source or SOURCES.get(found.background_source, found.background_source),
        additivity_gap=found.additivity_gap,
        error_estimate=_known(found.error_estimate),
    )


SOURCES = {
    "call": "given",
    "constructor": "given",
    "store": "the model store's sample",
    "baseline": "zeros, for want of any data",
}


def counterfactuals(found: Counterfactuals) -> facts.Counterfactuals:
    """Those that flip, or how near the search came."""
    nearest = None
    if found.nearest is not None:
        nearest = (
            f"the nearest that was tried left a margin of {number(found.nearest.margin)} of {number(found.margin)}"
        )
    return facts.Counterfactuals(
        original=found.original_action,
        results=tuple(_result(one) for one in found),
        evaluations=found.evaluations,
        nearest=nearest,
    )


@attrs.frozen(eq=False)
class Cells:
    """An attribution that tells channels and time apart: `columns` are the spans of steps `[first, last]` that do."""

    found: Explanation
    values: NDArray[np.float64]
    """`[channels][columns]`"""
    columns: tuple[tuple[int, int], ...]
    channels: tuple[int, ...]


def heat_map(cells: Cells, names: Sequence[str], rest: facts.Player | None) -> facts.HeatMap:
    """The facts of a heat map; `names` are of all channels."""
    return facts.HeatMap(
        channels=tuple(names[channel] for channel in cells.channels),
        steps=cells.columns,
        values=tuple(tuple(map(float, row)) for row in cells.values),
        rest=rest,
        method=cells.found.method,
        error_estimate=_known(cells.found.error_estimate),
        evaluations=cells.found.evaluations,
    )


def by_cell(found: Explanation) -> Cells | None:
    """The cells of an explanation whose players are single cells of a window `[time, channels]`."""
    shape = found.observation.shape
    if len(shape) != 2 or min(shape) < 2 or len(found.feature_names) != found.observation.size:
        return None
    values = found.feature_importances[found.players].T
    order = np.argsort(-np.abs(values).sum(axis=1), kind="stable")[:CHANNELS]
    parts = np.array_split(np.arange(shape[0]), min(shape[0], COLUMNS))
    summed = np.stack([values[:, part].sum(axis=1) for part in parts], axis=1)
    return Cells(found, summed[order], _spans(parts, shape[0]), tuple(map(int, order)))


def by_gradient(shap: KernelSHAP, first: Explanation, subject: Subject) -> Cells | None:
    """The same, from the gradients of a model that has them."""
    shape = first.observation.shape
    if len(shape) != 2 or min(shape) < 2 or not subject.has_gradients(first.observation, first.output):
        return None
    again = copy(shap)
    again.groups, again.engine, again.budget = "features", "gradient", None
    return by_cell(again.explain(first.observation, first.output))


def by_block(shap: KernelSHAP, first: Explanation) -> Cells | None:
    """The heaviest channels of a window, each in a few blocks of time, against the same background.

    None for what is not a window that `first` explains by its channels, and where the budget is too small.
    """
    shape = first.observation.shape
    if len(shape) != 2 or min(shape) < 2 or first.grouping != "channel":
        return None
    budget = (shap.budget or COALITIONS) // 4 - 2
    weights = np.abs(first.feature_importances)
    heavy = [int(c) for c in np.argsort(-weights, kind="stable")[:CHANNELS] if weights[c] > 0.0]
    blocks = min(shape[0], BLOCKS, budget // max(1, len(heavy)))
    if blocks < 2 or not heavy:
        return None
    parts = np.array_split(np.arange(shape[0]), blocks)
    number_of = np.arange(first.observation.size).reshape(shape)
    groups: Mapping[str, list[int]] = {
        f"{channel} {block}": number_of[part, channel].tolist() for channel in heavy for block, part in enumerate(parts)
    }
    light = [channel for channel in range(shape[1]) if channel not in heavy]
    if light:
        groups = {**groups, "rest": number_of[:, light].ravel().tolist()}
    again = copy(shap)
    again.groups, again.engine = groups, "auto"
    found = again.explain(first.observation, first.output)
    values = found.feature_importances[: len(heavy) * blocks].reshape(len(heavy), blocks)
    order = np.argsort(-np.abs(values).sum(axis=1), kind="stable")
    return Cells(found, values[order], _spans(parts, shape[0]), tuple(heavy[index] for index in order))


def _spans(parts: Sequence[NDArray[np.intp]], rows: int) -> tuple[tuple[int, int], ...]:
    return tuple((int(part[0]) - rows + 1, int(part[-1]) - rows + 1) for part in parts)


def rest_of(cells: Cells) -> facts.Player | None:
    """What the channels that are not shown contribute together."""
    others = cells.found.observation.shape[1] - len(cells.channels)
    if not others:
        return None
    left = float(cells.found.feature_importances.sum() - cells.values.sum())
    return facts.Player(counted(others, "channel"), left)


def _result(one: Counterfactual) -> facts.Counterfactual:
    return facts.Counterfactual(
        action=one.action,
        changed=len(one.changes),
        changes=tuple(
            facts.Change(
                feature=change.feature_name,
                original=change.original_value,
                counterfactual=change.counterfactual_value,
                delta=change.delta,
            )
            for change in one.changes
        ),
        distance=_known(one.distance),
        plausibility=None if one.plausibility is None else _known(one.plausibility),
    )


def _known(value: float) -> float | None:
    return value if isfinite(value) else None
