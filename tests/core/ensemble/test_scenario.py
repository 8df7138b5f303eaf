"""§4 of the scenario, as written, given three members, their Sharpe ratios and an observation."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from axon_quant.events import MemberVote

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


class PpoLike:
    action_space = SimpleNamespace(n=3)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.int64(0), None


class SacLike:
    """Scores over the actions, as a wrapped SAC policy would give them."""

    def predict(self, observation):
        return np.array([0.5, 0.3, 0.2])


class Rules:
    def predict(self, observation):
        return "sell"


def test_section_4_runs_as_written(capsys):
    given = {
        "ppo_model": PpoLike(),
        "sac_model": SacLike(),
        "rule_based_model": Rules(),
        "ppo_sharpe": 0.3,
        "sac_sharpe": 0.2,
        "rule_sharpe": -0.1,
        "observation": np.zeros((1, 64, 128), np.float32),
    }
    with pytest.warns(UserWarning, match="PpoLike returns integer labels"):
        exec(SECTION_4_1, given)
    exec(SECTION_4_2, given)
    weights = given["ensemble"].weights
    assert weights[0] > weights[1] > weights[2] > 0
    action = given["action"]
    assert (action.name, action.index) == ("buy", 0)
    assert action.members == (
        MemberVote("PpoLike", weights[0], (1.0, 0.0, 0.0)),
        MemberVote("SacLike", weights[1], (0.5, 0.3, 0.2)),
        MemberVote("Rules", weights[2], (0.0, 1.0, 0.0)),
    )
    sharpe, shown, active = capsys.readouterr().out.splitlines()
    expected = 0.3 * weights[0] + 0.2 * weights[1] - 0.1 * weights[2]
    assert sharpe == f"Ensemble Sharpe: {expected:.2f}"
    assert shown == f"Model weights: {weights}"
    assert active == "Active models: 3"
