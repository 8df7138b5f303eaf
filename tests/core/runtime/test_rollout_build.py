"""A candidate must be able to stand in for its model, and a candidate that fails costs no decision."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import pytest

from axon_quant.config import parse_config
from axon_quant.config.rollout import RolloutEntry
from axon_quant.errors import ConfigError, ModelCheckError, ModelError
from axon_quant.inference import Backend, Device, ModelConfig
from axon_quant.runtime.rollout import plan_rollout
from axon_quant.runtime.rollout.split import SplitModel

CONFIG = (Path(__file__).parents[1] / "config" / "complete.toml").read_text()
VIEW = np.ones((1, 4, 2), np.float32)


@attrs.define
class Constant:
    """A session that always gives these scores."""

    scores: tuple[float, ...]
    actions: tuple[str, ...] | None = ("buy", "sell", "hold")
    input_shape: tuple[int | None, ...] = (None, 4, 2)
    schema_sha256: str | None = None
    device: Device = Device.CPU
    plan: dict[str, str] = attrs.field(factory=dict)
    fails: bool = False

    @property
    def output_dim(self):
        return len(self.scores)

    def run(self, x):
        if self.fails:
            raise RuntimeError("out of memory")
        return np.array([self.scores] * len(x), np.float32)


class ConstantBackend(Backend):
    kind = "constant"

    def build_session(self, path):
        raise NotImplementedError


@pytest.fixture
def serving(tmp_path):
    """A backend that serves a session."""

    def make(session, name="flow"):
        path = tmp_path / f"{name}.txt"
        path.write_text(repr(session))
        backend = ConstantBackend(ModelConfig(path, "constant", name=name.replace("-", ":")))
        backend.replace_session(session)
        return backend

    return make


def plan(serving, candidate, **options):
    config = parse_config(CONFIG, "c.toml")
    config = attrs.evolve(config, rollout=RolloutEntry(model="flow", builtin="next", **options))
    entries = []

    def load(entry):
        entries.append(entry)
        return serving(candidate, "flow-candidate")

    backends = [serving(Constant((1, 0, 0))), serving(Constant((0, 0, 1)), "reversion")]
    return plan_rollout(config, backends, load), backends, entries


def test_the_candidate_is_loaded_like_its_model_but_for_what_the_rollout_says(serving):
    made, backends, (entry,) = plan(serving, Constant((0, 1, 0)), backend="safetensors")
    assert (entry.name, entry.builtin, entry.path) == ("flow:candidate", "next", None)
    assert (entry.backend, entry.device) == ("safetensors", "cpu")
    split, other = made.members(backends)
    assert split.stable is backends[0]
    assert other is backends[1]


@pytest.mark.parametrize(
    ("session", "message"),
    [
        (
            Constant((0, 1, 0), actions=("sell", "buy", "hold")),
            "actions: expected .*, as flow has, found .'sell', 'buy'",
        ),
        (Constant((0, 1, 0, 0), actions=("a", "b", "c", "d")), "actions: expected"),
        (Constant((0, 1, 0), input_shape=(None, 4, 3)), r"input: expected \[4, 2\], as flow has, found \[4, 3\]"),
    ],
)
def test_a_candidate_that_answers_something_else_is_refused(serving, session, message):
    with pytest.raises(ModelCheckError, match=message):
        plan(serving, session)


def test_by_strategy_the_whole_run_is_in_the_canary_or_nothing_is(serving):
    options = {"mode": "canary", "by": "strategy", "max_notional": 1_000}
    made, _, _ = plan(serving, Constant((0, 1, 0)), keys=("target-position",), **options)
    assert made.canaries(1.0) == ("BTCUSDT",)
    made, _, _ = plan(serving, Constant((0, 1, 0)), steps=(0.0, 1.0), **options)
    assert (made.canaries(0.0), made.canaries(1.0)) == ((), ("BTCUSDT",))
    with pytest.raises(ConfigError, match="no strategy is in the canary"):
        plan(serving, Constant((0, 1, 0)), share=1e-9, **options)


def test_without_a_rollout_nothing_is_loaded(serving):
    assert plan_rollout(parse_config(CONFIG, "c.toml"), [], lambda _: pytest.fail("loaded")) is None


def test_the_split_answers_with_the_candidate_only_while_it_is_told_to(serving):
    stable, candidate = serving(Constant((1, 0, 0))), serving(Constant((0, 1, 0)), "next")
    split = SplitModel(stable)
    assert split.score(VIEW) == (stable.model, [1.0, 0.0, 0.0])
    split.candidate = candidate.score
    assert split.score(VIEW) == (candidate.model, [0.0, 1.0, 0.0])
    assert split.scores == [0.0, 1.0, 0.0]
    split.candidate = None
    assert split.score(VIEW)[0] is stable.model


def test_where_the_candidate_fails_the_stable_model_decides_and_the_error_is_kept(serving):
    stable = serving(Constant((1, 0, 0)))
    session = Constant((0, 1, 0))
    candidate = serving(session, "next")
    session.fails = True
    split = SplitModel(stable)
    split.candidate = candidate.score
    assert split.score(VIEW) == (stable.model, [1.0, 0.0, 0.0])
    assert isinstance(split.error, ModelError)
    assert split.scores is None
    session.fails = False
    split.score(VIEW)
    assert split.error is None


def test_where_the_stable_model_fails_the_split_does(serving):
    session = Constant((1, 0, 0))
    split = SplitModel(serving(session))
    session.fails = True
    with pytest.raises(ModelError, match="out of memory"):
        split.score(VIEW)
    assert split.scores is None
