"""From the average score to this one, feature by feature."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from axon_explain.decision_report.facts import Attribution, Player
from axon_explain.decision_report.words import aligned, counted, number, seen, shortened
from axon_quant.report.markup import Html, tag
from axon_quant.report.plot import figure
from axon_quant.report.scales import LinearScale, padded

SHOWN = 15
_ROW = 27.0
_BAR = 17.0
_LETTER = 6.7
"""Width of a character of a label, on average."""


@attrs.frozen
class Step:
    """A bar from `start` to `end`; `kind` is its class: `for`, `against`, or `level` for where it begins and ends."""

    label: str
    value: str
    start: float
    end: float
    kind: str


def steps(attribution: Attribution, shown: int = SHOWN) -> list[Step]:
    """The average, the heaviest features, the others together, and the score."""
    players = list(attribution.players)
    top, others = (players, []) if len(players) <= shown + 1 else (players[:shown], players[shown:])
    written = aligned(player.importance for player in players)
    level = attribution.base_value
    found = [Step("average score", number(level), level, level, "level")]
    for player in top:
        found.append(_step(_label(player), player.importance, level, written))
        level += player.importance
    if others:
        together = sum(player.importance for player in others)
        found.append(_step(counted(len(others), "other"), together, level, written))
    score = attribution.score
    found.append(Step(f"score of {seen(attribution.action)}", number(score), score, score, "level"))
    return found


def waterfall(attribution: Attribution, *, width: float) -> Html:
    """The figure, for a page that is `width` pixels wide."""
    narrow = width < 600
    bars = steps(attribution, 10 if narrow else SHOWN)
    left = 132.0 if narrow else 264.0
    ends = [place for bar in bars for place in (bar.start, bar.end)]
    x = LinearScale(*padded(min(ends), max(ends), 0.02), left, width - (62.0 if narrow else 84.0))
    marks: list[Html] = []
    bottom = _ROW * len(bars) + 6.0
    for tick in x.ticks(3 if narrow else 7):
        place = x(tick)
        marks.append(tag("line", x1=place, x2=place, y1=0, y2=bottom, class_="grid faint"))
        marks.append(tag("text", number(tick), x=place, y=bottom + 16, class_="tick middle"))
    for index, bar in enumerate(bars):
        marks += _marks(bar, x, index * _ROW, left, last=index == len(bars) - 1)
    return figure(
        width,
        bottom + 24.0,
        marks,
        title="How the score comes about",
        description=_described(bars[1:-1]),
        class_="narrow" if narrow else "wide",
    )


def _marks(bar: Step, x: LinearScale, top: float, left: float, *, last: bool) -> list[Html]:
    low, high = sorted((x(bar.start), x(bar.end)))
    middle = top + _ROW / 2
    label = shortened(bar.label, int((left - 14) / _LETTER))
    marks = [
        tag("text", tag("title", bar.label), label, x=left - 14, y=middle + 4, class_=f"label end name {bar.kind}")
    ]
    if bar.kind == "level":
        marks.append(tag("line", x1=low, x2=low, y1=top + 2, y2=top + _ROW - 2, class_="level"))
    else:
        title = tag("title", f"{bar.label}: {bar.value}")
        y = middle - _BAR / 2
        marks.append(
            tag("rect", title, x=low, y=y, width=max(high - low, 1.0), height=_BAR, rx=1.5, class_=f"bar {bar.kind}")
        )
    if not last:
        at = x(bar.end)
        marks.append(tag("line", x1=at, x2=at, y1=middle, y2=middle + _ROW, class_="link"))
    marks.append(tag("text", bar.value, x=high + 7, y=middle + 4, class_=f"value {bar.kind}"))
    return marks


def _step(label: str, importance: float, level: float, written: Callable[[float], str]) -> Step:
    return Step(label, written(importance), level, level + importance, "against" if importance < 0 else "for")


def _label(player: Player) -> str:
    name = seen(player.name)
    return name if player.value is None else f"{name} = {number(player.value)}"


def _described(bars: Sequence[Step]) -> str:
    return "; ".join(f"{bar.label}: {bar.value}" for bar in bars[:5]) or "No feature contributes."
