"""Which channel contributed, and when."""

from __future__ import annotations

from axon_explain.decision_report.facts import HeatMap
from axon_explain.decision_report.words import aligned, number, seen, shortened, signed
from axon_quant.report.markup import Html, tag
from axon_quant.report.plot import figure

_TOP = 8.0
_LETTER = 6.7


def heat_map(heat: HeatMap, *, width: float, interval_ms: int | None) -> Html:
    """The figure, for a page that is `width` pixels wide; with an `interval_ms` between the steps, in seconds."""
    narrow = width < 600
    left, right = (112.0, width - 58.0) if narrow else (196.0, width - 76.0)
    row = 20.0 if len(heat.channels) > 8 else 26.0
    cell = (right - left) / len(heat.steps)
    largest = strongest(heat)
    totals = [sum(values) for values in heat.values]
    written = aligned(totals)
    marks: list[Html] = []
    for index, (name, values) in enumerate(zip(heat.channels, heat.values, strict=True)):
        y = _TOP + index * row
        label = shortened(seen(name), int((left - 12) / _LETTER))
        marks.append(
            tag("text", tag("title", seen(name)), label, x=left - 12, y=y + row / 2 + 4, class_="label end name")
        )
        marks += [
            _cell(value / largest, left + column * cell, y, cell, row, _told(heat, index, column, interval_ms))
            for column, value in enumerate(values)
        ]
        side = "against" if totals[index] < 0 else "for"
        marks.append(tag("text", written(totals[index]), x=right + 8, y=y + row / 2 + 4, class_=f"value {side}"))
    bottom = _TOP + row * len(heat.channels)
    marks += _axis(heat, left, cell, bottom, 3 if narrow else 8, interval_ms)
    marks += _legend(largest, left, right, bottom + 42.0)
    return figure(
        width,
        bottom + 62.0,
        marks,
        title="Contributions by channel and time",
        description=f"{len(heat.channels)} channels, {len(heat.steps)} columns from the oldest to the newest.",
        class_="narrow" if narrow else "wide",
    )


def strongest(heat: HeatMap) -> float:
    """The largest contribution of a cell, either way; 1 where all are 0."""
    return max((abs(value) for values in heat.values for value in values), default=0.0) or 1.0


def when(step: int, interval_ms: int | None) -> str:
    """A time step as a label: `now`, `−2.5 s`, or `t−25` where the interval is not known."""
    if step == 0:
        return "now" if interval_ms else "t"
    return f"t\N{MINUS SIGN}{-step}" if not interval_ms else f"{number(step * interval_ms / 1000)} s"


def _told(heat: HeatMap, channel: int, column: int, interval_ms: int | None) -> str:
    first, last = heat.steps[column]
    span = when(last, interval_ms) if first == last else f"{when(first, interval_ms)} to {when(last, interval_ms)}"
    return f"{seen(heat.channels[channel])}, {span}: {signed(heat.values[channel][column])}"


def _cell(share: float, x: float, y: float, width: float, height: float, told: str) -> Html:
    side = "against" if share < 0 else "for"
    gap = 1.0 if width > 5 else 0.0
    return tag(
        "rect",
        tag("title", told),
        x=x,
        y=y,
        width=width - gap,
        height=height - 1,
        class_=f"cell {side}",
        fill_opacity=round(abs(share), 2) if abs(share) >= 0.005 else 0.0,
    )


def _axis(heat: HeatMap, left: float, cell: float, bottom: float, ticks: int, interval_ms: int | None) -> list[Html]:
    every = max(1, -(-len(heat.steps) // ticks))
    last = len(heat.steps) - 1
    marks = []
    for column in range(last, -1, -every):
        x = left + (column + 0.5) * cell
        text = when(heat.steps[column][1], interval_ms)
        marks.append(tag("text", text, x=x, y=bottom + 16, class_="tick middle"))
    return marks


def _legend(largest: float, left: float, right: float, y: float) -> list[Html]:
    size, parts = min(22.0, (right - left) / 16), (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
    start = left + (right - left - size * len(parts)) / 2
    marks = [_cell(share, start + index * size, y, size, 11.0, "") for index, share in enumerate(parts)]
    marks.append(tag("text", f"{signed(-largest)} against", x=start - 8, y=y + 9, class_="tick end"))
    marks.append(tag("text", f"for {signed(largest)}", x=start + size * len(parts) + 8, y=y + 9, class_="tick"))
    return marks
