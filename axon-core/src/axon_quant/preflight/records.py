"""Checks of what was done elsewhere: the build's stamp, the last load test, a rollout, and what only people know."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from axon_quant.preflight.facts import Facts
from axon_quant.preflight.rows import Finding, failed, passed, unknown


def stamped(what: str, fix: str) -> Callable[[Facts], Finding]:
    """A check of `what` in the build's stamp: a JSON object with the version and, for each suite, passed or failed."""

    def check(facts: Facts) -> Finding:
        try:
            stamp = json.loads(facts.stamp.read_bytes())
        except FileNotFoundError:
            return unknown(f"there is no {facts.stamp}", fix)
        except (OSError, ValueError) as error:
            return unknown(f"{facts.stamp} cannot be read: {error}", fix)
        if not isinstance(stamp, dict) or what not in stamp:
            return unknown(f"{facts.stamp} says nothing of {what!r}", fix)
        built, installed = stamp.get("version"), _installed()
        if built != installed:
            return unknown(f"{facts.stamp} is of version {built}, and {installed} is installed", fix)
        told = f"{what}: {stamp[what]} (version {built}, commit {stamp.get('commit', 'not named')})"
        return passed(told) if stamp[what] == "passed" else failed(told, fix)

    return check


def _installed() -> str | None:
    try:
        return version("axon-core")
    except PackageNotFoundError:
        return None


def load_tested(facts: Facts) -> Finding:
    """Has a load test of this very configuration met its SLA?"""
    from axon_quant.load import read_report, report_path

    config = facts.config
    path = report_path(config)
    fix = "axon load-test -c FILE --rate R --duration S"
    report = read_report(path)
    if report is None:
        return unknown("no load test of this configuration is on record", fix)
    told = f"{report.verdict}: {report.reason}"
    if report.config_sha256 != config.sha256:
        return unknown(f"the last load test was of another configuration ({told})", fix)
    if report.verdict == "insufficient data":
        return unknown(told, f"{fix}, longer or faster")
    return passed(told) if report.verdict == "pass" else failed(told, "a faster machine, fewer symbols or models")


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
