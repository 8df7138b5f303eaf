"""Spans of orders as a collector receives them: over HTTP, in OTLP's protobuf."""

from __future__ import annotations

import sys
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from threading import Thread

import attrs
import pytest

from axon_quant.config import parse_config
from axon_quant.errors import ConfigError, PluginMissingError
from axon_quant.events import OrderPlaced
from axon_quant.journal import read
from axon_quant.market.generated import GeneratedMarket
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.tracing import OrderSpans, OrderStamps
from axon_quant.runtime.wiring import build_instruments

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """Takes what an OTLP collector takes."""

    def __init__(self) -> None:
        self.spans, self.paths, self.resources = [], set(), []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.paths.add(self.path)
                for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                    collector.resources.append(group.resource)
                    collector.spans += [span for scope in group.scope_spans for span in scope.spans]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def by_trace(self):
        traces = defaultdict(dict)
        for span in self.spans:
            traces[span.trace_id][span.name] = span
        return traces


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()


def traced(config, endpoint, every, slow_ms=1e9):
    tracing = attrs.evolve(config.tracing, endpoint=endpoint, sample_every=every, slow_ms=slow_ms)
    return attrs.evolve(config, tracing=tracing, journal=attrs.evolve(config.journal, strict=True))


def attributes(span):
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


def play(config):
    market = GeneratedMarket(build_instruments(config)[0], seconds=20, price=60_000.0)
    return Replay(config, market=market).run()


def test_an_order_is_seen_from_its_decision_over_the_disk_to_the_venue(btcusdt, collector):
    summary = play(traced(btcusdt, collector.endpoint, every=5))
    assert collector.paths == {"/v1/traces"}
    traces = collector.by_trace()
    assert len(traces) == summary.orders // 5 > 1
    known = {event.order.client_order_id for _, event in read(btcusdt.journal.path, kinds=[OrderPlaced])}
    for spans in traces.values():
        assert set(spans) == {"order", "decision", "durable", "send", "venue"}
        order, stages = spans["order"], [spans[name] for name in ("decision", "durable", "send", "venue")]
        assert all(stage.parent_span_id == order.span_id for stage in stages)
        assert not order.parent_span_id
        assert stages[0].start_time_unix_nano == order.start_time_unix_nano
        assert stages[-1].end_time_unix_nano == order.end_time_unix_nano
        for before, after in pairwise(stages):
            assert before.end_time_unix_nano == after.start_time_unix_nano >= before.start_time_unix_nano
        assert attributes(order)["axon.client_order_id"] in known
        assert attributes(order)["axon.run"] == 1
    names = {pair.key: pair.value.string_value for pair in collector.resources[0].attributes}
    assert names["service.name"] == "axon"
    assert names["axon.config.sha256"] == btcusdt.sha256, "tracing is no part of what is traded"


def test_slow_and_rejected_orders_are_always_sent(btcusdt, collector):
    second = 10**9
    with OrderSpans(traced(btcusdt, f"{collector.endpoint}/v1/traces", every=10**9, slow_ms=500)) as spans:
        spans.offer(OrderStamps("quick", second, second + 5, 0, 0, second + 9, rejected=False))
        spans.offer(OrderStamps("slow", second, second + 5, 0, 0, 2 * second, rejected=False))
        spans.offer(OrderStamps("rejected", second, second + 5, second + 6, 0, second + 9, rejected=True))
    orders = {attributes(span)["axon.client_order_id"]: span for span in collector.spans if span.name == "order"}
    assert orders.keys() == {"slow", "rejected"}
    assert orders["rejected"].status.message == "rejected"


def test_nobody_listening_costs_a_run_nothing_but_spans(btcusdt, collector):
    collector.server.server_close()
    without = play(btcusdt)
    summary = play(traced(btcusdt, collector.endpoint, every=1))
    assert (summary.orders, summary.outcome) == (without.orders, "completed")


def test_more_orders_than_can_be_sent_are_counted(btcusdt, collector):
    spans = OrderSpans(traced(btcusdt, collector.endpoint, every=1))
    for number in range(5000):
        spans.offer(OrderStamps(str(number), 1, 2, 3, 4, 5, rejected=False))
    assert spans.dropped == 5000 - 4096


def test_a_run_without_the_exporter_says_what_to_install(btcusdt, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(PluginMissingError, match=r'pip install "axon-core\[otlp\]"'):
        play(traced(btcusdt, "http://127.0.0.1:4318", every=1))
    assert not btcusdt.journal.path.exists()
    play(btcusdt)


@pytest.mark.parametrize("endpoint", ["127.0.0.1:4318", "http://user:password@host", ""])
def test_an_endpoint_is_a_url_without_a_password(root, endpoint):
    text = (root / "examples" / "btcusdt.toml").read_text() + f'\n[tracing]\nendpoint = "{endpoint}"\n'
    with pytest.raises(ConfigError) as error:
        parse_config(text, root / "examples" / "btcusdt.toml")
    assert "must" in error.value.problems[0].message
