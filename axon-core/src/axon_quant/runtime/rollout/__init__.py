"""A candidate model beside the stable one: watched in the shadow, trusted with a few keys, then promoted or dropped."""

from axon_quant.runtime.rollout.assignment import Assignment
from axon_quant.runtime.rollout.build import Plan, plan_rollout
from axon_quant.runtime.rollout.gate import Gate, State, Verdict
from axon_quant.runtime.rollout.memory import LabelStore
from axon_quant.runtime.rollout.rollout import Rollout
from axon_quant.runtime.rollout.status import RolloutStatus

__all__ = ["Assignment", "Gate", "LabelStore", "Plan", "Rollout", "RolloutStatus", "State", "Verdict", "plan_rollout"]
