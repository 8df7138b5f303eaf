"""Rows on a time grid, windows of rows: what turns the events of one symbol into what a model sees."""

from __future__ import annotations

from axon_quant.clock import MILLISECOND, NEVER
from axon_quant.events import Emit, FeatureRow, WindowReset
from axon_quant.market.book import OrderBook
from axon_quant.observation.features import FEATURES, NORMALISER, MicrostructureFeatures
from axon_quant.observation.schema import FeatureSchema
from axon_quant.observation.window import ObservationWindow


class Observation:
    """The observation of one symbol: features sampled every `interval_ms` into a window of `window` rows.

    `due` is when the next row is to be sampled (UTC ns), NEVER before `start`. Rows stand on multiples of the interval.
    When nothing was received for longer than `max_silence` (ns), the window has a hole: the owner lets it `lapse` and
    starts it again with the next message, and no decision is made until the window is whole again.
    """

    def __init__(
        self, symbol: str, book: OrderBook, *, window: int, interval_ms: int, max_silence_ms: int, emit: Emit
    ) -> None:
        self.symbol = symbol
        self.features = MicrostructureFeatures(book, interval_ms)
        self.window = ObservationWindow(window, len(FEATURES))
        self.due = NEVER
        self.max_silence = max_silence_ms * MILLISECOND
        self._interval = interval_ms * MILLISECOND
        self._emit = emit

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
        if not self.features.price:
            return False
        data = self.features.row()
        self.window.push(data)
        self._emit(FeatureRow(at, self.symbol, self.window.last_row, data))
        return self.window.count == self.window.window

    def lapse(self, silence: int) -> None:
        """Nothing was received for `silence` ns: the window has a hole, and no row is due until `start`."""
        self.window.reset()
        self._emit(WindowReset(self.due, self.symbol, silence))
        self.due = NEVER
