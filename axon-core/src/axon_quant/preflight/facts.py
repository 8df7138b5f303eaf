"""What the checks look at, each thing looked at once and on first use."""

from __future__ import annotations

import asyncio
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from axon_quant.control import ask
from axon_quant.errors import ConfigError, ControlError, NotRunningError

if TYPE_CHECKING:
    from axon_quant.config import Config
    from axon_quant.preflight.scraping import Scrape
    from axon_quant.preflight.venue_facts import VenueFacts


class Unanswered(Exception):  # noqa: N818 - no error: a question that cannot be put yet
    """A check cannot be made because of something else. The message says what; the row becomes *unknown*."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.fix = fix


class Facts:
    """The configuration at `file`, its venue, the run that may be going, and the papers beside it.

    `stamp` is the build's record (default: `build-stamp.json` beside the configuration), `backup` the folder of the
    newest backup, `prometheus` the root of a Prometheus to ask. `patience` bounds each wait for the venue, in seconds.
    """

    def __init__(
        self,
        file: Path,
        *,
        stamp: Path | None = None,
        backup: Path | None = None,
        prometheus: str | None = None,
        patience: float = 15.0,
    ) -> None:
        self.file = file
        self.stamp = stamp or file.absolute().parent / "build-stamp.json"
        self.backup = backup
        self.prometheus = prometheus
        self.patience = patience

    @cached_property
    def read(self) -> Config | ConfigError:
        """The configuration, or why there is none."""
        from axon_quant.config import load_config

        try:
            return load_config(self.file)
        except ConfigError as error:
            return error

    @property
    def config(self) -> Config:
        """The configuration. Raises Unanswered while it has mistakes."""
        if isinstance(self.read, ConfigError):
            raise Unanswered("the configuration must be valid first", "see the row configuration")
        return self.read

    @cached_property
    def venue(self) -> VenueFacts:
        """What the venue says, asked once over a connection of its own."""
        from axon_quant.preflight.venue_facts import look

        return asyncio.run(look(self.config, self.patience))

    @cached_property
    def _answer(self) -> dict[str, object] | Unanswered:
        socket = self.config.control.socket
        try:
            return ask(socket, "status")
        except NotRunningError:
            return Unanswered("no run answers yet", "start it, then look again")
        except ControlError as error:
            return Unanswered(f"the run does not answer: {error}", "look at its log, and at the venue")

    @property
    def running(self) -> dict[str, object]:
        """The status of the run that is going. Raises Unanswered without one."""
        if isinstance(self._answer, Unanswered):
            raise self._answer
        return self._answer

    @cached_property
    def scrape(self) -> Scrape | None:
        """What the run's endpoint serves now; None where nothing listens, or no port is configured."""
        from axon_quant.preflight.scraping import scrape

        port = self.config.metrics.port
        return scrape(port) if port else None
