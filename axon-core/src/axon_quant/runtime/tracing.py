"""Spans of orders, over OTLP/HTTP: built from stamps that were taken anyway, later and in a thread of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from threading import Event, Thread
from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from axon_quant.clock import LiveClock
from axon_quant.errors import PluginMissingError

if TYPE_CHECKING:
    from axon_quant.config import Config

_WAITING = 4096
_LOOK_EVERY = 0.25  # seconds
_TIMEOUT = 5  # seconds, of one request


class OrderStamps(NamedTuple):
    """When an order passed its stages (perf_counter ns); 0 for one that it did not pass."""

    client_order_id: str
    received: int
    decided: int
    durable: int
    sent: int
    acknowledged: int
    rejected: bool


class OrderSpans:
    """Sends every `sample_every`-th order, and every one that was slow or rejected; a context manager.

    Of an order comes one span `order`, from the market data to the venue's first answer, and within it `decision`,
    `durable` (the wait for the journal), `send` and `venue`. Orders that find more than 4096 others waiting are left
    out and counted in `dropped`. Raises PluginMissingError where OpenTelemetry's exporter is not installed.
    """

    def __init__(self, config: Config) -> None:
        entry = config.tracing
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise PluginMissingError(
                "[tracing] endpoint is set, but the OTLP exporter is not installed",
                hint='pip install "axon-core[otlp]", or leave the endpoint out',
            ) from error
        endpoint = entry.endpoint or ""
        if urlsplit(endpoint).path in ("", "/"):
            endpoint = f"{endpoint.rstrip('/')}/v1/traces"
        resource = Resource.create({"service.name": "axon", "axon.config.sha256": config.sha256})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=_TIMEOUT), schedule_delay_millis=1000)
        )
        self._tracer = self._provider.get_tracer("axon_quant")
        self._every, self._slow = entry.sample_every, entry.slow_ms * 1e6
        self._seen = 0
        self._waiting: deque[OrderStamps] = deque()
        self._ending = Event()
        self._thread = Thread(target=self._work, name="axon-tracing", daemon=True)
        self.run = 0
        self.dropped = 0

    def offer(self, stamps: OrderStamps) -> None:
        """An order is complete. Takes a microsecond; what is to be sent waits for the thread."""
        self._seen += 1
        slow = stamps.acknowledged - stamps.received >= self._slow
        if not (slow or stamps.rejected or self._seen % self._every == 0):
            return
        if len(self._waiting) >= _WAITING:
            self.dropped += 1
            return
        self._waiting.append(stamps)

    def __enter__(self) -> OrderSpans:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(2 * _TIMEOUT)
        self._provider.shutdown()

    def _work(self) -> None:
        while not self._ending.wait(_LOOK_EVERY):
            self._build()
        self._build()
        self._provider.force_flush(1000 * _TIMEOUT)

    def _build(self) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

        offset = LiveClock().now() - perf_counter_ns()
        while self._waiting:
            stamps = self._waiting.popleft()
            attributes: Mapping[str, str | int] = {"axon.client_order_id": stamps.client_order_id, "axon.run": self.run}
            order = self._tracer.start_span("order", start_time=stamps.received + offset, attributes=attributes)
            within = set_span_in_context(order)
            for name, start, end in _stages(stamps):
                kind = SpanKind.CLIENT if name == "venue" else SpanKind.INTERNAL
                span = self._tracer.start_span(name, within, kind, attributes, start_time=start + offset)
                span.end(end + offset)
            if stamps.rejected:
                order.set_status(Status(StatusCode.ERROR, "rejected"))
            order.end(stamps.acknowledged + offset)


def _stages(stamps: OrderStamps) -> Iterator[tuple[str, int, int]]:
    """Name, start and end of each stage that was passed, one after the other."""
    at = stamps.received
    passed = (("decision", stamps.decided), ("durable", stamps.durable), ("send", stamps.sent))
    for name, end in (*passed, ("venue", stamps.acknowledged)):
        if end:
            yield name, at, end
            at = end


def open_tracing(config: Config) -> OrderSpans | None:
    """The spans of a configuration that names an endpoint."""
    return None if config.tracing.endpoint is None else OrderSpans(config)
