"""The highest equity, from one live run to the next, by way of the journal."""

from __future__ import annotations

import logging
from decimal import Decimal
from pathlib import Path

from axon_quant.clock import NANOSECONDS, Clock
from axon_quant.errors import JournalError
from axon_quant.events import Emit, EquityPeaked
from axon_quant.exchange.exact import ZERO
from axon_quant.journal.reader import latest
from axon_quant.metrics import MetricsCollector
from axon_quant.portfolio import Portfolio

logger = logging.getLogger("axon_quant.peak")
_EVERY = NANOSECONDS
"""A peak that rises is journaled this often; a process that is killed forgets no more of it."""


class EquityPeak:
    """Tells the metrics the equity, and journals its peak while `record` is there (a live run).

    Nothing is told before every holding has a price: an equity that leaves some out would look like a loss.
    """

    def __init__(self, metrics: MetricsCollector, portfolio: Portfolio, clock: Clock, record: Emit | None) -> None:
        self._metrics = metrics
        self._portfolio = portfolio
        self._clock = clock
        self._record = record
        self._recorded = 0.0
        self._next = 0
        self._priced = False

    def resume(self, journal: Path, deposited: Decimal = ZERO) -> None:
        """Go on from the peak of the last live run; what was deposited or withdrawn since moves it along.

        A peak that cannot be read is left alone, and said.
        """
        try:
            found = latest(journal, EquityPeaked, mode="live")
        except JournalError as error:
            logger.warning("the peak of the equity starts afresh: %s", error)
            return
        if found is None:
            return
        peak = found[1].equity + float(deposited)
        if peak > 0.0:
            self._metrics.restore_peak(peak)
            logger.info("the peak of the equity is %s, from run %d", peak, found[0])

    def on_equity(self, equity: Decimal) -> None:
        """The account was valued."""
        if not self._priced:
            self._priced = self._portfolio.is_priced
            if not self._priced:
                return
        self._metrics.set_equity(equity)
        if self._record is not None and self._metrics.drawdown.peak > self._recorded:
            now = self._clock.now()
            if now >= self._next:
                self._next = now + _EVERY
                self.save()

    def save(self) -> None:
        """Journal the peak if it has risen since the last time."""
        peak = self._metrics.drawdown.peak
        if self._record is not None and peak > self._recorded:
            self._recorded = peak
            self._record(EquityPeaked(self._clock.now(), peak))
