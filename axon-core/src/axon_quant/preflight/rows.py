"""What a check finds, and the lines of the checklist that it answers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from axon_quant.errors import AxonError


class Status(Enum):
    """`Unknown`: a machine cannot tell, or not yet."""

    Pass = "pass"  # noqa: S105 - nobody passes by it
    Fail = "fail"
    Unknown = "unknown"


class Finding(Struct, frozen=True):
    """What one check found: the evidence, and what to do about it unless it passed."""

    status: Status
    evidence: str
    fix: str = ""


def passed(evidence: str) -> Finding:
    """A finding that is as it should be."""
    return Finding(Status.Pass, evidence)


def failed(evidence: str, fix: str) -> Finding:
    """A finding that has to be repaired before trading."""
    return Finding(Status.Fail, evidence, fix)


def failed_by(error: AxonError, otherwise: str) -> Finding:
    """A finding that failed by an error: its hint is the fix, or `otherwise` where it has none."""
    if error.hint is None:
        return failed(str(error), otherwise)
    return failed(str(error).removesuffix(f" ({error.hint})"), error.hint)


def unknown(evidence: str, fix: str) -> Finding:
    """A finding that somebody has to look at."""
    return Finding(Status.Unknown, evidence, fix)


class Line(Enum):
    """A line of the deployment checklist; `GUIDE` has its words."""

    Tests = "tests"
    Configuration = "configuration"
    LoadTest = "load-test"
    Monitoring = "monitoring"
    BackupAndRollback = "backup-and-rollback"
    Staging = "staging"
    Integration = "integration"
    Canary = "canary"
    Anomalies = "anomalies"
    PreviousVersion = "previous-version"
    Pairs = "pairs"
    Latency = "latency"
    Errors = "errors"
    PnL = "pnl"
    Issues = "issues"


GUIDE: Final[Mapping[Line, str]] = MappingProxyType(
    {
        Line.Tests: "Run full test suite",
        Line.Configuration: "Verify configuration",
        Line.LoadTest: "Load test with simulated traffic",
        Line.Monitoring: "Set up monitoring and alerting",
        Line.BackupAndRollback: "Configure backup and rollback procedures",
        Line.Staging: "Deploy to staging environment first",
        Line.Integration: "Run integration tests against staging",
        Line.Canary: "Gradual rollout (canary deployment)",
        Line.Anomalies: "Monitor metrics for anomalies",
        Line.PreviousVersion: "Keep previous version ready for rollback",
        Line.Pairs: "Verify all trading pairs are operational",
        Line.Latency: "Check latency metrics are within SLA",
        Line.Errors: "Monitor error rates",
        Line.PnL: "Review PnL and position metrics",
        Line.Issues: "Document any issues encountered",
    }
)
"""The checklist in its own words, in its order."""


def printable(text: str) -> str:
    """`text` with what would forge, hide or break lines on a terminal written as escapes; its line ends stay."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )


class Row(Struct, frozen=True):
    """One row of the report: which check, which line of the checklist it answers, and what it found."""

    check: str
    line: Line
    status: Status
    evidence: str
    fix: str

    @property
    def text(self) -> str:
        """The words of the checklist's line."""
        return GUIDE[self.line]
