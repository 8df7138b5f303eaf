"""Fifteen seconds, order by order: where each was placed, how long it waited and how it ended."""

from __future__ import annotations

from axon_quant.demo.history import History, OrderLife
from axon_quant.orders import OrderStatus, Side
from axon_quant.report.markup import Html, tag
from axon_quant.report.plot import Panel, figure, triangle
from axon_quant.report.scales import LinearScale, clock_time, padded

SPAN = 15.0


def busiest(history: History) -> float:
    """When the `SPAN` seconds begin in which orders waited longest, all together."""
    waits = [(life.placed, life.ended - life.placed) for life in history.orders]
    totals = [(sum(wait for at, wait in waits if start <= at < start + SPAN - 1.0), -start) for start, _ in waits]
    return max(-max(totals)[1] - 1.0, 0.0) if totals else 0.0


def closeup(history: History, *, width: float) -> Html:
    """The price, and each order as a line at its limit from when it was placed until it ended."""
    narrow = width < 600
    start = busiest(history)
    end = min(start + SPAN, history.seconds)
    x = LinearScale(start, end, 46.0 if narrow else 64.0, width - (22.0 if narrow else 108.0))
    moments = [moment for moment in history.moments if start <= moment.at <= end]
    lives = [life for life in history.orders if start <= life.placed <= end]
    levels = [moment.price for moment in moments] + [float(life.order.price or 0) for life in lives]
    panel = Panel(x, *padded(min(levels), max(levels), 0.12), top=44.0, bottom=284.0)
    panel.title(f"Price of {history.base}, {history.quote}", "▲ bought  ▽ sold  × cancelled")
    panel.columns(x.time_ticks(3 if narrow else 8), clock_time)
    panel.rows(panel.y.ticks(5), "{:,.0f}".format)
    panel.line([(moment.at, moment.price) for moment in moments], "ink thin")
    panel.marks += [_life(life, panel, end, history.base) for life in lives]
    filled = sum(life.status is OrderStatus.Filled for life in lives)
    return figure(
        width,
        316.0,
        [*panel.grid, *panel.marks],
        title=f"Orders from {clock_time(round(start))} to {clock_time(round(end))}",
        description=f"{len(lives)} orders, {filled} of them filled, the others cancelled or expired.",
        class_="narrow" if narrow else "wide",
    )


def _life(life: OrderLife, panel: Panel, end: float, base: str) -> Html:
    order = life.order
    price = float(order.price or 0)
    x1, x2, y = panel.x(life.placed), panel.x(min(life.ended, end)), panel.y(price)
    bought = order.side is Side.Buy
    marks = [tag("line", x1=x1, x2=max(x2, x1 + 2), y1=y, y2=y, class_="resting")]
    if life.status is OrderStatus.Filled:
        path = triangle(x2, y + (1 if bought else -1), 8.0, up=bought)
        marks.append(tag("path", d=path, class_="bought" if bought else "sold"))
    else:
        marks.append(tag("path", d=f"M{x2 - 3:.1f},{y - 3:.1f}l6,6m0,-6l-6,6", class_="cancelled"))
    title = (
        f"{clock_time(life.placed)}  {order.side.value} {order.quantity} {base} at {order.price}, "
        f"{order.time_in_force.value}: {life.status.value} after {1000 * (life.ended - life.placed):.0f} ms"
    )
    return tag("g", tag("title", title), marks)
