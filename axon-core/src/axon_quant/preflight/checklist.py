"""The table of checks, in the order of the checklist, and how they are run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from axon_quant.errors import AxonError
from axon_quant.preflight import local, monitoring, records, running, storage, venue
from axon_quant.preflight.facts import Facts, Unanswered
from axon_quant.preflight.rows import Finding, Line, Row, failed, failed_by, printable, unknown

logger = logging.getLogger("axon_quant.preflight")

_STAMP = "let the build write build-stamp.json beside the configuration; see docs/deployment.md"


class Check(Struct, frozen=True):
    """A row of the report to be: its name, the checklist's line, and the function that finds out."""

    name: str
    line: Line
    find: Callable[[Facts], Finding]


CHECKS: tuple[Check, ...] = (
    Check("tests", Line.Tests, records.stamped("tests", _STAMP)),
    Check("configuration", Line.Configuration, local.configuration),
    Check("plugins", Line.Configuration, local.plugins),
    Check("models", Line.Configuration, local.models),
    Check("strategy", Line.Configuration, local.strategy),
    Check("load test", Line.LoadTest, records.load_tested),
    Check("metrics", Line.Monitoring, monitoring.metrics),
    Check("alert rules", Line.Monitoring, monitoring.alert_rules),
    Check("prometheus", Line.Monitoring, monitoring.prometheus),
    Check("disk", Line.BackupAndRollback, storage.disk),
    Check("journal", Line.BackupAndRollback, storage.journal),
    Check("backup", Line.BackupAndRollback, storage.backup),
    Check("staging", Line.Staging, records.stamped("staging", _STAMP)),
    Check("integration", Line.Integration, records.stamped("integration", _STAMP)),
    Check("rollout", Line.Canary, records.rollout),
    Check("state", Line.Anomalies, running.state),
    Check("previous version", Line.PreviousVersion, local.previous_version),
    Check("venue", Line.Pairs, venue.reachable),
    Check("clock", Line.Pairs, venue.clock),
    Check("key", Line.Pairs, venue.key),
    Check("symbols", Line.Pairs, venue.symbols),
    Check("latency", Line.Latency, running.latency),
    Check("errors", Line.Errors, running.errors),
    Check("pnl", Line.PnL, running.pnl),
    Check("issues", Line.Issues, records.issues),
)


def check_all(facts: Facts, checks: Sequence[Check] = CHECKS) -> Iterator[Row]:
    """The rows, each as soon as it is known. A check that breaks is a row that fails, and keeps no other from it."""
    for check in checks:
        found = _find(check, facts)
        yield Row(check.name, check.line, found.status, printable(found.evidence), printable(found.fix))


def _find(check: Check, facts: Facts) -> Finding:
    try:
        return check.find(facts)
    except Unanswered as unanswered:
        return unknown(str(unanswered), unanswered.fix)
    except AxonError as error:
        return failed_by(error, "repair what it names")
    except Exception as error:
        logger.exception("the check %s broke", check.name)
        return failed(f"the check broke: {type(error).__name__}: {error}", "report it")
