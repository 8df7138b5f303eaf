"""One panel of a figure: a box with scales, and the marks that go into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from axon_quant.report.markup import Child, Html, tag
from axon_quant.report.scales import LinearScale

_LINE_HEIGHT = 15.0


class Panel:
    """Collects SVG in its box: `x` runs from `left` to `right`, `y` from `bottom` up to `top` (all in pixels).

    `grid` lies below everything else, `marks` above it in the order in which they were added.

    Colours and widths come from the style sheet: every mark takes the class that names its role.
    """

    def __init__(self, x: LinearScale, low: float, high: float, *, top: float, bottom: float) -> None:
        self.x = x
        self.y = LinearScale(low, high, bottom, top)
        self.left, self.right = x.start, x.end
        self.top, self.bottom = top, bottom
        self.grid: list[Html] = []
        self.marks: list[Html] = []

    def add(self, name: str, /, *children: Child, **attributes: str | float | None) -> None:
        """Any element."""
        self.marks.append(tag(name, *children, **attributes))

    def title(self, text: str, note: str = "") -> None:
        """What the panel shows, above its top left corner; `note` goes on in a lighter voice."""
        lighter = tag("tspan", note, class_="note", dx=8) if note else None
        self.add("text", text, lighter, x=0, y=self.top - 14, class_="panel-title")

    def rows(self, ticks: Iterable[float], label: Callable[[float], str], *, emphasised: float | None = None) -> None:
        """Horizontal grid lines with their labels on the left."""
        for tick in ticks:
            y = self.y(tick)
            line = "grid strong" if tick == emphasised else "grid"
            self.grid.append(tag("line", x1=self.left, x2=self.right, y1=y, y2=y, class_=line))
            self.add("text", label(tick), x=self.left - 10, y=y + 4, class_="tick end")

    def columns(self, ticks: Iterable[float], label: Callable[[float], str] | None = None) -> None:
        """Vertical grid lines, with labels below when they are asked for."""
        for tick in ticks:
            x = self.x(tick)
            self.grid.append(tag("line", x1=x, x2=x, y1=self.top, y2=self.bottom, class_="grid faint"))
            if label is not None:
                self.add("text", label(tick), x=x, y=self.bottom + 20, class_="tick middle")

    def line(self, points: Sequence[tuple[float, float]], class_: str) -> None:
        """A line through points in data units."""
        if points:
            self.add("path", d=self._path(points), class_=f"line {class_}")

    def area(self, points: Sequence[tuple[float, float]], base: float, class_: str) -> None:
        """What lies between a line and a level."""
        if points:
            y = _short(self.y(base))
            d = f"{self._path(points)}L{_short(self.x(points[-1][0]))},{y}L{_short(self.x(points[0][0]))},{y}Z"
            self.add("path", d=d, class_=f"area {class_}")

    def hover(self, spans: Iterable[tuple[float, float, str]]) -> None:
        """Invisible columns whose text shows under the pointer: (from, to, text) in data units."""
        for start, end, text in spans:
            x = self.x(start)
            width = self.x(end) - x
            height = self.bottom - self.top
            self.add("rect", tag("title", text), x=x, y=self.top, width=width, height=height, class_="hover")

    def labels(self, labels: Iterable[tuple[float, str, str]]) -> None:
        """Direct labels right of the panel, (value, text, class), moved apart where they would touch."""
        ordered = sorted(labels, key=lambda item: self.y(item[0]))
        places = dodge([self.y(value) for value, _, _ in ordered], self.top, self.bottom)
        for (_, text, class_), y in zip(ordered, places, strict=True):
            self.add("text", text, x=self.right + 10, y=y + 4, class_=f"label {class_}")

    def _path(self, points: Sequence[tuple[float, float]]) -> str:
        x, y = self.x, self.y
        return "M" + "L".join([f"{_short(x(a))},{_short(y(b))}" for a, b in points])


def figure(width: float, height: float, marks: Iterable[Html], *, title: str, description: str, class_: str) -> Html:
    """An SVG image of that size, which scales down with the page. `description` is what a screen reader says."""
    return tag(
        "svg",
        tag("title", title),
        tag("desc", description),
        marks,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=f"{title}. {description}",
        class_=class_,
    )


def triangle(x: float, y: float, size: float, *, up: bool) -> str:
    """The path of a triangle whose tip touches (x, y) from below (`up`) or from above."""
    way = size if up else -size
    return f"M{_short(x)},{_short(y)}l{_short(size * 0.6)},{_short(way)}h{_short(-size * 1.2)}Z"


def dodge(places: Sequence[float], low: float, high: float) -> list[float]:
    """Ascending places, moved as little as needed to stand a line apart, between `low` and `high`."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + _LINE_HEIGHT) if moved else max(place, low))
    limit = high
    for index in range(len(moved) - 1, -1, -1):
        moved[index] = min(moved[index], limit)
        limit = moved[index] - _LINE_HEIGHT
    return moved


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
