from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_quant.config import Config, RateLimitEntry, load_config, parse_config
from axon_quant.errors import AxonError, ConfigError
from axon_quant.risk import RiskLimits

Mistakes = Callable[[str], list[str]]

EXAMPLE = Path(__file__).with_name("complete.toml")
EXAMPLE_TEXT = EXAMPLE.read_text()


def test_the_example_is_read_as_written() -> None:
    config = load_config(EXAMPLE)
    assert config.run.seed == 7
    assert config.market.symbols == ("BTCUSDT",)
    assert config.market.instruments[0].lot_size == Decimal("0.00001")
    assert [model.name for model in config.models] == ["flow", "reversion"]
    assert config.strategy.options == {"target": "0.008", "allow_short": False, "order_lifetime_ms": 1500}
    assert isinstance(config.risk, RiskLimits)
    assert config.risk.max_position == Decimal("0.05")
    assert config.exchange.balances == {"USDT": Decimal(100_000)}
    assert config.metrics.port is None
    assert config.folder == EXAMPLE.parent


def test_an_instrument_entry_becomes_an_instrument_of_the_venue() -> None:
    instrument = load_config(EXAMPLE).market.instruments[0].instrument("paper")
    assert instrument.key == "PAPER:BTCUSDT"
    assert (instrument.tick_size, instrument.min_notional) == (Decimal("0.01"), Decimal(5))


def test_what_is_left_out_has_a_default(minimal: str) -> None:
    config = parse_config(minimal, "c.toml")
    assert config.risk == RiskLimits()
    assert config.exchange.testnet is True
    assert config.exchange.rate_limit == RateLimitEntry()
    assert config.journal.strict is False
    assert config.initial_weights is None


def test_paths_start_at_the_folder_of_the_file(minimal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "m.onnx").write_bytes(b"")
    (tmp_path / "c.toml").write_text(minimal.replace('builtin = "demo-64x128"', 'path = "models/m.onnx"'))
    monkeypatch.chdir("/")
    config = load_config(tmp_path / "c.toml")
    assert config.models[0].path == tmp_path / "models" / "m.onnx"
    assert config.journal.path == tmp_path / "journal.db"


def test_a_relative_file_name_still_gives_absolute_paths(
    minimal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.toml").write_text(minimal)
    monkeypatch.chdir(tmp_path)
    assert load_config("c.toml").journal.path == tmp_path / "journal.db"


def test_every_mistake_is_reported_at_once_in_the_order_of_the_file(mistakes: Mistakes) -> None:
    text = (
        EXAMPLE_TEXT.replace("seed = 7", 'seed = "7"')
        .replace('name = "reversion"', 'name = "flow"')
        .replace("max_drawdown", "max_drawdwon")
        .replace('max_daily_loss = "0.02"', "max_daily_loss = 3")
        .replace('taker_fee = "0.0005"', "taker_fee = nan")
        .replace("[journal]\npath", "[journal]\n# path")
    )
    assert mistakes(text) == [
        "c.toml:8: run.seed: must be an integer, found a string",
        "c.toml:33: models[1].name: 'flow' is the name of another model",
        "c.toml:54: risk.max_daily_loss: must be a fraction in (0, 1], got 3",
        "c.toml:55: risk.max_drawdwon: unknown key; did you mean 'max_drawdown'?",
        'c.toml:62: exchange.taker_fee: must be a finite number such as "0.01"',
        "c.toml:64: journal.path: required, but missing",
    ]


def test_the_error_prints_its_count_and_each_mistake(tmp_path: Path, minimal: str) -> None:
    file = tmp_path / "c.toml"
    with pytest.raises(ConfigError) as caught:
        parse_config(f"{minimal}\n[run]\nsede = 1\nseed = -1\n", file)
    first, *rest = str(caught.value).splitlines()
    assert first == f"{file}: has 2 mistakes"
    assert rest == [str(problem) for problem in caught.value.problems]
    assert isinstance(caught.value, AxonError)


def keys_of(text: str) -> list[tuple[int, str, int]]:
    """(line, key, column) of each key whose name is fixed, found without the scanner under test."""
    keys, section = [], ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("["):
            section = line
            keys += [(number, found[0], found.start()) for found in re.finditer(r"\w+", line)]
        elif section != "[strategy.options]":
            keys += [(number, found[0], 0) for found in re.finditer(r"^\w+(?= =)", line)]
    return keys


KEYS = keys_of(EXAMPLE_TEXT)
KNOWN = {word for _, word, _ in KEYS} | set(Config.__annotations__)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(KEYS), st.data())
def test_any_typo_in_a_key_is_reported_on_its_line(key: tuple[int, str, int], data: st.DataObject) -> None:
    number, word, column = key
    at = data.draw(st.integers(0, len(word) - 1))
    letter = data.draw(st.sampled_from("abcxyz_-0"))
    typo = data.draw(
        st.sampled_from(
            [
                word[:at] + word[at + 1 :],
                word[:at] + letter + word[at:],
                word[:at] + letter + word[at + 1 :],
                word[:at] + word[at : at + 2][::-1] + word[at + 2 :],
            ]
        ).filter(lambda text: text and text not in KNOWN)
    )
    lines = EXAMPLE_TEXT.splitlines()
    line = lines[number - 1]
    lines[number - 1] = line[:column] + typo + line[column + len(word) :]
    with pytest.raises(ConfigError) as caught:
        parse_config("\n".join(lines), EXAMPLE)
    found = [problem for problem in caught.value.problems if re.split(r"[.\[]", problem.key)[-1] == typo]
    assert [problem.line for problem in found] == [number]
    assert found[0].message.startswith("unknown key")
    if len(word) > 4:
        assert f"did you mean {word!r}?" in found[0].message


def test_there_are_keys_to_mistype() -> None:
    assert len(KEYS) > 40
    assert {"seed", "instruments", "max_drawdown", "path"} <= {word for _, word, _ in KEYS}


SAME_SYMBOL = """\
[[market.instruments]]
symbol = "BTCUSDT"
base = "B"
quote = "U"
tick_size = 1
lot_size = 1
[[models]]"""


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            'symbols = ["BTCUSDT"]',
            'symbols = ["BTCUSTD"]',
            "c.toml:2: market.symbols[0]: 'BTCUSTD' has no instrument; did you mean 'BTCUSDT'?",
        ),
        (
            'symbols = ["BTCUSDT"]',
            'symbols = [\n "BTCUSDT",\n "X",\n]',
            "c.toml:4: market.symbols[1]: 'X' has no instrument; add a [[market.instruments]] for it",
        ),
        ('symbols = ["BTCUSDT"]', "symbols = []", "c.toml:2: market.symbols: must not be empty"),
        (
            'symbols = ["BTCUSDT"]',
            'symbols = ["BTCUSDT", "BTCUSDT"]',
            "c.toml:2: market.symbols: must not name 'BTCUSDT' twice",
        ),
        ('quote = "USDT"', 'quote = "BTC"', "c.toml:7: market.instruments[0].quote: is the same asset as base, 'BTC'"),
        (
            "[[models]]",
            SAME_SYMBOL,
            "c.toml:12: market.instruments[1].symbol: 'BTCUSDT' has two instruments",
        ),
        ('builtin = "demo-64x128"', "", "c.toml:11: models[0]: needs a path, a builtin or a stored version"),
        ('name = "flow"\n', "", "c.toml:11: models[0].name: required, but missing"),
        ("[[models]]", "[[models]]\ntrusted = true", "c.toml:12: models[0].trusted: a trusted model may run code"),
        (
            "[[models]]",
            '[[models]]\noutput_dim = 3\nactions = ["up", "down"]',
            "c.toml:13: models[0].actions: must name each of the 3 outputs (output_dim), got 2",
        ),
        ("[[models]]", "[[models]]\nweight = 0", "c.toml:12: models[0].weight: the weights must not all be 0"),
        (
            "[[models]]",
            '[[models]]\nname = "a"\nbuiltin = "b"\nweight = 1\n[[models]]',
            "c.toml:15: models[1]: has no weight, but other models have",
        ),
        ("[run]", "[observation]\nwindow = 0", "c.toml:25: observation.window: must be between 1 and 100000, got 0"),
        (
            "[run]",
            "[observation]\nmax_silence_ms = 50",
            "c.toml:25: observation.max_silence_ms: must be at least interval_ms (100), got 50",
        ),
        ('balances = { USDT = "1000" }', "", "c.toml:15: exchange.balances: the paper venue needs something"),
        ('USDT = "1000"', "USDT = -1", "c.toml:16: exchange.balances: must be between 0"),
        ("[run]", '[strategy]\nname = "no/such.py:Mine"', "c.toml:25: strategy.name: the file "),
        ("[run]", '[strategy]\nname = "mine.py"', "c.toml:25: strategy.name: which class? write 'FILE.py:CLASS'"),
        ('path = "journal.db"', 'path = "."', "c.toml:19: journal.path: "),
        ('path = "journal.db"', 'path = ""', "c.toml:19: journal.path: must be a path"),
        ("[journal]", "[journl]", "c.toml: journal: required, but missing"),
        ("[run]", "[metrics]\nport = 70000", "c.toml:25: metrics.port: must be between 0 and 65535, got 70000"),
        ("[run]", "[run.deep.er]\nx = 1", "c.toml:24: run.deep: unknown key"),
    ],
)
def test_what_does_not_fit_together_is_reported(
    mistakes: Mistakes, minimal: str, before: str, after: str, expected: str
) -> None:
    text = f"{minimal}# the end\n# of it\n\n\n[run]\n"
    assert mistakes(text) == []
    found = mistakes(text.replace(before, after, 1))
    assert any(problem.startswith(expected) for problem in found), found


def test_a_model_file_that_is_not_there_is_named_with_its_whole_path(minimal: str, tmp_path: Path) -> None:
    text = minimal.replace('builtin = "demo-64x128"', 'path = "models/m.onnx"')
    with pytest.raises(ConfigError) as caught:
        parse_config(text, tmp_path / "c.toml")
    (problem,) = caught.value.problems
    assert problem.line == 13
    assert problem.message == f"the model file {tmp_path}/models/m.onnx does not exist"


def test_a_model_with_a_path_and_a_builtin_is_refused(minimal: str, tmp_path: Path, mistakes: Mistakes) -> None:
    (tmp_path / "m.onnx").write_bytes(b"")
    text = minimal.replace("[[models]]", '[[models]]\npath = "m.onnx"')
    assert mistakes(text) == ["c.toml:14: models[0].builtin: path and builtin exclude each other; keep one"]


def test_a_mistake_in_one_field_does_not_hide_one_between_others(mistakes: Mistakes) -> None:
    text = EXAMPLE_TEXT.replace('backend = "onnx"', "backend = 1", 1).replace('"reversion"', '"flow"')
    assert mistakes(text) == [
        "c.toml:30: models[0].backend: must be a string, found an integer",
        "c.toml:33: models[1].name: 'flow' is the name of another model",
    ]


def test_weights_are_the_initial_weights_of_the_ensemble(minimal: str) -> None:
    text = minimal.replace("[[models]]", '[[models]]\nname = "a"\nbuiltin = "b"\nweight = 3\n[[models]]\nweight = 1')
    assert parse_config(text, "c.toml").initial_weights == (3.0, 1.0)


def test_strategy_options_are_passed_on_as_plain_values(minimal: str) -> None:
    written = "unknown = 'x'\nn = 1\nlist = [1, 'a', { b = true }]\n[strategy.options.t]\nf = 0.5\n"
    options = parse_config(f"{minimal}\n[strategy.options]\n{written}", "c.toml").strategy.options
    assert options == {"unknown": "x", "n": 1, "list": [1, "a", {"b": True}], "t": {"f": 0.5}}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[run]\nseed = ", 2),
        ("[run]\nseed = 1\nseed = 2\n", 3),
        ('[run\nseed = "x"', 1),
        ("a = 1\n\nb = 'x\n", 3),
        ("a = '''\n\n", 2),
    ],
)
def test_a_syntax_error_is_reported_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "c.toml")
    assert caught.value.line == line
    assert str(caught.value).startswith(f"c.toml:{line}: is not valid TOML: ")
    assert "at line" not in str(caught.value)


@pytest.mark.parametrize("text", ["a = " + "[" * 20_000 + "]" * 20_000, "a = " + "1" * 5_000])
def test_a_hostile_text_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_config(text, "c.toml")


def test_a_missing_file_a_folder_and_an_unreadable_file_say_what_to_do(tmp_path: Path) -> None:
    loop = tmp_path / "loop.toml"
    loop.symlink_to(loop)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"a = 1\nb = '\xff'\n")
    for path, message in [
        (tmp_path / "none.toml", "no such file"),
        (tmp_path, "is a folder"),
        (loop, "cannot be read"),
        (Path("nul\x00.toml"), "cannot be read: not a path"),
        (binary, "is not UTF-8 text"),
    ]:
        with pytest.raises(ConfigError, match=re.escape(message)) as caught:
            load_config(path)
        assert caught.value.hint
        assert str(path) in str(caught.value)
    assert str(caught.value).startswith(f"{binary}:2: ")


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(minimal: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(b"\xef\xbb\xbf" + minimal.replace("\n", "\r\n").encode())
    assert load_config(tmp_path / "c.toml").models[0].name == "flow"


def test_a_model_store_is_a_folder_beside_the_configuration(minimal: str, tmp_path: Path, mistakes: Mistakes) -> None:
    text = f'{minimal}\n[model_store]\npath = "models/store"\n'
    config = parse_config(text, tmp_path / "c.toml")
    assert config.model_store is not None
    assert config.model_store.path == tmp_path / "models" / "store"
    assert parse_config(minimal, tmp_path / "c.toml").model_store is None
    (tmp_path / "file").write_bytes(b"")
    assert [line.split(": ")[1] for line in mistakes(text.replace("models/store", "file"))] == ["model_store.path"]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("flow@production", ""),
        ("flow@12", ""),
        ("abcdef01", ""),
        ("flow", "models[0].stored: must be 'NAME@production'"),
        ("flow@stable", "models[0].stored: must be 'NAME@production'"),
        ("ABCDEF01", "models[0].stored: must be 'NAME@production'"),
    ],
)
def test_a_stored_version_is_named_in_full(minimal: str, mistakes: Mistakes, written: str, message: str) -> None:
    text = minimal.replace('builtin = "demo-64x128"', f'stored = "{written}"') + '\n[model_store]\npath = "store"\n'
    found = mistakes(text)
    assert [line.split(": ", 1)[1][: len(message)] for line in found] == ([message] if message else [])


def test_a_stored_version_needs_a_store_and_is_the_only_source(minimal: str, mistakes: Mistakes) -> None:
    text = minimal.replace('builtin = "demo-64x128"', 'stored = "flow@production"')
    assert mistakes(text) == ["c.toml:13: models[0].stored: needs a [model_store] with the path of its folder"]
    both = minimal.replace("[[models]]", '[[models]]\nstored = "flow@1"') + '\n[model_store]\npath = "store"\n'
    assert mistakes(both) == ["c.toml:12: models[0].stored: builtin and stored exclude each other; keep one"]
