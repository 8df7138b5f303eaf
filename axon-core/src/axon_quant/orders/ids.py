"""Client order ids: unique, short enough for every venue, and the same again in a replay.

OKX takes at most 32 alphanumeric characters, Binance 36; ours have at most 24.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class ClientOrderIds:
    """A source of client order ids: `prefix` (unique to a run) followed by a counter.

    A replay gives a prefix derived from its seed, so two replays name their orders alike. Raises ValueError for a
    prefix that is not 1–16 lower-case alphanumeric characters.
    """

    __slots__ = ("_next", "prefix")

    def __init__(self, prefix: str | None = None, *, start: int = 1) -> None:
        if prefix is None:
            prefix = "ax" + base36(secrets.randbits(64))
        if not (0 < len(prefix) <= 16 and all(character in _DIGITS for character in prefix)):
            raise ValueError(f"a client order id prefix has 1 to 16 of a-z and 0-9, got {prefix!r}")
        self.prefix = prefix
        self._next = start

    def next(self) -> str:
        number, self._next = self._next, self._next + 1
        return f"{self.prefix}{base36(number).zfill(6)}"


def base36(number: int) -> str:
    """A non-negative integer in the digits 0–9 and a–z."""
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


_source: ContextVar[ClientOrderIds] = ContextVar("axon_client_order_ids")


def next_client_order_id() -> str:
    """The next id of the source in use: the runtime's, or a random one of this process."""
    source = _source.get(None)
    if source is None:
        source = ClientOrderIds()
        _source.set(source)
    return source.next()


@contextmanager
def client_order_ids(source: ClientOrderIds) -> Iterator[ClientOrderIds]:
    """Within the block, every `Order` constructed takes its id from `source`."""
    token = _source.set(source)
    try:
        yield source
    finally:
        _source.reset(token)
