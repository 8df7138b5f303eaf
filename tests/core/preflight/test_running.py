"""The latency of a run that is going, as its endpoint tells it: a few orders are no p99."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from axon_quant.metrics import MetricsCollector
from axon_quant.preflight.running import judge_latency
from axon_quant.preflight.scraping import Scrape, scrape


@pytest.fixture
def served() -> Iterator[tuple[MetricsCollector, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with MetricsCollector(initial_equity=1.0) as collector:
        collector.export_prometheus(port=port)
        yield collector, port


def scraped(port: int) -> Scrape:
    found = scrape(port)
    assert found is not None
    return found


def test_without_an_order_the_latency_is_unknown(served):
    _, port = served
    row = judge_latency(scraped(port), 500.0)
    assert (row.status.value, "there were none" in row.evidence) == ("unknown", True)


def test_a_few_quick_orders_are_no_p99_and_enough_of_them_are(served):
    collector, port = served
    for _ in range(200):
        collector.record_latency("place_order", 10.0)
        collector.record_latency("infer", 10.0)
    row = judge_latency(scraped(port), 500.0)
    assert row.status.value == "unknown", row
    assert "200 orders and cancels so far, and a p99 needs 299" in row.evidence
    for _ in range(99):
        collector.record_latency("cancel_order", 10.0)
    assert judge_latency(scraped(port), 500.0).status.value == "pass"


def test_a_slow_order_fails_however_few_there_were(served):
    collector, port = served
    collector.record_latency("place_order", 900.0)
    row = judge_latency(scraped(port), 500.0)
    assert row.status.value == "fail"
    assert "HighLatency" in row.fix
