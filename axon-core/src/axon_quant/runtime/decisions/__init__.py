"""Recorded decisions: found in the journal with all that led to them and came of them, and computed again.

Read it in this order: `record` reads one from the journal, `versions` loads the models that made it, `recompute` asks
them again, `replayed` says what came out.
"""

from axon_quant.runtime.decisions.earlier import earlier_windows
from axon_quant.runtime.decisions.recompute import replay_decision
from axon_quant.runtime.decisions.record import DecisionRecord, OrderRecord, find_decision
from axon_quant.runtime.decisions.replayed import Difference, MemberReplay, ReplayResult, Verdict, compare
from axon_quant.runtime.decisions.versions import Versions, open_versions

__all__ = [
    "DecisionRecord",
    "Difference",
    "MemberReplay",
    "OrderRecord",
    "ReplayResult",
    "Verdict",
    "Versions",
    "compare",
    "earlier_windows",
    "find_decision",
    "open_versions",
    "replay_decision",
]
