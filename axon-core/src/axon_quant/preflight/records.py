"""Checks of what was done elsewhere: the build's stamp, the last load test, a rollout, and what only people know."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from axon_quant.clock import NANOSECONDS
from axon_quant.preflight.facts import Facts
from axon_quant.preflight.rows import Finding, failed, passed, unknown

_LARGEST_STAMP = 1 << 16


def stamped(what: str, fix: str) -> Callable[[Facts], Finding]:
    """A check of `what` in the build's stamp: a JSON object with the version and, for each suite, passed or failed."""

    def check(facts: Facts) -> Finding:
        try:
            stamp = _read_stamp(facts.stamp)
        except FileNotFoundError:
            return unknown(f"there is no {facts.stamp}", fix)
        except OSError as error:
            return unknown(f"{facts.stamp} cannot be read: {error.strerror or error}", fix)
        except (ValueError, RecursionError) as error:
            return unknown(f"{facts.stamp} cannot be read: {_brief(error)}", fix)
        if what not in stamp:
            return unknown(f"{facts.stamp} says nothing of {what!r}", fix)
        built, installed = stamp.get("version"), _installed()
        if built is None or built != installed:
            return unknown(f"{facts.stamp} is of version {_brief(built)}, and {installed} is installed", fix)
        said = stamp[what]
        if said not in ("passed", "failed"):
            return unknown(f"{facts.stamp} says {_brief(repr(said))} of {what!r}, neither passed nor failed", fix)
        told = f"{what}: {said} (version {built}, commit {_brief(stamp.get('commit', 'not named'))})"
        return passed(told) if said == "passed" else failed(told, "repair what failed, and build again")

    return check


def _read_stamp(path: Path) -> dict[str, object]:
    """What the build wrote. Raises OSError, ValueError, RecursionError: it may be anybody's file."""
    if path.exists() and not path.is_file():
        raise ValueError("it is no file")  # and reading a pipe would wait for its writer
    with path.open("rb") as file:
        content = file.read(_LARGEST_STAMP + 1)
    if len(content) > _LARGEST_STAMP:
        raise ValueError(f"it is longer than {_LARGEST_STAMP:,} bytes")
    stamp = json.loads(content)
    if not isinstance(stamp, dict):
        raise ValueError("it is no JSON object")
    return stamp


def _brief(value: object) -> str:
    text = str(value).replace("\n", " ")  # or it might look like a row of its own
    return text if len(text) <= 100 else f"{text[:100]}..."


def _installed() -> str | None:
    try:
        return version("axon-core")
    except PackageNotFoundError:
        return None


def load_tested(facts: Facts) -> Finding:
    """Has a load test of this very configuration met its SLA?"""
    from axon_quant.load import judge, read_report, report_path

    config = facts.config
    path = report_path(config)
    fix = "axon load-test -c FILE --rate R --duration S"
    report = read_report(path)
    if report is None:
        told = f"{path} is no report of a load test" if path.exists() else "no load test is on record"
        return unknown(told, fix)
    when = datetime.fromtimestamp(report.finished // NANOSECONDS, UTC)
    # by the SLA that is configured now: the test may have been made with another one
    verdict, reason = judge(report.decision_latency_us, report.generator_lateness_us, config.operations.latency_sla_ms)
    told = f"{reason}, at {report.rate:,.0f} messages a second for {report.seconds:.0f} s on {when:%Y-%m-%d %H:%M} UTC"
    if report.config_sha256 != config.sha256:
        return unknown(f"the last load test was of another configuration ({told})", fix)
    if verdict == "insufficient data":
        return unknown(told, f"{fix}, longer or faster")
    return passed(told) if verdict == "pass" else failed(told, "a faster machine, fewer symbols or models")


def rollout(facts: Facts) -> Finding:
    """Do new versions come in gradually?"""
    entry = facts.config.rollout
    if entry is None:
        return unknown("there is no [rollout]: the models decide for everything at once", "see docs/rollout.md")
    if entry.mode == "shadow":
        return passed(f"the candidate of {entry.model} is compared in the shadow, and decides nothing")
    return passed(f"the candidate of {entry.model} is a canary by {entry.by}, bounded at {entry.max_notional}")


def issues(facts: Facts) -> Finding:  # noqa: ARG001 - nobody but people can tell
    """Has somebody written down what went wrong?"""
    return unknown("only people know what they met with", "write it down; axon report keeps the decisions concerned")
