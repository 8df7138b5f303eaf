"""Names that must be remembered for long, but not for ever."""

from __future__ import annotations

from typing import Generic, TypeVar

_V = TypeVar("_V")


class Recent(Generic[_V]):
    """A mapping of the last `limit` names that were put into it; the oldest are forgotten first."""

    __slots__ = ("_limit", "_values")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: dict[str, _V] = {}

    def put(self, name: str, value: _V) -> None:
        self._values[name] = value
        if len(self._values) > self._limit:
            del self._values[next(iter(self._values))]

    def get(self, name: str) -> _V | None:
        return self._values.get(name)

    def pop(self, name: str) -> _V | None:
        return self._values.pop(name, None)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def items(self) -> list[tuple[str, _V]]:
        """Oldest first; the list is the caller's."""
        return list(self._values.items())
