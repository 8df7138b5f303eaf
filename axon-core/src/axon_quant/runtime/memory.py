"""What the ensemble has learnt, from one live run to the next, by way of the journal."""

from __future__ import annotations

import logging
from pathlib import Path

from axon_quant.clock import Clock
from axon_quant.ensemble import DynamicWeightedEnsemble
from axon_quant.errors import EnsembleError, JournalError
from axon_quant.events import Emit, EnsembleSaved
from axon_quant.journal.reader import latest

logger = logging.getLogger("axon_quant.memory")


class EnsembleMemory:
    """Journals the ensemble's state every `every` rounds of realised returns, and when told.

    Stands between whoever realises returns and the ensemble. `notice` tells how the run began: from which state, or why
    not from the one there was; empty if there was none.
    """

    def __init__(self, ensemble: DynamicWeightedEnsemble, record: Emit, clock: Clock, every: int) -> None:
        self.notice = ""
        self._ensemble = ensemble
        self._record = record
        self._clock = clock
        self._every = every
        self._saved_at = 0

    def resume(self, journal: Path) -> None:
        """Go on from what the last live run with a saved state left in the journal.

        One that does not fit the ensemble, because its members or its strategy were changed, is left alone, and the
        ensemble starts afresh; so is one that cannot be read.
        """
        try:
            found = latest(journal, EnsembleSaved, mode="live")
            if found is None:
                return
            run, event = found
            self._ensemble.restore(event.state)
        except (EnsembleError, JournalError) as error:
            self.notice = f"the ensemble starts afresh: {error}"
            logger.warning("%s", self.notice)
            return
        self.notice = f"the ensemble goes on from what it had learnt in run {run}"
        logger.info("%s", self.notice)

    def record_return(self, model: str, value: float, /) -> None:
        """Pass a realised return on, and save once enough rounds are complete."""
        ensemble = self._ensemble
        ensemble.record_return(model, value)
        if ensemble.rounds - self._saved_at >= self._every:
            self.save()

    def save(self) -> None:
        """Journal the state as it is now."""
        self._saved_at = self._ensemble.rounds
        self._record(EnsembleSaved(self._clock.now(), self._ensemble.state()))
