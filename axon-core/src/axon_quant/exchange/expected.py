"""Whether an account's stream still tells everything, although its connection answers pings."""

from __future__ import annotations

from time import monotonic
from typing import ClassVar


class ExpectedReports:
    """Changes of orders that the venue acknowledged and the account's stream has yet to report.

    A stream that does not report one within `within` seconds has fallen silent and is to be given up: the base
    reconnects and repairs. Nothing is expected of a stream that is not up.
    """

    within: ClassVar[float] = 3.0
    look_every: ClassVar[float] = 0.5

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._is_up = False

    def begin(self) -> None:
        """The stream is up."""
        self._since.clear()
        self._is_up = True

    def end(self) -> None:
        """The stream is lost."""
        self._is_up = False

    def expect(self, client_order_id: str) -> None:
        """The venue acknowledged a change of this order."""
        if self._is_up:
            self._since.setdefault(client_order_id, monotonic())

    def reported(self, client_order_id: str) -> None:
        """The stream said something of this order."""
        self._since.pop(client_order_id, None)

    @property
    def overdue(self) -> bool:
        """Whether a report has been waited for too long; look every `look_every` seconds."""
        oldest = next(iter(self._since.values()), None)
        return oldest is not None and monotonic() - oldest > self.within
