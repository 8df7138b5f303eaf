"""The deployment checklist: what it finds by itself, and that it never says pass for what it does not know."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from axon_exchange_binance.simulator import BinanceSimulator
from axon_exchange_okx.simulator import OkxSimulator
from axon_quant.cli import main
from axon_quant.preflight import CHECKS, Facts, check_all
from axon_quant.preflight.checklist import Check
from axon_quant.preflight.rows import GUIDE, Line, Status


def rows(*arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = CliRunner().invoke(main, ["preflight", "--json", *arguments])
    return done.exit_code, {row["check"]: row for row in json.loads(done.stdout)["rows"]}


def test_every_line_of_the_checklist_has_a_row():
    assert {check.line for check in CHECKS} == set(Line) == set(GUIDE)


def test_on_the_paper_venue_what_can_be_known_is_known_and_the_rest_is_unknown(root, tmp_path):
    config = tmp_path / "run.toml"
    config.write_bytes((root / "examples" / "btcusdt.toml").read_bytes())
    code, found = rows("-c", str(config))
    status = {name: row["status"] for name, row in found.items()}
    for name in ("configuration", "plugins", "strategy", "disk", "journal", "venue", "symbols"):
        assert status[name] == "pass", found[name]
    for name in ("tests", "load test", "backup", "staging", "latency", "errors", "pnl", "issues"):
        assert status[name] == "unknown", found[name]
        assert found[name]["fix"]
    assert status["metrics"] == "fail"
    assert code == 1


def test_a_configuration_that_cannot_be_read_fails_and_says_where(tmp_path):
    config = tmp_path / "run.toml"
    config.write_text("[market]\nsymbols = 3\n")
    code, found = rows("-c", str(config))
    assert code == 1
    assert found["configuration"]["status"] == "fail"
    assert "run.toml" in found["configuration"]["evidence"]


def test_a_configuration_that_is_not_there_fails_with_a_fix_of_its_own(tmp_path):
    row = rows("-c", str(tmp_path / "nowhere.toml"))[1]["configuration"]
    assert row["status"] == "fail"
    assert row["evidence"].endswith("nowhere.toml: no such file")
    assert row["fix"] == "name a configuration file with -c FILE"


def test_a_check_that_breaks_fails_by_itself_and_keeps_no_other_from_it(root):
    def broken(facts: Facts) -> None:
        raise RuntimeError("broken")

    checks = (Check("broken", Line.Tests, broken), CHECKS[1])
    first, second = check_all(Facts(root / "examples" / "btcusdt.toml"), checks)
    assert first.status is Status.Fail
    assert "broken" in first.evidence
    assert second.status is Status.Pass


@pytest.fixture
def at_binance(root, tmp_path, monkeypatch):
    """A configuration for the simulator; rows of a preflight there, after `spoil(simulator)`."""

    def look(
        spoil, *, secret: str = "YOUR_API_SECRET", symbol: str = "BTCUSDT", more: str = ""
    ) -> dict[str, dict[str, str]]:
        text = (root / "examples" / "btcusdt.toml").read_text().replace("BTCUSDT", symbol)
        venue = '[exchange]\nname = "binance"\napi_key = "env:KEY"\napi_secret = "env:SECRET"\n' + more
        config = Path(tmp_path / "run.toml")
        config.write_text(re.sub(r"\[exchange\][^\[]*", venue, text))
        monkeypatch.setenv("KEY", "YOUR_API_KEY")
        monkeypatch.setenv("SECRET", secret)

        async def preflight():
            simulator = BinanceSimulator(prices={"BTCUSDT": 50_000.0})
            roots = await simulator.start()
            monkeypatch.setenv("AXON_BINANCE_REST_URL", roots["rest"])
            monkeypatch.setenv("AXON_BINANCE_WS_URL", roots["ws"])
            spoil(simulator)
            try:
                return await asyncio.to_thread(rows, "-c", str(config), "--patience", "6")
            finally:
                await simulator.stop()

        return asyncio.run(preflight())[1]

    return look


def test_a_venue_where_all_is_well_passes(at_binance):
    found = at_binance(lambda simulator: None)
    assert {name: found[name]["status"] for name in ("venue", "clock", "key", "symbols")} == dict.fromkeys(
        ("venue", "clock", "key", "symbols"), "pass"
    )


def test_a_clock_that_nobody_keeps_fails(at_binance):
    def spoil(simulator):
        simulator.drift_ms = 5_000.0

    row = at_binance(spoil)["clock"]
    assert row["status"] == "fail"
    assert re.search(r"(49|50)\d\d ms behind", row["evidence"])


def test_a_wrong_secret_fails_without_being_told(at_binance):
    found = at_binance(lambda simulator: None, secret="not the right one")
    assert "fail" in {found["venue"]["status"], found["key"]["status"]}
    assert "not the right one" not in json.dumps(found)


def test_a_key_that_may_withdraw_fails_with_the_fix(at_binance):
    def spoil(simulator):
        for account in simulator.exchange.accounts.values():
            account.may_withdraw = True

    found = at_binance(spoil, more="testnet = false\n")
    assert found["key"]["status"] == "fail"
    assert found["key"]["evidence"] == "binance: this API key may withdraw funds"
    assert "may not withdraw" in found["key"]["fix"]
    assert (found["venue"]["status"], found["symbols"]["status"]) == ("pass", "unknown")


def test_a_key_that_may_not_trade_fails_with_the_fix(at_binance):
    def spoil(simulator):
        for account in simulator.exchange.accounts.values():
            account.may_trade = False

    found = at_binance(spoil, more="testnet = false\n")
    assert found["key"]["status"] == "fail"
    assert found["key"]["evidence"] == "binance: this API key may not trade"
    assert "permission to trade" in found["key"]["fix"]


def test_in_production_a_key_that_may_only_trade_passes(at_binance):
    found = at_binance(lambda simulator: None, more="testnet = false\n")
    assert found["key"]["status"] == "pass", found["key"]
    assert "PRODUCTION" in found["venue"]["evidence"]


def test_of_a_testnet_s_key_nothing_follows_for_production_s(at_binance):
    found = at_binance(lambda simulator: None)
    assert "Production's key is another one" in found["key"]["evidence"]


def test_at_okx_a_key_that_may_withdraw_fails_with_the_fix(root, tmp_path, monkeypatch):
    text = (root / "examples" / "btcusdt.toml").read_text().replace("BTCUSDT", "BTC-USDT")
    venue = '[exchange]\nname = "okx"\napi_key = "env:KEY"\napi_secret = "env:SECRET"\npassphrase = "env:PHRASE"\n'
    config = tmp_path / "run.toml"
    config.write_text(re.sub(r"\[exchange\][^\[]*", venue, text))
    for name, value in (("KEY", "API_KEY"), ("SECRET", "API_SECRET"), ("PHRASE", "PASSPHRASE")):
        monkeypatch.setenv(name, f"YOUR_{value}")

    async def preflight():
        simulator = OkxSimulator()
        roots = await simulator.start()
        for account in simulator.exchange.accounts.values():
            account.may_withdraw = True
        monkeypatch.setenv("AXON_OKX_REST_URL", roots["rest"])
        monkeypatch.setenv("AXON_OKX_WS_URL", roots["ws"])
        try:
            return await asyncio.to_thread(rows, "-c", str(config), "--patience", "6")
        finally:
            await simulator.stop()

    _, found = asyncio.run(preflight())
    assert found["key"]["status"] == "fail", found["venue"]
    assert found["key"]["evidence"] == "okx: this API key may withdraw funds"
    assert "may not withdraw" in found["key"]["fix"]


def test_a_symbol_that_the_venue_does_not_have_fails(at_binance):
    found = at_binance(lambda simulator: None, symbol="XYZUSDT")
    assert found["symbols"]["status"] == "fail"
    assert "XYZUSDT" in found["symbols"]["evidence"]


def test_a_venue_that_is_not_there_fails_and_the_rest_says_that_it_is_unknown(at_binance, monkeypatch):
    def spoil(simulator):
        monkeypatch.setenv("AXON_BINANCE_REST_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AXON_BINANCE_WS_URL", "ws://127.0.0.1:9")

    found = at_binance(spoil)
    assert found["venue"]["status"] == "fail"
    assert {found[name]["status"] for name in ("clock", "key", "symbols")} <= {"unknown", "fail"}
