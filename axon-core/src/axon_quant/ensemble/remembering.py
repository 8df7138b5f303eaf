"""State kept in attributes, and given away in a form that JSON keeps bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, ClassVar, Protocol, runtime_checkable

import msgspec

from axon_quant.errors import EnsembleError
from axon_quant.events import Remembered


@runtime_checkable
class Stateful(Protocol):
    """A strategy or a drift detector that can be saved. One that is not starts afresh."""

    def state(self) -> Mapping[str, Remembered]:
        """Everything learnt, by name: texts, booleans, finite numbers and lists of them."""
        ...

    def restore(self, state: Mapping[str, Remembered], /) -> None:
        """Take over what `state` returned. Raises EnsembleError, and changes nothing, if it does not fit."""
        ...


class Remembering:
    """State kept in attributes: `_remembered` says which, and of what type. Lists keep their length unless `_grows`."""

    _remembered: ClassVar[Mapping[str, Any]] = {}
    _grows: ClassVar[bool] = False

    def state(self) -> dict[str, Remembered]:
        """Copies of the attributes, by their names without the underscore."""
        values = {name.lstrip("_"): getattr(self, name) for name in self._remembered}
        return {name: list(value) if isinstance(value, list | tuple) else value for name, value in values.items()}

    def restore(self, state: Mapping[str, Remembered], /) -> None:
        """Set the attributes, all or none. Raises EnsembleError for others than these, and for unusable values."""
        owner = type(self).__name__
        expected = {name.lstrip("_") for name in self._remembered}
        if set(state) != expected:
            raise EnsembleError(f"the state of {owner} has {sorted(state)}, expected {sorted(expected)}")
        found: dict[str, object] = {}
        for name, kind in self._remembered.items():
            key = name.lstrip("_")
            try:
                value: object = msgspec.convert(state[key], kind)
            except msgspec.ValidationError as error:
                raise EnsembleError(f"the state of {owner}: {key}: {error}") from error
            now = getattr(self, name)
            if isinstance(value, list) and not self._grows and len(value) != len(now):
                raise EnsembleError(f"the state of {owner}: {key} has {len(value)} numbers, expected {len(now)}")
            if not _finite(value):
                raise EnsembleError(f"the state of {owner}: {key} is {value}, expected finite numbers")
            found[name] = value
        for name, value in found.items():
            setattr(self, name, value)


def _finite(value: object) -> bool:
    if isinstance(value, list):
        return isfinite(sum(map(abs, value)))
    return not isinstance(value, float) or isfinite(value)
