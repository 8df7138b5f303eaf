"""Where events go: into the journal and the metrics, and into the counts that the summary shows."""

from __future__ import annotations

from collections import Counter

from axon_quant.events import BookGap, BookWhole, Event, ModelLoaded, OrderRefused, StreamChanged, WindowReset
from axon_quant.journal import Journal, Ticket
from axon_quant.metrics import MetricsCollector


class EventBus:
    """Hands every event to the journal and the metrics; `record` also returns the journal's ticket.

    Keeps the few counts that only events know: rejects by control, gaps, window resets, when a book became whole, how
    often a model was `replaced` and a stream of the venue `lost`, and which streams are `down`.
    """

    def __init__(self, journal: Journal, metrics: MetricsCollector) -> None:
        self.rejects: Counter[str] = Counter()
        self.gaps = 0
        self.window_resets = 0
        self.became_whole: dict[str, int] = {}
        self.replaced: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.down: set[str] = set()
        self._append = journal.append
        self._count = metrics.on_event
        self._tallies = {
            OrderRefused: self._on_refused,
            BookGap: self._on_gap,
            BookWhole: self._on_whole,
            WindowReset: self._on_reset,
            ModelLoaded: self._on_loaded,
            StreamChanged: self._on_stream,
        }

    def record(self, event: Event) -> Ticket:
        """Journal an event and count it; returns the receipt to wait for."""
        ticket = self._append(event)
        self._count(event)
        tally = self._tallies.get(type(event))
        if tally is not None:
            tally(event)  # type: ignore[operator]  # the dict pairs types with tallies
        return ticket

    def _on_refused(self, event: OrderRefused) -> None:
        self.rejects.update(reject.control for reject in event.rejects)

    def _on_gap(self, _: BookGap) -> None:
        self.gaps += 1

    def _on_whole(self, event: BookWhole) -> None:
        self.became_whole.setdefault(event.symbol, event.at)

    def _on_reset(self, _: WindowReset) -> None:
        self.window_resets += 1

    def _on_loaded(self, event: ModelLoaded) -> None:
        self.replaced[event.model.name] += 1

    def _on_stream(self, event: StreamChanged) -> None:
        if event.up:
            self.down.discard(event.stream)
        elif event.stream not in self.down:
            self.down.add(event.stream)
            self.lost[event.stream] += 1
