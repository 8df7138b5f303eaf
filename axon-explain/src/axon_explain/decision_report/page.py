"""The report as one HTML page that needs nothing but itself."""

from __future__ import annotations

from importlib.resources import files

from axon_explain.decision_report.facts import Facts
from axon_explain.decision_report.heatmap import heat_map
from axon_explain.decision_report.page_record import for_the_record
from axon_explain.decision_report.page_tables import counterfactuals, importances, orders, votes
from axon_explain.decision_report.story import VERDICTS
from axon_explain.decision_report.waterfall import waterfall
from axon_explain.decision_report.words import counted, exactness, number, percent, seen
from axon_quant.report.markup import Child, Html, page, tag

WIDE, NARROW = 1040.0, 400.0
_DIFFERENCES = 6


def render(facts: Facts) -> str:
    """The whole document. What came from outside is escaped, and spelled out where it shows nothing."""
    style = (files("axon_explain.decision_report") / "decision.css").read_text("utf-8")
    kicker = "decision report" if facts.decision.id is None else f"decision {seen(facts.decision.id)}"
    body = tag(
        "main",
        tag(
            "header",
            tag("p", kicker, class_="kicker"),
            tag("h1", tag("bdi", seen(facts.headline))),
            (tag("p", tag("bdi", seen(sentence)), class_="story") for sentence in facts.story),
        ),
        _figures(facts),
        _verdict(facts),
        _cautions(facts),
        _waterfall(facts),
        _heat_map(facts),
        _section(
            "What would have changed it",
            "Observations near this one with another outcome; each was given to the model again and did flip.",
            counterfactuals(facts),
        ),
        _section("What each feature contributed", _method(facts), importances(facts)),
        _section("Who voted for what", _strategy(facts), votes(facts)),
        _section("What came of it", _risk(facts), orders(facts)),
        tag("section", tag("h2", "For the record"), for_the_record(facts)),
        _unknown(facts),
    )
    return page(f"Decision report: {seen(facts.headline)}", body, style=style)


def _section(title: str, lead: Child, content: Html | None) -> Html | None:
    if content is None:
        return None
    return tag("section", tag("h2", title), tag("p", lead, class_="lead"), content)


def _figures(facts: Facts) -> Html | None:
    decision, attribution = facts.decision, facts.attribution
    found: list[tuple[str, str]] = []
    if decision.confidence is not None:
        found.append((percent(decision.confidence), "confidence"))
    if attribution is not None:
        named = seen(attribution.action)
        found.append((number(attribution.score), f"score of {named}, {number(attribution.base_value)} on average"))
    if facts.orders is not None:
        fills = sum(len(order.fills) for order in facts.orders)
        found.append(
            (f"{len(facts.orders):,}", f"{'order' if len(facts.orders) == 1 else 'orders'}, {counted(fills, 'fill')}")
        )
    if facts.counterfactuals is not None and facts.counterfactuals.results:
        first = facts.counterfactuals.results[0]
        found.append(
            (
                f"{first.changed:,}",
                f"{'change' if first.changed == 1 else 'changes'} would have made it {seen(first.action)}",
            )
        )
    if not found:
        return None
    return tag("dl", (tag("div", tag("dt", label), tag("dd", value)) for value, label in found), class_="figures")


def _verdict(facts: Facts) -> Html | None:
    replay = facts.replay
    if replay is None:
        return None
    agreed = replay.verdict == "agreed"
    head = f"{VERDICTS.get(replay.verdict, replay.verdict)}. "
    details = [seen(text) for text in (replay.reason, *replay.differences[:_DIFFERENCES], *replay.remarks)]
    text = tag("span", tag("bdi", ". ".join(details)), ".")
    return tag("p", tag("strong", head), text, class_="verdict" if agreed else "verdict bad")


def _cautions(facts: Facts) -> Html | None:
    if not facts.cautions:
        return None
    return tag("ul", (tag("li", tag("bdi", seen(text))) for text in facts.cautions), class_="notes")


def _waterfall(facts: Facts) -> Html | None:
    attribution = facts.attribution
    if attribution is None or not facts.waterfall:
        return None
    lead = (
        f"From the average score of {seen(attribution.action)} over the background to the score of this observation. "
        "Blue speaks for it, red against it; the longest bars come first."
    )
    figures = tag("figure", waterfall(attribution, width=WIDE), waterfall(attribution, width=NARROW))
    return tag("section", tag("h2", "Why"), tag("p", lead, class_="lead"), figures)


def _heat_map(facts: Facts) -> Html | None:
    heat = facts.heat_map
    if heat is None:
        return None
    interval = facts.observation.interval_ms
    lead = f"When each of the {len(heat.channels)} heaviest channels contributed; the totals stand on the right."
    if heat.rest is not None:
        lead += f" The other {heat.rest.name} contribute {number(heat.rest.importance)} together."
    lead += f" {_exactness(heat.method, heat.error_estimate, heat.evaluations)}"
    figures = (heat_map(heat, width=width, interval_ms=interval) for width in (WIDE, NARROW))
    return tag("section", tag("h2", "Which channel, and when"), tag("p", lead, class_="lead"), tag("figure", figures))


def _method(facts: Facts) -> str:
    found = facts.attribution
    if found is None:
        return ""
    grouped = {"channel": "by channel", "time": "by time step", "custom": "by groups"}.get(found.grouping, "by feature")
    rows = counted(found.background_rows, "row")
    how = _exactness(found.method, found.error_estimate, found.evaluations)
    return f"Shapley values {grouped}, against {rows} of background ({seen(found.background_source)}). {how}"


def _exactness(method: str, error: float | None, evaluations: int) -> str:
    return f"Method {seen(method)}, {exactness(error)}, {evaluations:,} evaluations."


def _strategy(facts: Facts) -> str:
    strategy = None if facts.ensemble is None else facts.ensemble.strategy
    return (
        "Combined by a strategy that the journal does not name."
        if strategy is None
        else f"Combined by {seen(strategy)}."
    )


def _risk(facts: Facts) -> str:
    risk = facts.risk
    if risk is None:
        return ""
    reason = f" ({seen(risk.reason)})" if risk.reason else ""
    if not risk.passed and not risk.refusals:
        return f"Risk control was {seen(risk.state)}{reason}, and had nothing to check."
    passed = counted(risk.passed, "order")
    return f"Risk control was {seen(risk.state)}{reason}; {passed} passed its checks, {len(risk.refusals)} did not."


def _unknown(facts: Facts) -> Html | None:
    if not facts.unknown:
        return None
    items = (tag("li", tag("bdi", seen(text))) for text in facts.unknown)
    return tag("section", tag("h2", "What is not known here"), tag("ul", items, class_="notes quiet"))
