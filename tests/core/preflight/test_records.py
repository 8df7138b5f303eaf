"""What a load test left behind, as the checklist takes it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from axon_quant.config import load_config
from axon_quant.load import LoadReport, Quantiles, report_path, write_report
from axon_quant.preflight import CHECKS, Facts, Row, check_all

CHECKED = [check for check in CHECKS if check.name == "load test"]


@pytest.fixture
def config(root, tmp_path) -> Path:
    file = tmp_path / "run.toml"
    file.write_bytes((root / "examples" / "btcusdt.toml").read_bytes())
    return file


def found(config: Path) -> Row:
    (row,) = check_all(Facts(config), CHECKED)
    return row


def keep(config: Path, *, p99: float, sla_ms: float, verdict: str = "pass") -> None:
    read = load_config(config)
    latency = Quantiles(1_000, 10.0, p99, p99)
    report = LoadReport(
        outcome="completed",
        verdict=verdict,
        reason="as it was told then",
        sla_ms=sla_ms,
        market="generated",
        rate=2_000.0,
        achieved_rate=1_999.0,
        seconds=30.0,
        messages=60_000,
        decisions=1_000,
        orders=10,
        fills=5,
        rejects=0,
        decision_latency_us=latency,
        message_latency_us=latency,
        generator_lateness_us=Quantiles(60_000, 1.0, 2.0, 3.0),
        stages_us={},
        config_sha256=read.sha256,
        finished=1_700_000_000_000_000_000,
    )
    write_report(report, report_path(read))


def test_a_test_within_the_sla_passes_and_says_how_it_was_made(config):
    sla = load_config(config).operations.latency_sla_ms
    keep(config, p99=sla * 100, sla_ms=sla)
    row = found(config)
    assert row.status.value == "pass", row
    assert "2,000 messages a second" in row.evidence
    assert "2023-11-14" in row.evidence


def test_a_test_against_a_laxer_sla_is_held_to_the_configured_one(config):
    sla = load_config(config).operations.latency_sla_ms
    keep(config, p99=sla * 2_000, sla_ms=sla * 1_000)
    row = found(config)
    assert row.status.value == "fail", row
    assert f"SLA {sla:g} ms" in row.evidence


def test_a_test_against_a_stricter_sla_is_held_to_the_configured_one_too(config):
    sla = load_config(config).operations.latency_sla_ms
    keep(config, p99=sla * 100, sla_ms=sla / 1_000, verdict="fail")
    assert found(config).status.value == "pass"


def test_a_test_of_another_configuration_is_unknown(config):
    keep(config, p99=1.0, sla_ms=1.0)
    config.write_text(re.sub(r"seed = \d+", "seed = 12345", config.read_text()))
    row = found(config)
    assert row.status.value == "unknown"
    assert "another configuration" in row.evidence


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"\xff", b'{"outcome": "completed"}', b'{"x": ' + b"[" * 200_000]
)
def test_a_report_that_cannot_be_read_is_unknown_and_named(config, content, caplog):
    path = report_path(load_config(config))
    path.parent.mkdir()
    path.write_bytes(content)
    row = found(config)
    assert row.status.value == "unknown"
    assert str(path) in row.evidence
    assert not caplog.records


def test_a_report_with_a_verdict_that_does_not_exist_is_unknown(config):
    keep(config, p99=1.0, sla_ms=1.0)
    path = report_path(load_config(config))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"verdict": "splendid"}))
    assert found(config).status.value == "unknown"
