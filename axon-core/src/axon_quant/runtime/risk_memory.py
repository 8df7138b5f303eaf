"""What the risk engine measures loss and drawdown from, from one live run to the next, by way of the journal.

Without it every restart would forgive the day's loss, and a process that is restarted again and again would have no
limit at all. Whether the run is halted does not come from here: see `control.HaltFile`.
"""

from __future__ import annotations

import logging
from decimal import Decimal
from pathlib import Path

from axon_quant.clock import Clock
from axon_quant.errors import JournalError
from axon_quant.events import Emit, RiskSaved
from axon_quant.exchange.exact import ZERO
from axon_quant.journal.reader import latest
from axon_quant.risk import RiskEngine, RiskSnapshot

logger = logging.getLogger("axon_quant.memory")


class RiskMemory:
    """Journals what has changed since it was last saved."""

    def __init__(self, risk: RiskEngine, record: Emit, clock: Clock) -> None:
        self._risk = risk
        self._record = record
        self._clock = clock
        self._saved: RiskSnapshot | None = None

    def resume(self, journal: Path, deposited: Decimal = ZERO) -> None:
        """Go on from what the last live run has left in the journal, if it has; a deposit since is no gain.

        A withdrawal is no loss either. Raises JournalError.
        """
        found = latest(journal, RiskSaved, mode="live")
        if found is None:
            return
        event, now = found[1], self._risk.snapshot()
        day_equity, peak = _moved(event.day_equity, deposited), _moved(event.peak, deposited)
        self._saved = RiskSnapshot(now.state, now.reason, event.day, day_equity, peak, list(event.suspended))
        self._risk.restore(self._saved)

    def save(self) -> None:
        """Journal it, unless it is what was saved last; a journal that has failed takes nothing."""
        now, before = self._risk.snapshot(), self._saved
        measured = (now.day, now.day_equity, now.peak, now.suspended)
        if now.peak is None or (
            before is not None and measured == (before.day, before.day_equity, before.peak, before.suspended)
        ):
            return
        try:
            self._record(RiskSaved(self._clock.now(), now.day, now.day_equity, now.peak, tuple(now.suspended)))
        except JournalError as error:
            logger.error("what risk measures from is not saved: %s", error)
            return
        self._saved = now


def _moved(equity: Decimal | None, deposited: Decimal) -> Decimal | None:
    """None, which is no measure at all, where less than nothing would be left."""
    return equity + deposited if equity is not None and equity + deposited > ZERO else None
