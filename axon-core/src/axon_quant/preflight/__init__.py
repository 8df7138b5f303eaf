"""The deployment checklist as checks: each line of the guide has at least one row, with evidence and a fix."""

from axon_quant.preflight.checklist import CHECKS, Check, check_all
from axon_quant.preflight.facts import Facts, Unanswered
from axon_quant.preflight.rows import GUIDE, Finding, Line, Row, Status, failed, passed, unknown

__all__ = [
    "CHECKS",
    "GUIDE",
    "Check",
    "Facts",
    "Finding",
    "Line",
    "Row",
    "Status",
    "Unanswered",
    "check_all",
    "failed",
    "passed",
    "unknown",
]
