"""What a plugin tells the base about one connection that the base supervises."""

from __future__ import annotations

from typing import Protocol


class Link(Protocol):
    """One connection's life, from `_run_account` or `_run_market` being called to its end."""

    def up(self) -> None:
        """Logged in and subscribed to everything: from here on, nothing is missed."""
        ...

    def heard(self) -> None:
        """A message arrived, whatever it says; called for every one, pings too."""
        ...
