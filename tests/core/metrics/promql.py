"""What PromQL expressions ask for, without Prometheus."""

from __future__ import annotations

import promql_parser
from promql_parser import Expr, VectorSelector

from axon_quant.metrics import METRICS, Kind

TARGET_LABELS = {"job", "instance"}
"""What Prometheus adds to every series of a target."""

SERIES = {
    f"{metric.name}{suffix}": {*metric.labels, *({"le"} if suffix == "_bucket" else ())}
    for metric in METRICS
    for suffix in (("_bucket", "_sum", "_count") if metric.kind is Kind.Histogram else ("",))
} | {"up": set()}
"""The labels of every series that there can be, by name; `up` is Prometheus' own."""


def selectors(expr: str) -> list[VectorSelector]:
    """The series that an expression reads. Raises ValueError for one that is no PromQL."""
    found: list[VectorSelector] = []

    def visit(node: Expr) -> bool:
        if isinstance(node, VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expr), visit)
    return found


def mistakes(expr: str) -> list[str]:
    """Series that do not exist, and labels that they do not have."""
    wrong = []
    for selector in selectors(expr):
        if selector.name not in SERIES:
            wrong.append(f"there is no series {selector.name}")
            continue
        known = SERIES[selector.name] | TARGET_LABELS
        wrong += [
            f"{selector.name} has no label {matcher.name}"
            for matcher in selector.matchers.matchers
            if matcher.name not in known
        ]
    return wrong
