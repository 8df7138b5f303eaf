"""§4 of the deployment guide, as written, given three members, their Sharpe ratios and an observation.

Where the guide is at hand its own text is run; the copies here, which tests/docs compares with it, stand in for it.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from axon_quant.errors import ModelError
from axon_quant.events import MemberVote
from axon_quant.inference.scorer import as_scorer

SECTION_4_1 = """
from axon_quant.ensemble import DynamicWeightedEnsemble

# Create ensemble with multiple models
ensemble = DynamicWeightedEnsemble(
    models=[ppo_model, sac_model, rule_based_model],
    initial_weights=[0.4, 0.4, 0.2],
    performance_window=100,  # Last 100 trades for weight calculation
)

# Update weights based on performance
ensemble.update_weights(
    performances=[ppo_sharpe, sac_sharpe, rule_sharpe]
)

# Get weighted prediction
action = ensemble.predict(observation)
"""

SECTION_4_2 = """
# Monitor ensemble performance
metrics = ensemble.get_metrics()

print(f"Ensemble Sharpe: {metrics['sharpe']:.2f}")
print(f"Model weights: {ensemble.weights}")
print(f"Active models: {metrics['active_count']}")
"""


class Policy:
    """What Stable-Baselines3's algorithms have in common: a small network behind `predict(…) -> (action, state)`."""

    def __init__(self, seed, outputs):
        rng = np.random.default_rng(seed)
        self._first = rng.standard_normal((64 * 128, 8)) / 90.0
        self._second = rng.standard_normal((8, outputs))

    def _outputs(self, observation):
        return np.tanh(np.asarray(observation).reshape(-1, 64 * 128) @ self._first) @ self._second


class Ppo(Policy):
    """Discrete: an index for each observation, sampled unless it is to be deterministic."""

    action_space = SimpleNamespace(n=3)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        assert deterministic, "a decision must not be sampled"
        actions = self._outputs(observation).argmax(axis=1)
        return (actions[0] if len(actions) == 1 else actions), state


class Sac(Policy):
    """Continuous: a position in [-1, 1] for each observation."""

    action_space = SimpleNamespace(shape=(1,))

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        assert deterministic
        position = np.tanh(self._outputs(observation))
        return (position[0] if len(position) == 1 else position), state


class Rules:
    def predict(self, observation):
        return "sell"


def scores_of(position):
    """A position as scores of buy, sell, hold."""
    (position,) = np.asarray(position).reshape(-1)
    return max(position, 0.0), max(-position, 0.0), 1.0 - abs(position)


@pytest.fixture(scope="module")
def sections(root):
    """The code of §4.1 and of §4.2."""
    data = Path(os.environ.get("AXON_SHARED_DATA", root.parent / "shared" / "data"))
    guide = data.parent / "spec" / "scenario-3.md"
    if not guide.exists():
        return SECTION_4_1, SECTION_4_2
    section = guide.read_text().partition("\n## 4. ")[2].partition("\n## 5. ")[0]
    first, second = re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    return first, second


@pytest.fixture
def given():
    return {
        "ppo_model": Ppo(1, 3),
        "sac_model": as_scorer(Sac(2, 1), decode=scores_of),
        "rule_based_model": Rules(),
        "ppo_sharpe": 0.3,
        "sac_sharpe": 0.2,
        "rule_sharpe": -0.1,
        "observation": np.random.default_rng(0).standard_normal((1, 64, 128)).astype(np.float32),
    }


@pytest.mark.filterwarnings("ignore:Ppo returns integer labels")
def test_section_4_runs_as_written(sections, given, capsys):
    for section in sections:
        exec(section, given)
    weights = given["ensemble"].weights
    assert weights[0] > weights[1] > weights[2] > 0
    action, observation = given["action"], given["observation"]
    label = int(given["ppo_model"].predict(observation, deterministic=True)[0])
    assert action.members == (
        MemberVote("Ppo", weights[0], tuple(float(label == index) for index in range(3))),
        MemberVote("Sac", weights[1], given["sac_model"].score(observation)),
        MemberVote("Rules", weights[2], (0.0, 1.0, 0.0)),
    )
    assert action.name in ("buy", "sell", "hold")
    sharpe, shown, active = capsys.readouterr().out.splitlines()
    expected = 0.3 * weights[0] + 0.2 * weights[1] - 0.1 * weights[2]
    assert sharpe == f"Ensemble Sharpe: {expected:.2f}"
    assert shown == f"Model weights: {weights}"
    assert active == "Active models: 3"


@pytest.mark.filterwarnings("ignore:Ppo returns integer labels")
def test_the_sharpe_printed_is_that_of_the_returns_once_some_were_recorded(sections, given, capsys):
    create, monitor = sections
    exec(create, given)
    ensemble = given["ensemble"]
    earned = []
    for row in 0.01 * np.random.default_rng(1).standard_normal((40, 3)) + 0.002:
        earned.append(float(np.dot(ensemble.weights, row)))
        for index, value in enumerate(row):
            ensemble.record_return(index, value)
    exec(monitor, given)
    printed = float(capsys.readouterr().out.splitlines()[0].removeprefix("Ensemble Sharpe: "))
    assert math.isfinite(printed)
    assert printed == pytest.approx(np.mean(earned) / np.std(earned, ddof=1), abs=0.006)


@pytest.mark.filterwarnings("ignore:Ppo returns integer labels")
def test_a_continuous_policy_without_decode_is_told_what_it_needs(sections, given):
    given["sac_model"] = Sac(2, 1)
    with pytest.raises(ModelError, match="continuous action") as caught:
        exec(sections[0], given)
    assert "decode=" in caught.value.hint


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # what torch, gymnasium and their imports have to say
def test_section_4_runs_with_policies_of_stable_baselines3(sections, given, capsys):
    """Trained for a moment on a made-up market; needs `pip install stable-baselines3`."""
    algorithms = pytest.importorskip("stable_baselines3")
    gymnasium = pytest.importorskip("gymnasium")

    class Market(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-10.0, 10.0, (64, 128), np.float32)

        def __init__(self, action_space):
            self.action_space = action_space
            self._rng = np.random.default_rng(0)

        def reset(self, *, seed=None, options=None):
            self._left = 16
            return self._rng.standard_normal((64, 128)).astype(np.float32), {}

        def step(self, action):
            self._left -= 1
            return self.reset()[0], float(self._rng.standard_normal()), self._left <= 0, False, {}

    spaces = gymnasium.spaces
    ppo = algorithms.PPO("MlpPolicy", Market(spaces.Discrete(3)), n_steps=32, batch_size=32, device="cpu", seed=0)
    sac = algorithms.SAC(
        "MlpPolicy", Market(spaces.Box(-1.0, 1.0, (1,), np.float32)), buffer_size=100, learning_starts=8, device="cpu"
    )
    given["ppo_model"] = ppo.learn(32)
    given["sac_model"] = as_scorer(sac.learn(16), decode=scores_of)
    for section in sections:
        exec(section, given)
    assert [vote.name for vote in given["action"].members] == ["PPO", "SAC", "Rules"]
    assert "nan" not in capsys.readouterr().out
