from __future__ import annotations

from pathlib import Path

import pytest

from axon_quant.config import load_config, parse_config

EXAMPLE = Path(__file__).with_name("complete.toml")
EXAMPLE_TEXT = EXAMPLE.read_text()


def test_the_hash_is_the_same_from_any_folder(minimal: str, tmp_path: Path) -> None:
    hashes = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.onnx").write_bytes(name.encode())
        file = tmp_path / name / "c.toml"
        file.write_text(minimal.replace('builtin = "demo-64x128"', f'path = "{name}.onnx"'))
        hashes.add(load_config(file).sha256)
    assert len(hashes) == 1
    assert all(len(value) == 64 for value in hashes)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('path = "journal/btcusdt.db"', 'path = "elsewhere.db"\nstrict = true'),
        ("# port = 9100", "port = 9100"),
        ('max_position = "0.05"', "max_position = 5e-2"),
        ('price_collar = 0.05\nmax_position = "0.05"', 'max_position = "0.050"'),
        ("window = 64\n", ""),
        ("horizon_rows = 10", "horizon_rows = 10\nsave_every_rounds = 7"),
        ("latency_ms = 5", "latency_ms = 5.0"),
        ('name = "target-position"  # or "strategies/mine.py:MyStrategy"\n', ""),
        ("[risk]", "[risk]\nmax_reference_age_ms = 2000\nmax_open_orders = 50"),
        ("# A strategy", "# The strategy"),
    ],
)
def test_what_does_not_affect_trading_leaves_the_hash(before: str, after: str) -> None:
    assert before in EXAMPLE_TEXT
    assert parse_config(EXAMPLE_TEXT.replace(before, after, 1), EXAMPLE).sha256 == load_config(EXAMPLE).sha256


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("seed = 7", "seed = 8"),
        ('tick_size = "0.01"', 'tick_size = "0.1"'),
        ("window = 64", "window = 65"),
        ('name = "flow"', 'name = "flow2"'),
        ('builtin = "demo-64x128"\n', 'builtin = "other"\n'),
        ('backend = "onnx"', 'backend = "onnx"\nfp16 = true'),
        ("horizon_rows = 10", "horizon_rows = 11"),
        ("horizon_rows = 10", 'horizon_rows = 10\ndrift = "cusum"'),
        ("horizon_rows = 10", "horizon_rows = 10\nresume = false"),
        ('name = "target-position"', 'name = "other"'),
        ('target = "0.008"', 'target = "0.009"'),
        ("order_lifetime_ms = 1_500", "order_lifetime_ms = 1_500\nstart = 1979-05-27"),
        ("price_collar = 0.05", "price_collar = 0.051"),
        ('max_drawdown = "0.10"', 'max_drawdown = "0.11"'),
        ('USDT = "100000"', 'USDT = "100001"'),
        ("latency_ms = 5", "latency_ms = 6"),
        ('maker_fee = "0.0002"', 'maker_fee = "0.0003"'),
        ('name = "paper"', 'name = "paper"\ntestnet = false'),
    ],
)
def test_what_affects_trading_changes_the_hash(before: str, after: str) -> None:
    assert before in EXAMPLE_TEXT
    assert parse_config(EXAMPLE_TEXT.replace(before, after, 1), EXAMPLE).sha256 != load_config(EXAMPLE).sha256


def test_secrets_leave_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    text = EXAMPLE_TEXT.replace("latency_ms = 5", 'latency_ms = 5\napi_key = "env:K"\napi_secret = "env:K"')
    hashes = {load_config(EXAMPLE).sha256}
    for value in ("one-key", "another-key"):
        monkeypatch.setenv("K", value)
        hashes.add(parse_config(text, EXAMPLE).sha256)
    assert len(hashes) == 1


def test_the_folder_of_a_strategy_file_leaves_the_hash(minimal: str, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    hashes = []
    for folder in (tmp_path, tmp_path / "deep"):
        (folder / "mine.py").write_text("")
        text = f'{minimal}\n[strategy]\nname = "{(folder / "mine.py").relative_to(tmp_path)}:Mine"\n'
        hashes.append(parse_config(text, tmp_path / "c.toml").sha256)
    assert hashes[0] == hashes[1]
