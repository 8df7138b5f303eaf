"""What a counterfactual may change: bounds, immutable features, and the grid that values must land on."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from axon_explain.subject import Floats
from axon_quant.errors import ExplainError

Feature: TypeAlias = str | int | tuple[int, ...]
"""A feature or group by name or number, a channel by name, a cell by `name[t-3]` or by its indices."""
Bounds: TypeAlias = Mapping[Feature, tuple[float | None, float | None]] | tuple[ArrayLike, ArrayLike]
Steps: TypeAlias = Mapping[Feature, float] | ArrayLike

_CELL = re.compile(r"(.+)\[t(?:-(\d+))?\]")


@attrs.frozen(eq=False)
class Names:
    """How the user may call the parts of an observation of this shape: by player, by column, by cell."""

    shape: tuple[int, ...]
    players: tuple[str, ...]
    index: NDArray[np.intp]
    columns: tuple[str, ...] = ()

    def cells(self, feature: Feature) -> NDArray[np.bool_]:
        """The cells `[cells]` that a name or number means. Raises ExplainError for an unknown one."""
        chosen = np.zeros(self.shape, bool)
        if isinstance(feature, tuple):
            if len(feature) != len(self.shape) or not all(0 <= i < n for i, n in zip(feature, self.shape, strict=True)):
                raise ExplainError(f"no cell {feature} in an observation of shape {list(self.shape)}")
            chosen[feature] = True
        elif isinstance(feature, str):
            self._named(feature, chosen)
        else:
            if not isinstance(feature, int | np.integer) or not 0 <= feature < len(self.players):
                raise ExplainError(f"no feature {feature!r}", hint=f"there are {len(self.players)}, counted from 0")
            chosen = self.index == feature
        return chosen.ravel()

    def _named(self, name: str, chosen: NDArray[np.bool_]) -> None:
        if name in self.players:
            chosen[self.index == self.players.index(name)] = True
            return
        if name in self.columns:
            chosen[..., self.columns.index(name)] = True
            return
        cell = _CELL.fullmatch(name)
        if cell is not None and cell[1] in self.columns and len(self.shape) == 2:
            back = int(cell[2] or 0)
            if back < self.shape[0]:
                chosen[self.shape[0] - 1 - back, self.columns.index(cell[1])] = True
                return
        known = [*self.players, *self.columns]
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known[:12])}"
        raise ExplainError(f"no feature {name!r}", hint=hint)


@attrs.frozen(eq=False)
class Constraints:
    """Per cell: `low` and `high`, the `step` whose multiples are allowed (0: any value), and whether it is `free`.

    A cell that is not changed keeps its value, inside of its bounds or not.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    step: NDArray[np.float64]
    free: NDArray[np.bool_]
    dtype: np.dtype[np.floating]
    limited: bool = attrs.field(init=False)
    """Whether there are bounds or steps at all."""
    frozen: bool = attrs.field(init=False)
    """Whether anything is not free."""

    least: Floats = attrs.field(init=False)
    most: Floats = attrs.field(init=False)
    """The bounds in the dtype, never outside of what was asked for."""

    @limited.default
    def _limited(self) -> bool:
        return bool(np.isfinite(self.low).any() or np.isfinite(self.high).any() or self.step.any())

    @frozen.default
    def _frozen(self) -> bool:
        return not self.free.all()

    @least.default
    def _least(self) -> Floats:
        return _inward(self.low, self.dtype, np.inf)

    @most.default
    def _most(self) -> Floats:
        return _inward(self.high, self.dtype, -np.inf)

    @classmethod
    def of(
        cls,
        names: Names,
        dtype: np.dtype[np.floating],
        bounds: Bounds | None,
        immutable: Iterable[Feature],
        steps: Steps | None,
    ) -> Constraints:
        """From what the user said. Raises ExplainError for names that are not there, and ranges that are empty."""
        cells = int(np.prod(names.shape))
        low, high, step = np.full(cells, -np.inf), np.full(cells, np.inf), np.zeros(cells)
        free = np.ones(cells, bool)
        if isinstance(bounds, Mapping):
            for feature, ends in bounds.items():
                where = names.cells(feature)
                least, most = _pair(ends)
                low[where] = -math.inf if least is None else least
                high[where] = math.inf if most is None else most
        elif bounds is not None:
            low, high = (_spread_out(value, names.shape, "bounds") for value in _pair(bounds))
        if isinstance(steps, Mapping):
            for feature, size in steps.items():
                step[names.cells(feature)] = _positive(size, feature)
        elif steps is not None:
            step = _spread_out(steps, names.shape, "steps")
            if not (np.isfinite(step) & (step >= 0.0)).all():
                raise ExplainError("steps must be finite and not negative; 0 allows any value")
        for feature in (immutable,) if isinstance(immutable, str) else immutable:
            free &= ~names.cells(feature)
        made = cls(low, high, step, free, dtype)
        made._check(names)
        return made

    def _check(self, names: Names) -> None:
        wrong = ~(self.least <= self.most)  # NaN fails, and bounds that no number of the dtype lies between
        on_grid = self.step > 0.0
        with np.errstate(invalid="ignore", divide="ignore"):
            first, last = _grid_ends(self.low, self.high, self.step)
            wrong |= on_grid & ~(first <= last)
        if wrong.any():
            cell = int(np.flatnonzero(wrong)[0])
            name = names.players[names.index.ravel()[cell]]
            on = f" on a grid of {self.step[cell]}" if on_grid[cell] else ""
            raise ExplainError(f"{name}: no {self.dtype} lies between {self.low[cell]} and {self.high[cell]}{on}")

    def applied(self, rows: Floats, origin: Floats) -> Floats:
        """`rows` `[…, cells]` with every changed value allowed: frozen, on its grid, within its bounds, as dtype."""
        if self.frozen:
            rows = np.where(self.free, rows, origin)
        if not self.limited:
            return rows
        wide = rows.astype(np.float64)
        step = np.where(self.step > 0.0, self.step, 1.0)
        with np.errstate(invalid="ignore"):
            first, last = _grid_ends(self.low, self.high, step)
            gridded = np.clip(np.rint(wide / step), first, last) * step
        wide = np.where(self.step > 0.0, gridded, wide)
        allowed = np.clip(wide.astype(self.dtype), self.least, self.most)
        return np.where(rows != origin, allowed, origin)


def _inward(bound: NDArray[np.float64], dtype: np.dtype[np.floating], towards: float) -> Floats:
    with np.errstate(over="ignore"):
        near: Floats = bound.astype(dtype)
    outside = near < bound if towards > 0 else near > bound
    return np.where(outside, np.nextafter(near, dtype.type(towards)), near)


def _grid_ends(
    low: NDArray[np.float64], high: NDArray[np.float64], step: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The first and last multiple within bounds; a bound that is one but for rounding counts."""
    return np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)


def _pair(value: Any) -> tuple[Any, Any]:
    try:
        low, high = value
    except (TypeError, ValueError) as error:
        raise ExplainError(f"bounds are a pair (low, high), found {value!r}", hint="None leaves an end open") from error
    return low, high


def _positive(value: float, feature: Feature) -> float:
    if not 0.0 < value < math.inf:
        raise ExplainError(f"{feature}: a step is positive, found {value}")
    return float(value)


def _spread_out(value: ArrayLike, shape: tuple[int, ...], what: str) -> NDArray[np.float64]:
    try:
        found = np.broadcast_to(np.asarray(value, np.float64), shape)
    except ValueError as error:
        raise ExplainError(f"{what} do not fit an observation of shape {list(shape)}: {error}") from error
    return np.array(found).ravel()
