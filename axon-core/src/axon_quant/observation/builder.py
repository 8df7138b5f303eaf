"""Rows on a time grid, windows of rows: what turns the events of one symbol into what a model sees."""

from __future__ import annotations

import numpy as np

from axon_quant.clock import MILLISECOND
from axon_quant.events import Emit, FeatureRow, WindowReset
from axon_quant.market.book import OrderBook
from axon_quant.observation.features import FEATURES, NORMALISER, MicrostructureFeatures
from axon_quant.observation.schema import FeatureSchema
from axon_quant.observation.window import ObservationWindow


class Observation:
    """The observation of one symbol: features sampled every `interval_ms` into a window of `window` rows.

    `due` is when the next row is to be sampled (UTC ns). Rows stand on multiples of the interval. When nothing at all
    was received for `max_silence_ms`, the window has a hole: it is emptied, the reset is emitted, and no decision is
    made until it is whole again.
    """

    def __init__(
        self, symbol: str, book: OrderBook, *, window: int, interval_ms: int, max_silence_ms: int, emit: Emit
    ) -> None:
        self.symbol = symbol
        self.features = MicrostructureFeatures(book, interval_ms)
        self.window = ObservationWindow(window, len(FEATURES))
        self.due = 0
        self._interval = interval_ms * MILLISECOND
        self._max_silence = max_silence_ms * MILLISECOND
        self._emit = emit
        self._row = np.zeros(len(FEATURES), dtype=np.float32)

    @staticmethod
    def schema(window: int, interval_ms: int) -> FeatureSchema:
        """What a model for this observation must have been trained on."""
        return FeatureSchema("microstructure-128", FEATURES, NORMALISER, interval_ms, window)

    def start(self, at: int) -> None:
        """The first event arrives at `at`: the first row is due at the end of its interval."""
        self.due = at - at % self._interval + self._interval

    def sample(self) -> bool:
        """Write the row that is due and move on to the next; True when the window is whole."""
        at = self.due
        self.due = at + self._interval
        if not self.features.ready:
            return False
        self.features.write(self._row)
        data = self.window.push(self._row)
        self._emit(FeatureRow(at, self.symbol, self.window.last_row, data))
        return self.window.count == self.window.window

    def skip_silence(self, last: int, now: int) -> None:
        """Nothing was received between `last` and `now`; when that is too long, empty the window and realign."""
        silence = now - last
        if silence > self._max_silence:
            self.window.reset()
            self._emit(WindowReset(now, self.symbol, silence))
            self.start(now)
