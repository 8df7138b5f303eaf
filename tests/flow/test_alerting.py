"""From a number in the process to a message on somebody's desk, by a real Prometheus and a real Alertmanager."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from axon_quant.cli.alerts import render
from axon_quant.metrics import MetricsCollector

PROMETHEUS = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [trading.yml, operations.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]}}
scrape_configs: [{{job_name: axon, static_configs: [{{targets: ["127.0.0.1:{metrics}"]}}]}}]
"""
ALERTMANAGER = """
route: {{receiver: desk, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers: [{{name: desk, webhook_configs: [{{url: "http://127.0.0.1:{webhook}/"}}]}}]
"""


class Desk:
    """Receives Alertmanager's webhook: the alerts that were told, by name and status, with when they came."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, str], tuple[float, dict[str, object]]] = {}
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    key = alert["labels"]["alertname"], alert["status"]
                    desk.told.setdefault(key, (time.monotonic(), alert))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait_for(self, alert: str, status: str = "firing", seconds: float = 60.0) -> dict[str, object]:
        deadline = time.monotonic() + seconds
        while (alert, status) not in self.told:
            assert time.monotonic() < deadline, f"{alert} was not {status} in {seconds} s; told: {sorted(self.told)}"
            time.sleep(0.05)
        return self.told[alert, status][1]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(command: list[str | Path], ready: str, log: Path) -> Iterator[None]:
    """A server in a process of its own, once it answers."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, cwd=log.parent) as process:
        try:
            deadline = time.monotonic() + 30
            while True:
                if process.poll() is not None:
                    told = log.read_text()
                    if "failed to parse templates: open " in told:
                        pytest.skip("Debian's Alertmanager reads /usr/share/prometheus: link the unpacked folder there")
                    raise AssertionError(told)
                try:
                    with urllib.request.urlopen(ready, timeout=1):
                        break
                except OSError:
                    assert time.monotonic() < deadline, log.read_text()
                    time.sleep(0.1)
            yield
        finally:
            process.terminate()


@pytest.mark.slow
def test_a_breach_reaches_the_webhook_and_a_dead_process_does_too(
    tmp_path: Path, monitoring_tool: Callable[[str], Path]
) -> None:
    prometheus, alertmanager = monitoring_tool("prometheus"), monitoring_tool("alertmanager")
    with ExitStack() as stack:
        collector = stack.enter_context(MetricsCollector(initial_equity=100_000.0))
        server = collector.export_prometheus(port=0)
        desk = Desk()
        stack.callback(desk.close)
        ports = {"metrics": server.port, "webhook": desk.port, "alertmanager": free_port(), "prometheus": free_port()}
        for name, text in render().items():
            (tmp_path / name).write_text(re.sub(r"for: \d+[sm]", "for: 1s", text))
        (tmp_path / "prometheus.yml").write_text(PROMETHEUS.format(**ports))
        (tmp_path / "alertmanager.yml").write_text(ALERTMANAGER.format(**ports))
        address = f"--web.listen-address=127.0.0.1:{ports['alertmanager']}"
        command = [alertmanager, "--config.file=alertmanager.yml", "--storage.path=am", "--cluster.listen-address="]
        ready = f"http://127.0.0.1:{ports['alertmanager']}/-/ready"
        stack.enter_context(serving([*command, address], ready, tmp_path / "alertmanager.log"))
        address = f"--web.listen-address=127.0.0.1:{ports['prometheus']}"
        command = [prometheus, "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"]
        ready = f"http://127.0.0.1:{ports['prometheus']}/-/ready"
        stack.enter_context(serving([*command, address], ready, tmp_path / "prometheus.log"))
        wait_until_scraped(ports["prometheus"])
        assert not {name for name, _ in desk.told} & {"HighLatency", "LargeDrawdown", "TradingHalted"}

        breach = time.monotonic()
        collector.record_latency("place_order", 800.0)
        collector.record_pnl(-15_000.0, "BTCUSDT")
        collector.set_risk_state("HALTED")
        slow, loss, halt = (desk.wait_for(name) for name in ("HighLatency", "LargeDrawdown", "TradingHalted"))
        assert slow["annotations"] == {"summary": "Trading order latency is high"}
        assert loss["labels"]["severity"] == "critical"
        assert halt["annotations"]["runbook_url"] == "runbook.md#tradinghalted"
        took = max(desk.told[name, "firing"][0] for name in ("HighLatency", "LargeDrawdown", "TradingHalted")) - breach

        killed = time.monotonic()
        collector.close()
        down = desk.wait_for("ProcessDown")
        assert down["labels"]["instance"] == f"127.0.0.1:{server.port}"
        gone = desk.told["ProcessDown", "firing"][0] - killed
        desk.wait_for("LargeDrawdown", "resolved")  # with its series; which is why there is ProcessDown
    print(f"breach to webhook {took:.1f} s, dead process to webhook {gone:.1f} s")


def wait_until_scraped(port: int, seconds: float = 30.0) -> None:
    url = f"http://127.0.0.1:{port}/api/v1/query?query=trading_max_drawdown"
    deadline = time.monotonic() + seconds
    while True:
        with urllib.request.urlopen(url, timeout=5) as answer:
            if json.load(answer)["data"]["result"]:
                return
        assert time.monotonic() < deadline, "the target was never scraped"
        time.sleep(0.1)
