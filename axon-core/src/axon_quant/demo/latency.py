"""How long each stage took: the median and the 99th percentile on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Mapping

from axon_quant.report.markup import Html, tag
from axon_quant.report.plot import figure
from axon_quant.report.scales import LogScale, duration

STAGES = {
    "observation": "a row of 128 features",
    "inference": "every member, one vote",
    "strategy": "action → orders",
    "risk": "every control, per order",
    "decision": "row due → last order handed on",
    "durable": "the journal's disk",
    "order": "row due → venue's first answer",
}
"""What is measured, in a few words; the order of the rows."""

_ROW = 44.0


def latency(latency_us: Mapping[str, Mapping[str, float | None]], *, width: float) -> Html:
    """One row per stage, `{p50, p99}` in microseconds; a quantile that too few samples back is left out."""
    narrow = width < 600
    rows = [(name, latency_us[name]) for name in STAGES if name in latency_us]
    values = [value for _, quantiles in rows for value in quantiles.values() if value]
    low, high = min(values, default=1.0), max(values, default=1e3)
    x = LogScale(low / 1.8, max(high * 1.3, low * 10), 122.0 if narrow else 250.0, width - (72.0 if narrow else 108.0))
    bottom = 34.0 + _ROW * len(rows)
    marks = [
        tag(
            "text",
            "● half of all are faster (p50)  ○ 99 of 100 are (p99)",
            x=0.0 if narrow else x.start,
            y=16,
            class_="note",
        )
    ]
    for tick in x.ticks():
        at = x(tick)
        marks.append(tag("line", x1=at, x2=at, y1=30, y2=bottom, class_="grid faint"))
        marks.append(tag("text", duration(tick), x=at, y=bottom + 18, class_="tick middle"))
    for number, (name, quantiles) in enumerate(rows):
        y = 34.0 + _ROW * (number + 0.5)
        marks.append(tag("text", name, x=0, y=y + 4 if narrow else y, class_="label strong"))
        if not narrow:
            marks.append(tag("text", STAGES[name], x=0, y=y + 15, class_="note"))
        marks += _stage(name, quantiles, x, y)
    spoken = "; ".join(f"{name}: {_spoken(quantiles)}" for name, quantiles in rows)
    shape = "narrow" if narrow else "wide"
    return figure(width, bottom + 26, marks, title="Latency per stage", description=spoken, class_=shape)


def _stage(name: str, quantiles: Mapping[str, float | None], x: LogScale, y: float) -> list[Html]:
    half, nearly_all = quantiles["p50"], quantiles["p99"]
    marks = []
    if half is not None and nearly_all is not None:
        marks.append(tag("line", x1=x(half), x2=x(nearly_all), y1=y, y2=y, class_="range"))
    if half is not None:
        marks.append(tag("circle", tag("title", f"{name}: p50 {duration(half)}"), cx=x(half), cy=y, r=5, class_="dot"))
        marks.append(tag("text", duration(half), x=x(half), y=y - 10, class_="value middle"))
    if nearly_all is not None:
        title = tag("title", f"{name}: p99 {duration(nearly_all)}")
        marks.append(tag("circle", title, cx=x(nearly_all), cy=y, r=5, class_="ring"))
        marks.append(tag("text", duration(nearly_all), x=x(nearly_all) + 11, y=y + 4, class_="value"))
    elif half is not None:
        marks.append(tag("text", "too few for a p99", x=x(half) + 12, y=y + 4, class_="note"))
    return marks


def _spoken(quantiles: Mapping[str, float | None]) -> str:
    return ", ".join(f"{name} {'unknown' if value is None else duration(value)}" for name, value in quantiles.items())
