"""Who is in the canary: the same keys after every restart, and every key of a small share also in a larger one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

_PLACES = 2**64


class Assignment:
    """Picks the keys (symbols, or a strategy's name) that the candidate decides for.

    With `keys` it is these. Otherwise a key is in while its place, a number in [0, 1) from the SHA-256 of `salt` and
    key, lies below the share; another `salt` picks others.
    """

    def __init__(self, *, salt: str = "", keys: Iterable[str] | None = None) -> None:
        self._salt = salt
        self._keys = None if keys is None else frozenset(keys)

    def place(self, key: str) -> float:
        """Where a key stands in [0, 1), evenly spread over many keys."""
        digest = hashlib.sha256(f"{self._salt}\0{key}".encode()).digest()
        return (int.from_bytes(digest[:8]) >> 11) / (_PLACES >> 11)  # 53 bits, so that it never rounds up to 1

    def chosen(self, keys: Iterable[str], share: float) -> tuple[str, ...]:
        """Which of `keys` are in at a share in [0, 1], in their order: none at 0, all (or all listed ones) at 1."""
        if share <= 0.0:
            return ()
        if self._keys is not None:
            return tuple(key for key in keys if key in self._keys)
        return tuple(key for key in keys if self.place(key) < share)
