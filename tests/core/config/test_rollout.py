from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from axon_quant.config import load_config, parse_config
from axon_quant.config.rollout import GateEntry, RolloutEntry

Mistakes = Callable[[str], list[str]]
EXAMPLE = Path(__file__).with_name("complete.toml")
EXAMPLE_TEXT = EXAMPLE.read_text()

SHADOW = '[rollout]\nmodel = "flow"\nbuiltin = "demo-64x128-reversion"\n'
CANARY = SHADOW + 'mode = "canary"\nmax_notional = "1000"\n'


def test_a_shadow_needs_a_model_and_a_candidate_and_has_a_default_for_everything_else(minimal: str) -> None:
    rollout = parse_config(minimal + SHADOW, "c.toml").rollout
    assert rollout is not None
    assert (rollout.mode, rollout.queue, rollout.shares, rollout.gate) == ("shadow", 256, (0.0,), GateEntry())
    assert (rollout.gate.failures, rollout.gate.history) == (3, 5)
    assert parse_config(minimal, "c.toml").rollout is None


@pytest.mark.parametrize(
    ("lines", "shares"),
    [("share = 0.25", (0.25,)), ("steps = [0, 0.05, 1]", (0.0, 0.05, 1.0)), ('keys = ["BTCUSDT"]', (1.0,))],
)
def test_a_canary_has_keys_a_share_or_steps(minimal: str, lines: str, shares: tuple[float, ...]) -> None:
    rollout = parse_config(minimal + CANARY + lines, "c.toml").rollout
    assert rollout is not None
    assert rollout.shares == shares
    assert rollout.max_notional == Decimal(1_000)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("", "rollout: a canary has one of keys, share and steps, got none"),
        (
            'share = 0.1\nkeys = ["BTCUSDT"]',
            "rollout.share: a canary has one of keys, share and steps, got keys and share",
        ),
        ("share = 0", "rollout.share: must be above 0, got 0.0"),
        ("share = 5", "rollout.share: must be between 0 and 1, got 5.0"),
        ("share = nan", "rollout.share: must be a finite number, got nan"),
        ("steps = []", "rollout.steps: must not be empty"),
        ("steps = [0]", 'rollout.steps[0]: a canary needs a step above 0; for the shadow alone set mode = "shadow"'),
        ("steps = [0.1, 0.5, 0.5]", "rollout.steps[2]: must be above the step before it, 0.5, got 0.5"),
        ('keys = ["ETHUSDT"]', "rollout.keys[0]: 'ETHUSDT' is not one of the symbols that are traded"),
        ('by = "strategy"\nkeys = ["mine"]', "rollout.keys[0]: 'mine' is not the strategy, 'target-position'"),
        ('by = "venue"\nshare = 1', "rollout.by: must be 'symbol' or 'strategy', got 'venue'"),
        ("share = 1\nqueue = 0", "rollout.queue: must be between 1 and 100000, got 0"),
        ("share = 1\nqeue = 1", "rollout.qeue: unknown key; did you mean 'queue'?"),
        ("share = 1\ngate = { failures = 6 }", "rollout.gate.failures: must be at most history (5), got 6"),
        (
            "share = 1\ngate = { min_samples = 700 }",
            "rollout.gate.min_samples: must be at most window_decisions (600), got 700",
        ),
        (
            "share = 1\ngate = { hard_drawdown = 0.001 }",
            "rollout.gate.hard_drawdown: must be at least max_drawdown (0.01), got 0.001",
        ),
        ("share = 1\ngate = { max_error_rate = 1.5 }", "rollout.gate.max_error_rate: must be between 0 and 1, got 1.5"),
    ],
)
def test_a_mistake_in_a_canary_is_named(minimal: str, mistakes: Mistakes, lines: str, found: str) -> None:
    assert [problem.split(": ", 1)[1] for problem in mistakes(minimal + CANARY + lines)] == [found]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ('model = "flow"', 'model = "flows"', "rollout.model: 'flows' is none of the models; did you mean 'flow'?"),
        (
            'builtin = "demo-64x128-reversion"\n',
            "",
            "rollout: needs a path, a builtin or a stored version, the candidate",
        ),
        ("builtin =", 'path = "m.onnx"\nbuiltin =', "rollout.builtin: path and builtin exclude each other; keep one"),
        (
            "builtin =",
            "trusted = true\nbuiltin =",
            "rollout.trusted: a trusted model may run code, so it needs its sha256 as well",
        ),
        ("builtin =", "share = 0.5\nbuiltin =", 'rollout.share: only a canary has it; set mode = "canary"'),
        (
            "builtin =",
            'max_notional = "5"\nbuiltin =',
            'rollout.max_notional: only a canary has it; set mode = "canary"',
        ),
    ],
)
def test_a_mistake_in_a_shadow_is_named(minimal: str, mistakes: Mistakes, before: str, after: str, found: str) -> None:
    assert before in SHADOW
    assert [p.split(": ", 1)[1] for p in mistakes(minimal + SHADOW.replace(before, after, 1))] == [found]


def test_a_candidate_that_is_not_there_is_a_mistake(minimal: str, mistakes: Mistakes, tmp_path: Path) -> None:
    text = minimal + SHADOW.replace('builtin = "demo-64x128-reversion"', 'path = "next.onnx"')
    assert mistakes(text) == [f"c.toml:22: rollout.path: the model file {tmp_path / 'next.onnx'} does not exist"]


def test_a_canary_without_a_bound_is_a_mistake(minimal: str, mistakes: Mistakes) -> None:
    (problem,) = mistakes(minimal + SHADOW + 'mode = "canary"\nshare = 1.0\n')
    assert "needs max_notional" in problem


def test_without_a_rollout_the_identity_is_the_one_from_before_there_were_rollouts() -> None:
    assert load_config(EXAMPLE).sha256 == "61353ca54359100d095032ae7d08a01abc2032b2519fcd8cdc0cd8166c90b04a"


def test_a_rollout_and_its_gate_change_the_identity_and_where_the_candidate_lies_does_not(tmp_path: Path) -> None:
    def identity(lines: str) -> str:
        return parse_config(EXAMPLE_TEXT + lines, EXAMPLE).sha256

    assert len({identity(""), identity(SHADOW), identity(SHADOW + "queue = 9"), identity(CANARY + "share = 1.0")}) == 4
    assert identity(SHADOW) == identity(SHADOW + "[rollout.gate]\npasses = 5")
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).touch()
    entry = RolloutEntry(model="flow", path=tmp_path / "a.onnx")
    config = attrs.evolve(load_config(EXAMPLE), rollout=entry)
    other = attrs.evolve(config, rollout=attrs.evolve(entry, path=tmp_path / "b.onnx"))
    assert config.sha256 == other.sha256
