from decimal import Decimal

import pytest

from axon_quant.errors import ConfigError
from axon_quant.strategy import Strategy, TargetPosition, load_strategy

MINE = """
from axon_quant.strategy import Strategy

class Mine(Strategy):
    def __init__(
        self, size: int, label: str = "a", ratio: float = 0.5, names: tuple[str, ...] = (), on: bool | None = None
    ):
        if size > 10:
            raise ValueError("size is at most 10")
        self.size, self.label, self.ratio, self.names, self.on = size, label, ratio, names, on

    def on_decision(self, ctx, action):
        return ()

class Unfinished(Strategy):
    pass

class Other:
    pass
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "mine.py").write_text(MINE)
    return tmp_path


def load_mine(folder, **options):
    return load_strategy("strategies/mine.py:Mine", options, folder)


def test_the_built_in_takes_the_options_of_the_example(tmp_path):
    options = {"target": "0.008", "allow_short": False, "order_lifetime_ms": 1_500}
    strategy = load_strategy("target-position", options, tmp_path)
    assert isinstance(strategy, TargetPosition)
    assert strategy.target == Decimal("0.008")
    assert load_strategy("target-position", {"target": 0.1}, tmp_path).target == Decimal("0.1")


def test_a_file_is_found_beside_the_configuration(folder):
    strategy = load_mine(folder, size=3, ratio=1, names=["a", "b"])
    assert isinstance(strategy, Strategy)
    assert (strategy.size, strategy.ratio, strategy.names) == (3, 1.0, ("a", "b"))
    assert type(strategy.ratio) is float


def test_a_strategy_need_only_decide(folder):
    strategy = load_mine(folder, size=1)
    assert list(strategy.on_fill(None, None)) == []
    assert strategy.on_start(None) is None
    assert strategy.on_stop(None) is None


def test_two_files_of_one_name_are_two_modules(folder):
    (folder / "mine.py").write_text(MINE.replace("at most 10", "tiny"))
    first = load_mine(folder, size=1)
    second = load_strategy("mine.py:Mine", {"size": 1}, folder)
    assert type(first) is not type(second)


def test_an_importable_module_is_found(tmp_path):
    assert isinstance(load_strategy("axon_quant.strategy.target:TargetPosition", {}, tmp_path), TargetPosition)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("target-positon", "did you mean 'target-position'"),
        ("something", "built in: target-position"),
        ("strategies/mine.py:Mien", "did you mean 'Mine'"),
        ("strategies/mine.py:Xyz", "its strategies: Mine, Unfinished"),
        ("strategies/mine.py:Other", "not a subclass"),
        ("strategies/mine.py:Unfinished", "does not write on_decision"),
        ("strategies/nowhere.py:Mine", "nowhere.py: the strategy's file does not exist"),
        ("no_such_module_here:Mine", "no_such_module_here"),
    ],
)
def test_a_name_that_leads_nowhere_says_so(folder, name, says):
    with pytest.raises(ConfigError, match=says):
        load_strategy(name, {}, folder)


@pytest.mark.parametrize("text", ["def broken(:", "raise RuntimeError('at import')", "import no_such_module_here"])
def test_a_file_that_cannot_be_imported_is_named(tmp_path, text):
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.py.*cannot be imported"):
        load_strategy("bad.py:Mine", {}, tmp_path)


def test_every_wrong_option_is_reported_at_once(folder):
    with pytest.raises(ConfigError) as caught:
        load_mine(folder, sise=1, label=3, ratio="0.5", on=1)
    assert [str(problem) for problem in caught.value.problems] == [
        "strategy.options.sise: unknown option; did you mean 'size'?",
        "strategy.options.label: expected a text, got 3",
        "strategy.options.ratio: expected a number, got '0.5'",
        "strategy.options.on: expected true or false, got 1",
        "strategy.options.size: required, and missing",
    ]


@pytest.mark.parametrize("size", [True, 1.5, "3", None])
def test_numbers_are_never_guessed(folder, size):
    with pytest.raises(ConfigError, match="size: expected a whole number"):
        load_mine(folder, size=size)


@pytest.mark.parametrize("target", [True, [1], "much"])
def test_an_exact_number_may_be_text_but_not_anything(tmp_path, target):
    with pytest.raises(ConfigError, match="target"):
        load_strategy("target-position", {"target": target}, tmp_path)


def test_what_the_constructor_refuses_is_a_configuration_error(folder):
    with pytest.raises(ConfigError, match="size is at most 10"):
        load_mine(folder, size=11)
    with pytest.raises(ConfigError, match="fraction of equity"):
        load_strategy("target-position", {"target": "1.5"}, folder)


def test_a_strategy_may_take_any_option(tmp_path):
    source = MINE.replace("size: int, ", "").replace("= None\n", "= None, **rest\n").replace("if size > 10:", "if 0:")
    (tmp_path / "open.py").write_text(source.replace("self.size, ", "self.rest, ").replace("= size, ", "= rest, "))
    assert load_strategy("open.py:Mine", {"anything": 1}, tmp_path).rest == {"anything": 1}
