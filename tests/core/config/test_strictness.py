"""What a permissive converter lets through, and this one must not."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import attrs
import pytest

from axon_quant.config import parse_config
from axon_quant.risk import RiskLimits

Mistakes = Callable[[str], list[str]]


@pytest.mark.parametrize(
    ("section", "line", "message"),
    [
        ("run", 'seed = "7"', "run.seed: must be an integer, found a string"),
        ("run", "seed = 3.9", "run.seed: must be an integer, found a number"),
        ("run", "seed = 7.0", "run.seed: must be an integer, found a number"),
        ("run", "seed = true", "run.seed: must be an integer, found true or false"),
        ("run", "seed = 1979-05-27", "run.seed: must be an integer, found a date"),
        ("run", "seed = 07:32:00", "run.seed: must be an integer, found a time"),
        ("run", "seed = 99999999999999999999", "run.seed: does not fit into 64 bits"),
        ("risk", 'price_collar = "0.05"', "risk.price_collar: must be a number, found a string"),
        ("risk", "price_collar = true", "risk.price_collar: must be a number, found true or false"),
        ("risk", "price_collar = [0.05]", "risk.price_collar: must be a number, found an array"),
        ("risk", "price_collar = " + "9" * 400, "risk.price_collar: does not fit into 64 bits"),
        ("risk", "max_notional = true", "risk.max_notional: must be a number or a string with a number, found true"),
        ("risk", 'max_notional = "much"', "risk.max_notional: must be a finite number"),
        ("risk", 'max_notional = " 0.01"', "risk.max_notional: must be a finite number"),
        ("risk", 'max_notional = "0_1"', "risk.max_notional: must be a finite number"),
        ("risk", 'max_notional = "٠.٥"', "risk.max_notional: must be a finite number"),
        ("risk", 'max_notional = "1e-300"', "risk.max_notional: must be 0 or between"),
        ("risk", f'max_notional = "0.{"1" * 29}"', "risk.max_notional: must have at most 28 significant digits"),
        ("metrics", "port = [9100]", "metrics.port: must be an integer, found an array"),
        ("ensemble", "strategy = 1", "ensemble.strategy: must be a string, found an integer"),
        ("observation", "features = {}", "observation.features: must be a string, found a table"),
    ],
)
def test_a_value_of_the_wrong_type_is_never_converted(
    mistakes: Mistakes, minimal: str, section: str, line: str, message: str
) -> None:
    (found,) = mistakes(f"{minimal}\n[{section}]\n{line}\n")
    assert found.startswith(f"c.toml:{minimal.count(chr(10)) + 3}: {message}")


def test_a_string_is_not_taken_for_a_list(mistakes: Mistakes, minimal: str) -> None:
    text = minimal.replace('["BTCUSDT"]', '"BTCUSDT"')
    assert mistakes(text) == ["c.toml:2: market.symbols: must be an array, found a string"]


def test_the_word_false_is_not_true(mistakes: Mistakes, minimal: str) -> None:
    text = minimal.replace('path = "journal.db"', 'path = "journal.db"\nstrict = "false"')
    assert mistakes(text) == ["c.toml:20: journal.strict: must be true or false, found a string"]


def test_a_table_is_not_taken_for_an_array_of_tables(mistakes: Mistakes, minimal: str) -> None:
    assert mistakes(minimal.replace("[[models]]", "[models]")) == ["c.toml:11: models: must be an array, found a table"]


def test_a_section_must_be_a_table(mistakes: Mistakes, minimal: str) -> None:
    assert mistakes(f"run = 7\n{minimal}") == ["c.toml:1: run: must be a table, found an integer"]


@pytest.mark.parametrize("written", ['"0.1"', "0.1", '"1e-1"', '"+0.10"'])
def test_money_is_the_number_as_written(minimal: str, written: str) -> None:
    assert parse_config(f"{minimal}\n[risk]\nmax_notional = {written}\n", "c.toml").risk.max_notional == Decimal("0.1")


def test_an_integer_is_a_number(minimal: str) -> None:
    config = parse_config(f"{minimal}\n[risk]\nmax_notional = 1\nprice_collar = 1\n", "c.toml")
    assert (config.risk.max_notional, config.risk.price_collar) == (Decimal(1), 1.0)
    assert type(config.risk.price_collar) is float


NUMBERS = [
    ("run", "seed"),
    ("observation", "window"),
    ("observation", "interval_ms"),
    ("observation", "max_silence_ms"),
    ("ensemble", "performance_window"),
    ("ensemble", "horizon_rows"),
    ("ensemble", "max_failures"),
    ("ensemble", "retry_after_decisions"),
    ("ensemble", "trial_decisions"),
    ("ensemble", "save_every_rounds"),
    ("metrics", "port"),
    ("exchange.rate_limit", "requests_per_second"),
    ("exchange.rate_limit", "orders_per_minute"),
    ("exchange.reconnect", "max_retries"),
    ("exchange.reconnect", "initial_backoff_ms"),
    *(("risk", field.name) for field in attrs.fields(RiskLimits)),
]


@pytest.mark.parametrize(("section", "key"), NUMBERS)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1"])
def test_no_number_is_nan_infinite_or_below_its_range(
    mistakes: Mistakes, minimal: str, section: str, key: str, value: str
) -> None:
    (found,) = mistakes(f"{minimal}\n[{section}]\n{key} = {value}\n")
    assert found.startswith(f"c.toml:{minimal.count(chr(10)) + 3}: {section}.{key}: must be ")


@pytest.mark.parametrize("key", ["latency_ms", "maker_fee", "taker_fee"])
@pytest.mark.parametrize("value", ["nan", '"NaN"', "inf", "-1", "100000"])
def test_no_cost_of_the_paper_venue_is_out_of_range(mistakes: Mistakes, minimal: str, key: str, value: str) -> None:
    (found,) = mistakes(minimal.replace("[exchange]", f"[exchange]\n{key} = {value}"))
    assert found.startswith(f"c.toml:16: exchange.{key}: must be ")


@pytest.mark.parametrize("key", ["tick_size", "lot_size"])
@pytest.mark.parametrize("value", ["nan", '"NaN"', "0", '"-0.01"', "inf"])
def test_no_grid_is_zero_negative_or_nan(mistakes: Mistakes, minimal: str, key: str, value: str) -> None:
    text = "\n".join(f"{key} = {value}" if line.startswith(key) else line for line in minimal.splitlines())
    (found,) = mistakes(text)
    assert f": market.instruments[0].{key}: must be " in found


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("weight = nan", "weight: must be a finite number, got nan"),
        ("weight = -0.1", "weight: must be between 0 and"),
        ('device = "gpu"', "device: must be 'cpu', 'cuda' or 'cuda:N', got 'gpu'"),
        ("input_shape = [1, 0]", "input_shape: must be between 1"),
        ("input_shape = []", "input_shape: must not be empty"),
        ("input_shape = [1, 6.4]", "input_shape[1]: must be an integer"),
        ("num_threads = 0", "num_threads: must be between 1 and 256, got 0"),
        ('actions = ["buy", "buy"]', "actions: must not name 'buy' twice"),
        ('actions = "buy"', "actions: must be an array, found a string"),
        ('sha256 = "abc"', "sha256: must be 64 lower-case hexadecimal digits"),
        ('backend = ""', "backend: must be a name"),
    ],
)
def test_a_model_entry_is_checked(mistakes: Mistakes, minimal: str, line: str, message: str) -> None:
    (found,) = mistakes(minimal.replace("[[models]]", f"[[models]]\n{line}"))
    assert found.startswith(f"c.toml:12: models[0].{message}")


@pytest.mark.parametrize("value", ["nan", "[1, inf]", "{ deep = [{ x = -inf }] }"])
def test_not_even_a_strategy_option_is_nan(mistakes: Mistakes, minimal: str, value: str) -> None:
    (found,) = mistakes(f"{minimal}\n[strategy.options]\nx = {value}\n")
    assert "strategy.options.x" in found
    assert "must be a finite number" in found
