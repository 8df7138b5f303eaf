"""Checks of what watches the run: the endpoint, the alert rules, and Prometheus itself where it can be asked."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from axon_quant.metrics import MetricsCollector
from axon_quant.preflight.facts import Facts
from axon_quant.preflight.rows import Finding, failed, passed, unknown
from axon_quant.preflight.scraping import Scrape, scrape

_RULES = ("trading.yml", "operations.yml")
_PORT = "set [metrics] port = 9100, and let Prometheus scrape it"
_PROMETHEUS = "let it load the files that axon alerts writes, and reload it"


def metrics(facts: Facts) -> Finding:
    """Can the metrics be scraped where the configuration says?"""
    port = facts.config.metrics.port
    if not port:
        return failed("no metrics are served" if port is None else "port 0 is another one with each run", _PORT)
    found = facts.scrape
    if found is None:
        with MetricsCollector(initial_equity=1.0) as collector:
            collector.export_prometheus(port=port)
            found = scrape(port) or Scrape({}, problem="it does not answer")
        told = "no run serves it yet; tried out with a collector of its own"
        return _scraped(found, port, told)
    if found.unready is not None:
        return failed(f"127.0.0.1:{port} is not ready: {found.unready}", "see docs/runbook.md, NotReady")
    return _scraped(found, port, "of the run that is going")


def _scraped(found: Scrape, port: int, told: str) -> Finding:
    if found.problem is not None:
        return failed(f"127.0.0.1:{port}: {found.problem}", "end what else listens there, or take another port")
    series = sum(map(len, found.samples.values()))
    return passed(f"127.0.0.1:{port} gives {series} series, {told}")


def alert_rules(facts: Facts) -> Finding:  # noqa: ARG001 - the shipped rules need no configuration
    """Does Prometheus's own tool take the alert rules?"""
    promtool = shutil.which("promtool")
    if promtool is None:
        return unknown("promtool is not installed, so nobody has read the rules", "install Prometheus's promtool")
    with tempfile.TemporaryDirectory() as folder:
        names = []
        for name in _RULES:
            (Path(folder) / name).write_bytes((files("axon_quant.metrics") / "alerts" / name).read_bytes())
            names.append(str(Path(folder) / name))
        done = subprocess.run(  # noqa: S603 - found on the user's own path
            [promtool, "check", "rules", *names], capture_output=True, text=True, timeout=30, check=False
        )
    if done.returncode:
        return failed(f"promtool: {(done.stderr or done.stdout).strip()[:300]}", "report it: these rules are shipped")
    return passed(f"promtool takes {' and '.join(_RULES)}")


def prometheus(facts: Facts) -> Finding:
    """Has Prometheus loaded the rules, and is somebody told of an alert?"""
    if facts.prometheus is None:
        return unknown("no Prometheus was named", "name yours with --prometheus URL")
    if urlsplit(facts.prometheus).scheme not in ("http", "https"):
        return failed(f"{facts.prometheus!r} is no http address", "write --prometheus http://127.0.0.1:9090")
    try:
        groups = _asked(facts.prometheus, "rules")["groups"]
        managers = _asked(facts.prometheus, "alertmanagers")["activeAlertmanagers"]
    except (URLError, HTTPException, OSError, ValueError, KeyError, TypeError) as error:
        return failed(f"{facts.prometheus} does not answer as Prometheus does: {error}", "check the address")
    loaded = {rule["name"] for group in groups for rule in group["rules"] if rule.get("type") == "alerting"}
    missing = sorted(_alerts() - loaded)
    if missing:
        return failed(f"{facts.prometheus} has no rule {', '.join(missing)}", _PROMETHEUS)
    if not managers:
        return failed(f"{facts.prometheus} knows no Alertmanager: nobody is told", "add it under alerting:")
    return passed(f"{facts.prometheus} has all {len(_alerts())} alerts and {len(managers)} Alertmanager")


def _alerts() -> set[str]:
    found = set()
    for name in _RULES:
        for line in (files("axon_quant.metrics") / "alerts" / name).read_text("utf-8").splitlines():
            word, _, value = line.strip().removeprefix("- ").partition(":")
            if word == "alert":
                found.add(value.strip())
    return found


def _asked(root: str, what: str) -> dict[str, list[dict[str, Any]]]:
    with urlopen(f"{root.rstrip('/')}/api/v1/{what}", timeout=10) as answer:  # noqa: S310 - http was checked
        data: dict[str, list[dict[str, Any]]] = json.load(answer)["data"]
    return data
