"""The Grafana dashboard, made from the names of the metrics, so that no panel can ask for one that does not exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from axon_quant.metrics import names
from axon_quant.metrics.names import Metric

WIDTH: Final = 24
"""Grafana's grid."""

_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


class Query(Struct, frozen=True):
    """One line of a panel: an expression and how its series are called."""

    expr: str
    legend: str


class Panel(Struct, frozen=True):
    """One panel: a `timeseries`, or a `stat` that shows the last value. `unit` is Grafana's name for it."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    about: str = ""
    shows_name: bool = False


def _pick(metric: Metric, *matchers: str) -> str:
    chosen = ('instance=~"$instance"', *(['symbol=~"$symbol"'] if "symbol" in metric.labels else []), *matchers)
    return f"{metric.name}{{{', '.join(chosen)}}}"


def _rate(metric: Metric, *by: str) -> str:
    return f"sum by ({', '.join(('instance', *by))}) (rate({_pick(metric)}[$__rate_interval]))"


def _increase(metric: Metric, *by: str) -> str:
    return f"sum by ({', '.join(('instance', *by))}) (increase({_pick(metric)}[$__rate_interval]))"


def _show(metric: Metric, *, unit: str = "short", title: str = "", kind: str = "timeseries") -> Panel:
    """A gauge as it is."""
    legend = " ".join(("{{instance}}", *(f"{{{{{label}}}}}" for label in metric.labels)))
    return Panel(title or _title(metric), (Query(_pick(metric), legend),), unit, kind, metric.help)


def _count(metric: Metric, *by: str, title: str, unit: str = "short") -> Panel:
    """How often a counter counts in an interval."""
    legend = " ".join(("{{instance}}", *(f"{{{{{label}}}}}" for label in by)))
    return Panel(title, (Query(_increase(metric, *by), legend),), unit, about=metric.help)


def _title(metric: Metric) -> str:
    text = metric.name.removeprefix("trading_")
    for unit in ("_seconds", "_ratio", "_total"):
        text = text.removesuffix(unit)
    return text.replace("_", " ").capitalize()


def _quantile(q: float) -> str:
    buckets = f'{names.OPERATION_DURATION.name}_bucket{{instance=~"$instance"}}'
    return f"histogram_quantile({q}, sum by (le, operation) (rate({buckets}[$__rate_interval])))"


def _slippage() -> str:
    worse, better = (
        f"sum by (symbol) (rate({_pick(names.SLIPPAGE, matcher)}[1h]))"
        for matcher in ('direction="worse"', 'direction="better"')
    )
    return f"1e4 * ({worse} - {better}) / (sum by (symbol) (rate({_pick(names.FILLED_NOTIONAL)}[1h])) > 0)"


def _state(metric: Metric, title: str, legend: str) -> Panel:
    """The label whose series is 1."""
    return Panel(title, (Query(f"{_pick(metric)} == 1", legend),), kind="stat", about=metric.help, shows_name=True)


def sections() -> dict[str, tuple[Panel, ...]]:
    """The panels by section, from what decides whether to act down to the process itself."""
    return {
        "Now": (
            _state(names.RISK_STATE, "Risk state", "{{instance}} {{state}}"),
            _count(names.OPERATOR_ACTIONS, "action", title="Operator actions"),
            _show(names.EQUITY, kind="stat"),
            _show(names.DAY_PNL, kind="stat", title="PnL today"),
            _show(names.MAX_DRAWDOWN, unit="percentunit", kind="stat", title="Drawdown"),
            _state(names.MODEL_INFO, "Models", "{{model}} v{{version}} {{sha256}}"),
            _state(names.RUN_INFO, "Run", "{{instance}} {{mode}} {{config_sha256}}"),
        ),
        "Account": (
            Panel(
                "Equity and peak",
                (
                    Query(_pick(names.EQUITY), "{{instance}} equity"),
                    Query(_pick(names.EQUITY_PEAK), "{{instance}} peak"),
                ),
                about=names.EQUITY_PEAK.help,
            ),
            _show(names.MAX_DRAWDOWN, unit="percentunit", title="Drawdown from the peak"),
            _show(names.PNL, title="PnL by symbol"),
            _show(names.POSITION),
            _show(names.EXPOSURE),
            Panel(
                "Cash and fees",
                (Query(_pick(names.CASH), "{{instance}} cash"), Query(_pick(names.FEES), "{{instance}} fees")),
                about=names.CASH.help,
            ),
        ),
        "Orders": (
            _count(names.ORDERS, "side", "symbol", title="Orders"),
            _count(names.FILLS, "side", "symbol", title="Fills"),
            _count(names.REJECTS, "control", title="Rejects by control"),
            Panel(
                "Slippage over an hour, basis points",
                (Query(_slippage(), "{{symbol}}"),),
                about="What fills cost more than the mid at which their orders were placed.",
            ),
            _show(names.OPEN_ORDERS),
            _count(names.ORDER_UPDATES, "status", title="Updates from the venue"),
        ),
        "Latency": (
            _show(names.ORDER_LATENCY, unit="s", title="Order path, p99"),
            Panel(
                "p99 by operation",
                (Query(_quantile(0.99), "{{operation}}"),),
                "s",
                about=names.OPERATION_DURATION.help,
            ),
            Panel(
                "p50 by operation",
                (Query(_quantile(0.5), "{{operation}}"),),
                "s",
                about=names.OPERATION_DURATION.help,
            ),
        ),
        "Models": (
            _count(names.DECISIONS, "symbol", "action", title="Decisions"),
            _show(names.ENSEMBLE_WEIGHT, unit="percentunit", title="Ensemble weights"),
            _show(names.MEMBER_ACTIVE, title="Active members"),
            Panel(
                "Member failures and drifts",
                (
                    Query(_increase(names.MEMBER_FAILURES, "member"), "{{member}} failed"),
                    Query(_increase(names.MEMBER_DRIFTS, "member", "stream"), "{{member}} drifts in {{stream}}"),
                ),
                about=names.MEMBER_FAILURES.help,
            ),
            _count(names.MODEL_RELOADS, "model", "outcome", title="Swaps"),
            _state(names.ROLLOUT_STATE, "Rollout", "{{model}} {{state}}"),
            Panel(
                "Rollout share and disagreement",
                (
                    Query(_pick(names.ROLLOUT_SHARE), "{{model}} share"),
                    Query(_pick(names.ROLLOUT_DISAGREEMENT), "{{model}} disagreement"),
                ),
                "percentunit",
                about=names.ROLLOUT_DISAGREEMENT.help,
            ),
            _count(names.ROLLOUT_WINDOWS, "model", "verdict", title="Rollout windows"),
        ),
        "Market data": (
            Panel(
                "Messages per second",
                (Query(_rate(names.MESSAGES, "symbol"), "{{instance}} {{symbol}}"),),
                about=names.MESSAGES.help,
            ),
            _show(names.MARKET_AGE, unit="s", title="Age of the last message"),
            _count(names.GAPS, "symbol", title="Gaps"),
            _show(names.BOOK_WHOLE),
            _count(names.WINDOW_RESETS, "symbol", title="Window resets"),
            _count(names.MALFORMED, "symbol", title="Malformed messages"),
        ),
        "Venue": (
            _show(names.STREAM_UP, title="Streams"),
            _count(names.STREAM_RECONNECTS, "stream", title="Reconnects"),
            _show(names.RATE_BUDGET, unit="percentunit", title="Rate budget left"),
            _show(names.RATE_PENALTY, unit="s", title="Penalty"),
            Panel(
                "Requests in flight, orders in doubt",
                (
                    Query(_pick(names.REQUESTS_IN_FLIGHT), "{{instance}} in flight"),
                    Query(_pick(names.UNRESOLVED_ORDERS), "{{instance}} in doubt"),
                ),
                about=names.UNRESOLVED_ORDERS.help,
            ),
            _show(names.STREAM_QUEUE),
        ),
        "Process": (
            _show(names.JOURNAL_LAG, unit="s"),
            Panel(
                "Journal queue and failure",
                (
                    Query(_pick(names.JOURNAL_QUEUE), "{{instance}} records"),
                    Query(_pick(names.JOURNAL_FAILED), "{{instance}} failed"),
                ),
                about=names.JOURNAL_QUEUE.help,
            ),
            _show(names.LOOP_LAG, unit="s"),
            Panel(
                "Up since",
                (Query(f"1000 * {_pick(names.START_TIME)}", "{{instance}}"),),
                "dateTimeAsIso",
                "stat",
                names.START_TIME.help,
            ),
            _count(names.SAMPLES_DROPPED, "metric", title="Values left out"),
            _count(names.SCRAPE_FAILURES, "metric", title="Metrics that could not be read"),
        ),
    }


def dashboard() -> dict[str, object]:
    """The dashboard as Grafana imports it; JSON holds it as it is."""
    return {
        "uid": "axon-trading",
        "title": "axon",
        "tags": ["axon", "trading"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "10s",
        "timezone": "utc",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                _variable("instance", f"label_values({names.START_TIME.name}, instance)"),
                _variable("symbol", f'label_values({names.PNL.name}{{instance=~"$instance"}}, symbol)'),
            ]
        },
        "panels": list(_panels()),
    }


def _variable(name: str, query: str) -> dict[str, object]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panels() -> Iterator[dict[str, object]]:
    number, y = 0, 0
    for title, panels in sections().items():
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": y},
        }
        y += 1
        stats = all(panel.kind == "stat" for panel in panels)
        width, height = (4, 4) if stats else (8, 7)
        per_row = WIDTH // width
        for place, panel in enumerate(panels):
            number += 1
            across, down = place % per_row, place // per_row
            yield _panel(panel, number, {"h": height, "w": width, "x": across * width, "y": y + down * height})
        y += -(-len(panels) // per_row) * height


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, object]:
    options: dict[str, object] = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}}
    if panel.kind == "stat":
        options = {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "name" if panel.shows_name else "auto",
            "colorMode": "none",
        }
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": options,
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": query.expr, "legendFormat": query.legend}
            for index, query in enumerate(panel.queries)
        ],
    }
