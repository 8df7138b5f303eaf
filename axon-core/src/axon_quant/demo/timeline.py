"""The big figure: price with fills, position, equity and weights over one time axis, the swap drawn through all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import sqrt

from axon_quant.demo.history import History, Moment
from axon_quant.orders import Fill, Side
from axon_quant.report.markup import Html, tag
from axon_quant.report.plot import Panel, figure, triangle
from axon_quant.report.scales import LinearScale, clock_time, padded

_CLUSTER_SECONDS = 4.0
_TONES = ("hero", "quiet", "second", "third")
"""Classes of the members' lines, in their order; further ones share the last."""


def timeline(history: History, *, width: float) -> Html:
    """Four panels, `width` pixels wide. A narrow one has fewer ticks and shorter labels."""
    narrow = width < 600
    x = LinearScale(0.0, history.seconds, 46.0 if narrow else 64.0, width - (92.0 if narrow else 108.0))
    moments = _thinned(history.moments, 2.0 if narrow else 1.0)
    panels = [
        _price(history, moments, x, top=70.0, bottom=300.0),
        _position(moments, x, top=342.0, bottom=392.0),
        _equity(history, moments, x, top=438.0, bottom=568.0),
        _weights(history, moments, x, top=614.0, bottom=764.0),
    ]
    ticks = x.time_ticks(5 if narrow else 15)
    for panel in panels:
        panel.columns(ticks, clock_time if panel is panels[-1] else None)
    panels[-1].add("text", "minutes of market time", x=x.end, y=804, class_="tick end")
    marks = [mark for panel in panels for mark in panel.grid]
    marks += _swaps(history, x, panels[0].top, panels[-1].bottom)
    marks += [mark for panel in panels for mark in panel.marks]
    marks += _hovers(history, x, panels[0].top, panels[-1].bottom)
    marks += _fills(history, panels[0])
    return figure(
        width,
        812.0,
        marks,
        title="The run over time",
        description=_description(history),
        class_="narrow" if narrow else "wide",
    )


def _price(history: History, moments: Sequence[Moment], x: LinearScale, *, top: float, bottom: float) -> Panel:
    prices = [moment.price for moment in history.moments]
    panel = Panel(x, *padded(min(prices), max(prices), 0.1), top=top, bottom=bottom)
    panel.title(f"Price of {history.base}, {history.quote}", "▲ bought  ▽ sold, sized by quantity")
    panel.rows(panel.y.ticks(5), "{:,.0f}".format)
    panel.line([(moment.at, moment.price) for moment in moments], "ink")
    panel.labels([(moments[-1].price, f"{moments[-1].price:,.0f}", "ink")])
    return panel


def _position(moments: Sequence[Moment], x: LinearScale, *, top: float, bottom: float) -> Panel:
    shares = [(moment.at, 100.0 * moment.position * moment.price / moment.equity) for moment in moments]
    panel = Panel(x, 0.0, max(10.0, *(share for _, share in shares)), top=top, bottom=bottom)
    panel.title("Position", "value held, as a share of equity")
    panel.rows(panel.y.ticks(2), "{:.0f} %".format, emphasised=0.0)
    panel.area(shares, 0.0, "blue")
    return panel


def _equity(history: History, moments: Sequence[Moment], x: LinearScale, *, top: float, bottom: float) -> Panel:
    initial = float(history.initial)
    profits = [(moment.at, moment.equity - initial) for moment in moments]
    values = [profit for _, profit in profits]
    panel = Panel(x, *padded(min(values), max(values)), top=top, bottom=bottom)
    panel.title("Equity", f"{history.quote} above or below the {initial:,.0f} it began with, fees paid")
    panel.rows(panel.y.ticks(4), signed, emphasised=0.0)
    panel.area(profits, 0.0, "blue")
    panel.line(profits, "blue")
    panel.labels([(values[-1], signed(values[-1], 2), "blue")])
    return panel


def _weights(history: History, moments: Sequence[Moment], x: LinearScale, *, top: float, bottom: float) -> Panel:
    panel = Panel(x, 0.0, 100.0, top=top, bottom=bottom)
    panel.title("Weight in the ensemble", "how far each member's vote counts")
    panel.rows([0.0, 25.0, 50.0, 75.0, 100.0], "{:.0f} %".format, emphasised=0.0)
    labels = []
    for index, name in reversed(list(enumerate(history.members))):
        tone = _TONES[min(index, len(_TONES) - 1)]
        points = [(moment.at, 100.0 * moment.weights[index]) for moment in moments]
        panel.line(points, tone)
        labels.append((points[-1][1], f"{name} {points[-1][1]:.0f} %", tone))
    panel.labels(labels)
    return panel


def _swaps(history: History, x: LinearScale, top: float, bottom: float) -> list[Html]:
    """A line through all panels for each swap, with what it was on top."""
    marks = []
    for swap in history.swaps:
        at = x(swap.at)
        name, before, after = swap.after.name, swap.before.number, swap.after.number
        marks.append(tag("line", x1=at, x2=at, y1=top - 38, y2=bottom, class_="swap"))
        marks.append(tag("circle", cx=at, cy=top - 38, r=3.5, class_="swap-dot"))
        text = tag("tspan", f"{name} v{before} → v{after}", class_="strong")
        marks.append(tag("text", text, f" at {clock_time(swap.at)}", x=at + 9, y=top - 34, class_="label hero"))
    return marks


def _fills(history: History, panel: Panel) -> list[Html]:
    """Fills on the price; those of one side within a few seconds are one mark."""
    groups = list(_clusters(history.fills))
    largest = max((sum(float(fill.quantity) for _, fill in group) for group in groups), default=1.0)
    marks = []
    for group in groups:
        fills = [fill for _, fill in group]
        quantity = sum(float(fill.quantity) for fill in fills)
        price = sum(float(fill.quantity * fill.price) for fill in fills) / quantity
        bought = fills[0].side is Side.Buy
        size = 4.0 + 8.0 * sqrt(quantity / largest)
        path = triangle(panel.x(group[0][0]), panel.y(price) + (3 if bought else -3), size, up=bought)
        count = "one fill" if len(fills) == 1 else f"{len(fills)} fills"
        verb = "bought" if bought else "sold"
        title = f"{clock_time(group[0][0])}  {verb} {quantity:.5f} {history.base} at {price:,.2f} ({count})"
        marks.append(tag("path", tag("title", title), d=path, class_="bought" if bought else "sold"))
    return marks


def _clusters(fills: Iterable[tuple[float, Fill]]) -> Iterable[list[tuple[float, Fill]]]:
    group: list[tuple[float, Fill]] = []
    for at, fill in fills:
        if group and (fill.side is not group[0][1].side or at - group[0][0] > _CLUSTER_SECONDS):
            yield group
            group = []
        group.append((at, fill))
    if group:
        yield group


def _hovers(history: History, x: LinearScale, top: float, bottom: float) -> list[Html]:
    """Columns over all panels that tell the state under the pointer."""
    panel = Panel(x, 0.0, 1.0, top=top, bottom=bottom)
    moments = _thinned(history.moments, history.seconds / 120)
    spans = []
    for moment, following in pairwise(moments):
        profit = signed(moment.equity - float(history.initial), 2)
        shares = ", ".join(
            f"{name} {100 * weight:.0f} %" for name, weight in zip(history.members, moment.weights, strict=True)
        )
        holding = f"{moment.position:.5f} {history.base}"
        text = (
            f"{clock_time(round(moment.at))}\nprice {moment.price:,.2f}\nequity {profit}\nposition {holding}\n{shares}"
        )
        spans.append((moment.at, following.at, text))
    panel.hover(spans)
    return panel.marks


def _description(history: History) -> str:
    prices = [moment.price for moment in history.moments]
    last = history.moments[-1]
    shares = ", ".join(
        f"{name} {100 * weight:.0f} %" for name, weight in zip(history.members, last.weights, strict=True)
    )
    swaps = "; ".join(
        f"{swap.after.name} was replaced by version {swap.after.number} at {clock_time(swap.at)}"
        for swap in history.swaps
    )
    return (
        f"The price moved between {min(prices):,.0f} and {max(prices):,.0f}; {len(history.fills)} fills; the equity "
        f"ended {signed(last.equity - float(history.initial), 2)} {history.quote}; final weights: {shares}. {swaps}."
    )


def _thinned(moments: Sequence[Moment], seconds: float) -> list[Moment]:
    """One moment in so many seconds, and the last."""
    kept = [moments[0]]
    for moment in moments:
        if moment.at - kept[-1].at >= seconds - 1e-6:
            kept.append(moment)
    return kept if kept[-1] is moments[-1] else [*kept, moments[-1]]


def signed(value: float, digits: int = 0) -> str:
    """With its sign, a real minus, and no sign on zero."""
    text = f"{abs(value):,.{digits}f}"
    if not float(text.replace(",", "")):
        return text
    return f"{'+' if value > 0 else '−'}{text}"
