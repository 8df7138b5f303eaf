"""The tables of a report's page."""

from __future__ import annotations

from collections.abc import Iterable

from axon_explain.decision_report.facts import Counterfactual, Facts, Order, Refusal
from axon_explain.decision_report.story import otherwise
from axon_explain.decision_report.words import aligned, counted, number, percent, seen, signed
from axon_quant.report.markup import Child, Html, tag

_FEATURES = 20
_CHANGES = 6
_ORDERS = 50


def name(text: str) -> Html:
    """A name from outside: its direction of writing is its own."""
    return tag("bdi", seen(text))


def table(
    heads: Iterable[str], rows: Iterable[Html], *, right: frozenset[str] = frozenset(), caption: str = ""
) -> Html:
    """A table that scrolls where it is too wide; the columns in `right` hold numbers."""
    cells = (tag("th", head, scope="col", class_="num" if head in right else None) for head in heads)
    made = tag(
        "table", tag("caption", caption) if caption else None, tag("thead", tag("tr", cells)), tag("tbody", rows)
    )
    return tag("div", made, class_="scroll plain")


def importances(facts: Facts) -> Html | None:
    """Every feature by its weight, the heaviest ones row by row."""
    found = facts.attribution
    if found is None or not facts.feature_table:
        return None
    largest = max((abs(player.importance) for player in found.players), default=0.0) or 1.0
    written = aligned(player.importance for player in found.players)
    valued = any(player.value is not None for player in found.players)
    rows = [
        tag(
            "tr",
            tag("th", name(player.name), scope="row"),
            tag("td", "–" if player.value is None else number(player.value), class_="num") if valued else None,
            tag("td", written(player.importance), class_="num"),
            tag("td", _bar(player.importance / largest), class_="bar-cell"),
        )
        for player in found.players[:_FEATURES]
    ]
    others = found.players[_FEATURES:]
    if others:
        label = f"{counted(len(others), 'other')} (all of them are in the JSON)"
        total = written(sum(player.importance for player in others))
        rows.append(
            tag(
                "tr",
                tag("th", label, scope="row"),
                tag("td") if valued else None,
                tag("td", total, class_="num"),
                tag("td"),
                class_="more",
            )
        )
    heads = ("Feature", "Value", "Contribution", "") if valued else ("Feature", "Contribution", "")
    return table(heads, rows, right=frozenset({"Value", "Contribution"}))


def counterfactuals(facts: Facts) -> Html | None:
    """One row for each change, counterfactual by counterfactual."""
    found = facts.counterfactuals
    if found is None:
        return None
    if not found.results:
        return tag("p", name(otherwise(found)), class_="story small")
    rows = [row for result in found.results for row in _changes(result)]
    heads: tuple[str, ...] = ("Outcome", "Change", "Was", "Instead", "Difference", "Distance")
    caption = "Distance: L1 in units of the background's median absolute deviation."
    if len(facts.observation.shape) > 1:
        caption += " Of a channel or another group, the values are means over its cells."
    if all(result.distance is None for result in found.results):
        heads, caption = heads[:-1], ""
    return table(heads, rows, right=frozenset({"Was", "Instead", "Difference", "Distance"}), caption=caption)


def votes(facts: Facts) -> Html | None:
    """Member, weight, scores."""
    ensemble = facts.ensemble
    if ensemble is None:
        return None
    actions = [score.action for score in ensemble.votes[0].scores] if ensemble.votes else []
    rows = [
        tag(
            "tr",
            tag("th", name(vote.member), scope="row"),
            tag("td", name(vote.says)),
            tag("td", percent(vote.weight), class_="num"),
            (tag("td", number(score.score), class_="num") for score in vote.scores),
        )
        for vote in ensemble.votes
    ]
    heads = [seen(action) for action in actions]
    made = table(("Member", "Says", "Weight", *heads), rows, right=frozenset({"Weight", *heads}))
    failed = [
        tag("li", name(failure.member), f" was left out: {seen(failure.reason)}") for failure in ensemble.failures
    ]
    return tag("div", made, tag("ul", failed, class_="notes") if failed else None)


def orders(facts: Facts) -> Html | None:
    """Orders with their fills, and what risk control refused."""
    if facts.orders is None:
        return None
    rows = [row for order in facts.orders[:_ORDERS] for row in _order(order)]
    refusals = () if facts.risk is None else facts.risk.refusals
    rows += [_refusal(refusal) for refusal in refusals[:_ORDERS]]
    if not rows:
        return tag("p", "No order.", class_="story small")
    made = table(("Order", "Client order id", "Outcome", "Filled"), rows, right=frozenset({"Filled"}))
    cancels = [tag("li", "Asked to cancel ", tag("code", seen(cancel))) for cancel in facts.cancels]
    return tag("div", made, tag("ul", cancels, class_="notes") if cancels else None)


def _changes(result: Counterfactual) -> list[Html]:
    rows = []
    distance: Child = None
    for index, change in enumerate(result.changes[:_CHANGES]):
        if result.distance is not None:
            distance = tag("td", number(result.distance) if index == 0 else "", class_="num")
        rows.append(
            tag(
                "tr",
                tag("th", name(result.action) if index == 0 else None, scope="row"),
                tag("td", name(change.feature), class_="text"),
                tag("td", number(change.original), class_="num"),
                tag("td", number(change.counterfactual), class_="num"),
                tag("td", signed(change.delta), class_="num"),
                distance,
            )
        )
    left = result.changed - min(len(result.changes), _CHANGES)
    if left > 0:
        rows.append(_more("", f"and {left:,} more", *([""] * (3 if result.distance is None else 4))))
    return rows


def _order(order: Order) -> list[Html]:
    outcome = order.status if order.reason is None else f"{order.status}: {order.reason}"
    rows = [
        tag(
            "tr",
            tag("th", name(order.text), scope="row"),
            tag("td", tag("code", seen(order.client_order_id))),
            tag("td", name(outcome), class_="text"),
            tag("td", order.filled, class_="num"),
        )
    ]
    for fill in order.fills:
        text = f"{fill.time}: {fill.quantity} at {fill.price}, fee {fill.fee}, {fill.liquidity}"
        rows.append(_more(text, tag("code", seen(fill.fill_id)), "fill", fill.quantity))
    if order.stamps:
        times = ", ".join(f"{stage} {value:,.0f} µs" for stage, value in order.stamps.items())
        rows.append(_more(f"After the market data came in: {times}", "", "", ""))
    return rows


def _refusal(refusal: Refusal) -> Html:
    why = "; ".join(f"{one.control}: {one.value} against a limit of {one.limit}" for one in refusal.controls)
    return tag(
        "tr",
        tag("th", name(refusal.order), scope="row"),
        tag("td", tag("code", seen(refusal.client_order_id))),
        tag("td", name(f"refused by risk control: {why}"), class_="text"),
        tag("td", "0", class_="num"),
    )


def _more(first: str, *cells: Child) -> Html:
    return tag(
        "tr",
        tag("th", name(first), scope="row"),
        (tag("td", cell, class_="num" if index == len(cells) - 1 else None) for index, cell in enumerate(cells)),
        class_="more",
    )


def _bar(share: float) -> Html:
    """From the middle to the right for what speaks for the action, to the left for what speaks against it."""
    length = abs(share) * 50.0
    x = 50.0 - length if share < 0 else 50.0
    rect = tag("rect", x=x, y=0, width=length, height=10, class_="bar against" if share < 0 else "bar for")
    axis = tag("line", x1=50, x2=50, y1=0, y2=10, class_="grid strong")
    return tag("svg", rect, axis, viewBox="0 0 100 10", preserveAspectRatio="none", aria_hidden="true")
