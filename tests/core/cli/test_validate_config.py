from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from axon_quant.cli import main

EXAMPLE = Path(__file__).parents[1] / "config" / "complete.toml"


def validate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["validate-config", *map(str, arguments)])


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    file = tmp_path / "broken.toml"
    file.write_text(EXAMPLE.read_text().replace("max_drawdown", "max_drawdwon").replace("seed = 7", "seed = -7"))
    return file


def test_a_valid_configuration_is_summed_up_on_one_screen() -> None:
    result = validate("-c", EXAMPLE)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{EXAMPLE} is valid\n")
    assert "BTCUSDT" in result.stdout
    assert "paper with 100000 USDT" in result.stdout
    assert result.stdout.count("\n") < 24


def test_a_rollout_is_summed_up_where_there_is_one(tmp_path: Path) -> None:
    shadow = '[rollout]\nmodel = "flow"\nbuiltin = "demo-64x128-reversion"\n'
    canary = shadow + 'mode = "canary"\nsteps = [0, 0.05, 1]\nmax_notional = "1000"\n'
    for text, line in (
        (shadow, "demo-64x128-reversion in the shadow of flow"),
        (canary, "demo-64x128-reversion as a canary of flow by symbol: 0% → 5% → 100%, ≤ 1000"),
    ):
        (tmp_path / "c.toml").write_text(EXAMPLE.read_text() + text)
        assert line in validate("-c", tmp_path / "c.toml").stdout
    assert "  rollout " not in validate("-c", EXAMPLE).stdout


def test_a_valid_configuration_as_json_has_no_problems() -> None:
    result = validate("-c", EXAMPLE, "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert (answer["ok"], answer["file"], answer["problems"]) == (True, str(EXAMPLE), [])


def test_every_mistake_is_printed_with_file_line_and_suggestion(broken: Path) -> None:
    result = validate("-c", broken)
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"{broken}:8: run.seed: must be between 0 and 9223372036854775807, got -7",
        f"{broken}:55: risk.max_drawdwon: unknown key; did you mean 'max_drawdown'?",
    ]


def test_every_mistake_is_listed_as_json(broken: Path) -> None:
    result = validate("-c", broken, "--json")
    assert result.exit_code == 2
    answer = json.loads(result.stdout)
    assert answer["ok"] is False
    assert answer["file"] == str(broken)
    assert answer["problems"][1] == {
        "line": 55,
        "key": "risk.max_drawdwon",
        "message": "unknown key; did you mean 'max_drawdown'?",
    }


def test_a_file_that_cannot_be_parsed_is_a_problem_too(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[run]\nseed = \n")
    (problem,) = json.loads(validate("-c", file, "--json").stdout)["problems"]
    assert problem["line"] == 2
    result = validate("-c", tmp_path / "none.toml")
    assert result.exit_code == 2
    assert "no such file" in result.stderr


def test_keys_are_mentioned_but_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API", "hunter2")
    keys = 'name = "binance"\ntestnet = false\napi_key = "env:API"\napi_secret = "env:API"'
    file = tmp_path / "c.toml"
    file.write_text(EXAMPLE.read_text().replace('name = "paper"', keys))
    result = validate("-c", file)
    assert result.exit_code == 0
    assert "binance, PRODUCTION, with keys" in result.stdout
    assert "hunter2" not in result.output


def test_the_file_must_be_named() -> None:
    result = validate()
    assert result.exit_code == 2
    assert "-c" in result.stderr


def test_it_runs_as_a_process_from_any_folder(broken: Path) -> None:
    command = [sys.executable, "-m", "axon_quant.cli", "validate-config", "-c", broken.name]
    result = subprocess.run(command, cwd=broken.parent, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 2
    assert result.stderr.splitlines()[1].startswith("broken.toml:55: risk.max_drawdwon: unknown key")
    assert "Traceback" not in result.stderr


def test_nine_mistakes_in_one_file_are_nine_lines_each_with_its_place_and_what_to_write_instead(root, tmp_path) -> None:
    text = (root / "examples" / "production" / "production.toml").read_text()
    mistakes = {
        "seed = 7": ('seed = "7"', "run.seed: must be an integer, found a string"),
        'tick_size = "0.01"': ('tick_size = "-0.01"', "market.instruments[0].tick_size: must be above 0"),
        "window = 64": ("windw = 64", "observation.windw: unknown key; did you mean 'window'?"),
        "interval_ms = 100": ("interval_ms = 0", "observation.interval_ms: must"),
        'name = "reversion"': ('name = "flow"', "models[1].name: 'flow' is the name of another model"),
        'max_daily_loss = "0.02"': ("max_daily_loss = 3", "risk.max_daily_loss: must be a fraction in (0, 1], got 3"),
        "max_drawdown": ("max_drawdwon", "risk.max_drawdwon: unknown key; did you mean 'max_drawdown'?"),
        'api_key = "env:BINANCE_API_KEY"': ('api_key = "abc123"', "exchange.api_key: a secret must not stand in"),
        "requests_per_second = 10": ("requests_per_second = 0", "exchange.rate_limit.requests_per_second: must"),
    }
    expected = []
    for right, (wrong, message) in mistakes.items():
        line = text[: text.index(right)].count("\n") + 1
        text = text.replace(right, wrong, 1)
        expected.append((line, message))
    file = tmp_path / "production.toml"
    file.write_text(text)
    done = CliRunner().invoke(main, ["validate-config", "-c", str(file)], env={"BINANCE_API_SECRET": "x"})
    assert done.exit_code == 2
    found = [line.removeprefix(f"{file}:") for line in done.stderr.splitlines()]
    assert len(found) == 9, done.stderr
    for (line, message), told in zip(sorted(expected), found, strict=True):
        assert told.startswith(f"{line}: {message}"), told
    assert "abc123" not in done.output


def test_what_no_plugin_provides_is_told_beside_the_other_mistakes(root: Path, tmp_path: Path) -> None:
    text = (root / "examples" / "btcusdt.toml").read_text()
    mistakes = {
        "seed = 7": ('seed = "7"', "run.seed: must be an integer, found a string"),
        '"microstructure-128"': ('"microstructur-128"', "observation.features: must be the one set there is"),
        'backend = "onnx"': (
            'backend = "onxx"',
            "models[0].backend: no plugin provides the backend 'onxx'; there is: ",
        ),
        '"softmax-sharpe"': ('"softmx"', "ensemble.strategy: no plugin provides the ensemble 'softmx'"),
        'target = "0.04"': ('taget = "0.04"', "strategy.options.taget: unknown option; did you mean 'target'?"),
        'name = "paper"': ('name = "papr"', "exchange.name: no plugin provides the exchange 'papr'"),
    }
    expected = []
    for right, (wrong, message) in mistakes.items():
        expected.append((text[: text.index(right)].count("\n") + 1, message))
        text = text.replace(right, wrong, 1)
    file = tmp_path / "run.toml"
    file.write_text(text)
    done = CliRunner().invoke(main, ["validate-config", "-c", str(file)])
    assert done.exit_code == 2
    found = [line.removeprefix(f"{file}:") for line in done.stderr.splitlines()]
    assert len(found) == len(expected), done.stderr
    for (line, message), told in zip(sorted(expected), found, strict=True):
        assert told.startswith(f"{line}: {message}"), told


def test_a_strategy_that_does_not_exist_is_a_mistake_in_its_line(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text((root / "examples" / "btcusdt.toml").read_text().replace('"target-position"', '"target-positon"'))
    done = CliRunner().invoke(main, ["validate-config", "-c", str(file)])
    assert "strategy.name: there is no strategy 'target-positon'; did you mean 'target-position'?" in done.stderr


def test_no_plugin_is_imported_to_validate(root: Path) -> None:
    command = (
        "import sys; from axon_quant.runtime.names import load_runnable; "
        f"load_runnable({str(root / 'examples' / 'btcusdt.toml')!r}); "
        "sys.exit(str({'onnxruntime', 'aiohttp', 'ccxt'} & sys.modules.keys() or 0))"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr.strip() == "0", done.stderr
