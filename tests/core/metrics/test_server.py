from __future__ import annotations

import json
import logging
import socket
import time
from http.client import HTTPConnection, HTTPResponse

import pytest
from prometheus_client.parser import text_string_to_metric_families

from axon_quant import events
from axon_quant.errors import MetricsError
from axon_quant.events import ModelIdentity
from axon_quant.metrics import MetricsCollector, names
from axon_quant.metrics import server as module


def ask(collector_port: int, path: str, method: str = "GET", accept: str = "") -> tuple[HTTPResponse, str]:
    connection = HTTPConnection("127.0.0.1", collector_port, timeout=10)
    try:
        connection.request(method, path, headers={"Accept": accept})
        answer = connection.getresponse()
        return answer, answer.read().decode()
    finally:
        connection.close()


def raw(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while piece := connection.recv(4096):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


def test_a_scrape_over_http_parses_and_holds_what_was_recorded(collector: MetricsCollector) -> None:
    collector.record_message("BTCUSDT")
    answer, body = ask(collector.export_prometheus(port=0).port, "/metrics?name[]=x")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(body)}
    assert families["trading_messages"].samples[0].value == 1


def test_prometheus_is_answered_in_its_own_text_format_whatever_it_prefers(collector: MetricsCollector) -> None:
    port = collector.export_prometheus(port=0).port
    accept = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    answer, _ = ask(port, "/metrics", accept=accept)
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metric", "/../metrics", "/favicon.ico"])
def test_other_paths_are_404(collector: MetricsCollector, path: str) -> None:
    answer, body = ask(collector.export_prometheus(port=0).port, path)
    assert answer.status == 404
    assert "trading_" not in body


def test_head_answers_without_a_body_and_other_methods_are_refused(collector: MetricsCollector) -> None:
    port = collector.export_prometheus(port=0).port
    answer, body = ask(port, "/metrics", "HEAD")
    assert (answer.status, body) == (200, "")
    assert int(answer.headers["Content-Length"]) > 0
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(port, "/metrics", method)[0].status == 501


def test_it_listens_on_loopback_alone_and_says_nothing(
    collector: MetricsCollector, caplog: pytest.LogCaptureFixture
) -> None:
    assert collector.export_prometheus(port=0).address == "127.0.0.1"
    assert caplog.records == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2"])
def test_other_names_of_loopback_are_not_warned_about(
    collector: MetricsCollector, caplog: pytest.LogCaptureFixture, host: str
) -> None:
    collector.export_prometheus(port=0, host=host)
    assert caplog.records == []


def test_another_host_is_possible_and_is_warned_about(
    collector: MetricsCollector, caplog: pytest.LogCaptureFixture
) -> None:
    server = collector.export_prometheus(port=0, host="0.0.0.0")
    assert server.address == "0.0.0.0"
    assert "without authentication" in caplog.text


def test_a_port_in_use_says_which_and_whose_default_9100_is(collector: MetricsCollector) -> None:
    port = collector.export_prometheus(port=0).port
    with (
        MetricsCollector() as other,
        pytest.raises(MetricsError, match=rf"port {port} on 127.0.0.1 is in use \(9100 is also node_exporter's"),
    ):
        other.export_prometheus(port=port)


@pytest.mark.parametrize(("port", "host"), [(70_000, "127.0.0.1"), (0, "203.0.113.7")])
def test_an_address_that_cannot_be_bound_is_an_error(collector: MetricsCollector, port: int, host: str) -> None:
    with pytest.raises(MetricsError, match=f"cannot serve metrics on {host} port {port}"):
        collector.export_prometheus(port=port, host=host)


def test_serving_twice_is_an_error_and_closing_frees_the_port(collector: MetricsCollector) -> None:
    port = collector.export_prometheus(port=0).port
    with pytest.raises(MetricsError, match=f"serves port {port} already"):
        collector.export_prometheus(port=0)
    assert ask(port, "/livez")[0].status == 200
    collector.close()
    collector.close()
    with pytest.raises(ConnectionRefusedError):
        ask(port, "/livez")
    collector.record_message("BTCUSDT")
    assert collector.export_prometheus(port=port).port == port
    assert 'symbol="BTCUSDT"' in ask(port, "/metrics")[1]


def test_readyz_names_every_check_and_what_runs(collector: MetricsCollector) -> None:
    checks: dict[str, str | None] = {"book": "BTCUSDT has a gap", "journal": None}
    collector.on_event(events.RunStarted(1, "live", 0, "c0ffee", "5c4e", (ModelIdentity("ppo", 1, "ab"),)))
    port = collector.export_prometheus(port=0, ready=lambda: checks).port
    answer, body = ask(port, "/readyz")
    assert answer.status == 503
    assert json.loads(body) == {
        "ready": False,
        "checks": {"book": "BTCUSDT has a gap", "journal": "ok", "metrics": "ok"},
        "config_sha256": "c0ffee",
        "schema_sha256": "5c4e",
        "models": [{"name": "ppo", "number": 1, "sha256": "ab"}],
    }
    checks["book"] = None
    collector.on_event(events.ModelLoaded(2, ModelIdentity("ppo", 2, "cd")))
    answer, body = ask(port, "/readyz")
    assert answer.status == 200
    assert json.loads(body)["models"] == [{"name": "ppo", "number": 2, "sha256": "cd"}]
    assert ask(port, "/livez")[1] == "ok\n"


def test_a_readiness_check_that_raises_is_not_ready(
    collector: MetricsCollector, caplog: pytest.LogCaptureFixture
) -> None:
    def ready() -> dict[str, str | None]:
        raise RuntimeError("no venue")

    answer, body = ask(collector.export_prometheus(port=0, ready=ready).port, "/readyz")
    assert answer.status == 503
    assert json.loads(body)["checks"]["readiness"] == "RuntimeError: no venue"
    assert "the readiness check raised" in caplog.text


def test_an_endpoint_that_has_lost_its_metrics_is_not_ready(collector: MetricsCollector) -> None:
    port = collector.export_prometheus(port=0).port
    collector.series[names.START_TIME.name].clear()
    answer, body = ask(port, "/readyz")
    assert answer.status == 503
    assert json.loads(body)["checks"]["metrics"] == "the endpoint has lost its metrics"


def test_an_opentelemetry_that_is_disabled_disables_nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with MetricsCollector(1000.0) as collector:
        port = collector.export_prometheus(port=0).port
        assert "trading_max_drawdown" in ask(port, "/metrics")[1]
        assert ask(port, "/readyz")[0].status == 200


def test_a_request_that_is_too_large_is_dropped(collector: MetricsCollector) -> None:
    port = collector.export_prometheus(port=0).port
    assert raw(port, b"GET /metrics HTTP/1.0\r\nX: " + b"x" * 20_000 + b"\r\n\r\n") == b""
    assert b"200 OK" in raw(port, b"GET /livez HTTP/1.0\r\n\r\n")


def test_a_request_that_drips_is_dropped_and_holds_nobody_up(
    collector: MetricsCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REQUEST_SECONDS", 0.4)
    port = collector.export_prometheus(port=0).port
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        started = time.monotonic()
        slow.sendall(b"GET /metrics")
        assert ask(port, "/livez")[0].status == 200
        assert slow.recv(100) == b""
        assert 0.3 < time.monotonic() - started < 5.0


def test_idle_connections_beyond_the_limit_are_closed_at_once(collector: MetricsCollector) -> None:
    port = collector.export_prometheus(port=0).port
    held = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(module.CONNECTIONS)]
    try:
        assert raw(port, b"GET /livez HTTP/1.0\r\n\r\n") == b""
    finally:
        for connection in held:
            connection.close()
    deadline = time.monotonic() + 5
    while not raw(port, b"GET /livez HTTP/1.0\r\n\r\n"):
        assert time.monotonic() < deadline


def test_a_page_that_raises_is_500_and_logged(
    collector: MetricsCollector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    port = collector.export_prometheus(port=0).port

    def broken() -> bytes:
        raise RuntimeError("broken encoder")

    monkeypatch.setattr(collector.exposition, "render", broken)
    with caplog.at_level(logging.ERROR):
        assert ask(port, "/metrics")[0].status == 500
    assert "broken encoder" in caplog.text
