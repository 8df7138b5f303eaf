"""Who shares the credit: every cell of an observation belongs to one player, a feature or a group of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, Literal, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from axon_quant.errors import ExplainError

Grouping = Literal["features", "channel", "time", "custom"]
Groups: TypeAlias = Literal["features", "channel", "time"] | Mapping[str, Any] | None
"""How cells form players; None lets the engine choose between `features` and `channel`."""

_KINDS = "features, channel, time"


@attrs.frozen(eq=False)
class Players:
    """`names` in order; `index` `[…shape]` gives each cell of the observation the number of its player."""

    names: tuple[str, ...]
    index: NDArray[np.intp]
    grouping: Grouping

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sizes(self) -> NDArray[np.intp]:
        """`[players]`: how many cells each one has."""
        return np.bincount(self.index.ravel(), minlength=len(self.names))

    def values(self, observation: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """`[players]`: the observation's value of a player of one cell; NaN for a group of several."""
        found = np.full(len(self.names), np.nan)
        single = self.sizes[self.index.ravel()] == 1
        found[self.index.ravel()[single]] = observation.ravel()[single]
        return found


def players(shape: tuple[int, ...], groups: Groups = None, feature_names: Sequence[str] | None = None) -> Players:
    """The players of an observation of `shape`, whose last axis holds the channels and the one before it time.

    `groups`: `"features"` (or None) makes each cell a player, `"channel"` each channel over all time steps, `"time"`
    each time step over all channels. A mapping of names to cells makes each name a player; cells are given as

    - numbers of cells, counted in C order (a number, a sequence of them, a range or a slice),
    - a boolean mask in the observation's shape,
    - a tuple, as NumPy indexes the observation with it: `numpy.s_[..., 3:5]` are the channels 3 and 4,
    - names of channels or cells, as in `feature_names`.

    A cell in two groups is an error; one in no group is a player of its own, after the groups. `feature_names` name
    every cell or every channel. Raises ExplainError.
    """
    labels = _Labels(shape, feature_names)
    cells = prod(shape)
    if groups is None or groups == "features":
        return Players(tuple(labels), np.arange(cells).reshape(shape), "features")
    if groups == "channel":
        if len(shape) == 1:
            return Players(tuple(labels), np.arange(cells), "channel")
        return Players(labels.channels, np.broadcast_to(np.arange(shape[-1]), shape).copy(), "channel")
    if groups == "time":
        if len(shape) < 2:
            raise ExplainError(f"an observation of shape {list(shape)} has no time steps", hint="leave groups out")
        steps = np.arange(shape[-2])[:, None]
        return Players(tuple(_step(shape[-2], row) for row in range(shape[-2])), _over(steps, shape), "time")
    if not isinstance(groups, Mapping):
        raise ExplainError(f"groups {groups!r} mean nothing", hint=f"one of {_KINDS}, or a mapping of names to cells")
    return _custom(shape, groups, labels)


def _over(index: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[np.intp]:
    return np.broadcast_to(index, shape).copy()


def _step(rows: int, row: int) -> str:
    """A time step by its distance from the newest one, which is the last."""
    return f"t-{rows - 1 - row}" if row < rows - 1 else "t"


class _Labels:
    """Names of cells and channels, made on demand: a window has thousands of cells."""

    def __init__(self, shape: tuple[int, ...], feature_names: Sequence[str] | None) -> None:
        self.shape = shape
        names = None if feature_names is None else tuple(map(str, feature_names))
        if names is not None and len(names) not in (prod(shape), shape[-1]):
            raise ExplainError(
                f"{len(names)} feature names for an observation of shape {list(shape)}",
                hint=f"give {shape[-1]}, one for each channel" + ("" if len(shape) == 1 else ", or one for each cell"),
            )
        if names is not None and len(set(names)) != len(names):
            raise ExplainError("feature names are not distinct", hint="each is to be found by its name")
        per_cell = names is not None and len(names) == prod(shape)
        self._cells = names if per_cell else None
        own = names is not None and (not per_cell or len(shape) == 1)
        self.channels = names if own and names is not None else tuple(f"f{index}" for index in range(shape[-1]))

    def __iter__(self) -> Iterator[str]:
        if self._cells is not None:
            yield from self._cells
            return
        for place in np.ndindex(self.shape[:-1]):
            where = _step(self.shape[-2], place[0]) if len(place) == 1 else ",".join(map(str, place))
            for channel in self.channels:
                yield f"{channel}[{where}]" if place else channel


def _custom(shape: tuple[int, ...], groups: Mapping[str, Any], labels: _Labels) -> Players:
    index = np.full(prod(shape), -1, np.intp)
    names = tuple(map(str, groups))
    for number, (name, cells) in enumerate(zip(names, groups.values(), strict=True)):
        found = _cells(shape, name, cells, labels)
        if len(found) == 0:
            raise ExplainError(f"group {name!r} has no cells")
        taken = found[index[found] >= 0]
        if len(taken):
            raise ExplainError(f"cell {int(taken[0])} is in the groups {names[index[taken[0]]]!r} and {name!r}")
        index[found] = number
    alone = np.flatnonzero(index < 0)
    index[alone] = len(names) + np.arange(len(alone))
    if len(alone):
        own = list(labels)
        names += tuple(own[cell] for cell in alone)
    if len(set(names)) != len(names):
        raise ExplainError("a group and a cell outside of all groups have the same name", hint="rename the group")
    return Players(names, index.reshape(shape), "custom")


def _cells(shape: tuple[int, ...], group: str, given: Any, labels: _Labels) -> NDArray[np.intp]:
    """Numbers of the cells of one group."""
    cells = np.arange(prod(shape))
    named = [given] if isinstance(given, str) else given
    if isinstance(named, Sequence) and not isinstance(named, tuple | range) and named and isinstance(named[0], str):
        return _by_name(shape, group, named, labels)
    try:
        if isinstance(given, tuple):
            picked: NDArray[np.intp] = np.unique(cells.reshape(shape)[given])
            return picked
        if isinstance(given, slice):
            return cells[given]
        wanted = np.asarray(given if isinstance(given, np.ndarray) else list(_numbers(given)))
        if wanted.dtype == np.bool_:
            if wanted.shape != shape:
                raise ExplainError(f"group {group!r}: expected a mask of shape {list(shape)}, not {list(wanted.shape)}")
            masked: NDArray[np.intp] = cells[wanted.ravel()]
            return masked
        if wanted.size and wanted.dtype.kind not in "iu":
            raise ExplainError(f"group {group!r}: {given!r} are no numbers of cells")
        return np.unique(cells[wanted.astype(np.intp).ravel()])
    except (IndexError, TypeError) as error:
        raise ExplainError(
            f"group {group!r} does not fit an observation of shape {list(shape)}: {error}",
            hint="cells are counted through the whole observation; numpy.s_[..., 3:5] means channels",
        ) from error


def _numbers(given: Any) -> Iterator[object]:
    if isinstance(given, int | np.integer):
        yield given
    else:
        yield from given


def _by_name(shape: tuple[int, ...], group: str, wanted: Sequence[str], labels: _Labels) -> NDArray[np.intp]:
    cells = np.arange(prod(shape)).reshape(shape)
    by_cell = {name: number for number, name in enumerate(labels)}
    by_channel = {name: number for number, name in enumerate(labels.channels)}
    found = []
    for name in wanted:
        if name in by_channel:
            found.append(cells[..., by_channel[name]].ravel())
        elif name in by_cell:
            found.append(cells.ravel()[by_cell[name] : by_cell[name] + 1])
        else:
            raise ExplainError(f"group {group!r}: there is no feature {name!r}")
    return np.unique(np.concatenate(found))
