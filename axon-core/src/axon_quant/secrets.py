"""Secrets as a type: a value that nothing prints, stores or sends by accident."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import NoReturn, final


@final
class Secret:
    """A string that only `reveal()` gives away.

    repr, str and format give `***`. Encoding it as JSON, pickling and copying raise TypeError. Comparison takes
    constant time; a secret has no hash. Raises TypeError for anything but a string and ValueError for an empty one.
    """

    __slots__ = ("_reveal",)
    _reveal: Callable[[], str]

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError("a secret is a string")
        if not value:
            raise ValueError("a secret must not be empty")
        # A closure, so that a tool that walks slots or `vars()` finds a function and not the text.
        object.__setattr__(self, "_reveal", lambda: value)

    def reveal(self) -> str:
        """The secret itself. Hand it to what needs it; do not keep it."""
        return self._reveal()

    def __repr__(self) -> str:
        return "***"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    __hash__ = None  # type: ignore[assignment]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a secret cannot be changed")

    def __copy__(self) -> NoReturn:
        raise TypeError("a secret cannot be copied; pass it on")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("a secret cannot be copied; pass it on")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret cannot be pickled; pass where it comes from instead")
