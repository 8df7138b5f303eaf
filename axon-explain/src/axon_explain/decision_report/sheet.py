"""What the print shows: the facts cut down to what one to three pages hold, as texts and lengths in shares of 1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
from msgspec import Struct

from axon_explain.decision_report.facts import Facts, HeatMap, Model, Order
from axon_explain.decision_report.heatmap import strongest, when
from axon_explain.decision_report.story import VERDICTS
from axon_explain.decision_report.waterfall import steps
from axon_explain.decision_report.words import aligned, counted, exactness, number, percent, shortened, signed
from axon_quant.report.scales import LinearScale, padded


@attrs.frozen
class Limits:
    """How much is shown: letters of a name, a text and a sentence of the story, and rows of each kind."""

    name: int = 38
    text: int = 90
    story: int = 420
    results: int = 4
    changes: int = 4
    votes: int = 10
    orders: int = 6
    fills: int = 4
    models: int = 6
    notes: int = 6
    features: int = 15


FULL = Limits()
BRIEF = Limits(name=30, text=60, story=240, results=2, changes=3, votes=6, orders=3, fills=2, models=4, notes=3)
BRIEFEST = Limits(24, 36, 160, 1, 2, 4, 2, 1, 2, 2, 10)
"""One after the other is tried, until the pages are few enough."""


class Bar(Struct, frozen=True):
    """A line of the waterfall: it reaches from `low` to `high`, and `kind` is `for`, `against` or `level`."""

    label: str
    value: str
    low: float
    high: float
    kind: str


class Heat(Struct, frozen=True):
    """`cells` `[channels][columns]` from -1 to 1; a label stands under the columns that have one."""

    channels: list[str]
    totals: list[str]
    cells: list[list[float]]
    columns: list[str]
    note: str


class Table(Struct, frozen=True):
    """Rows of texts; column `wide` takes the room that is left, those in `right` hold numbers."""

    title: str
    lead: str
    heads: list[str]
    rows: list[list[str]]
    wide: int
    right: list[int]


class Fact(Struct, frozen=True):
    """A line for the record; `code` is a hash or an id that belongs to it."""

    label: str
    text: str
    code: str = ""


class Sheet(Struct, frozen=True):
    """All of it, in the order of the pages."""

    kicker: str
    title: str
    story: list[str]
    verdict: str
    replay: str
    agreed: bool
    cautions: list[str]
    bars: list[Bar]
    bars_note: str
    heat: Heat | None
    tables: list[Table]
    record: list[Fact]
    unknown: list[str]


def sheet(facts: Facts, to: Limits = FULL) -> Sheet:
    """The print of a report, cut down `to` what there is room for."""
    replay = facts.replay
    differences = () if replay is None else replay.differences
    told = "" if replay is None else ". ".join([replay.reason, *differences[:4]])
    return Sheet(
        kicker="Decision report" if facts.decision.id is None else f"Decision {facts.decision.id}",
        title=shortened(facts.headline, 120),
        story=[shortened(sentence, to.story) for sentence in facts.story],
        verdict="" if replay is None else f"{VERDICTS.get(replay.verdict, replay.verdict)}. ",
        replay=shortened(told, to.story),
        agreed=replay is not None and replay.verdict == "agreed",
        cautions=[shortened(text, to.story) for text in facts.cautions[: to.notes]],
        bars=_bars(facts, to),
        bars_note=_bars_note(facts),
        heat=None if facts.heat_map is None else _heat(facts.heat_map, facts.observation.interval_ms, to),
        tables=[
            table for table in (_flips(facts, to), _features(facts, to), _votes(facts, to), _orders(facts, to)) if table
        ],
        record=list(_record(facts, to)),
        unknown=[shortened(text, 2 * to.text) for text in facts.unknown[: 2 * to.notes]],
    )


def _bars(facts: Facts, to: Limits) -> list[Bar]:
    if facts.attribution is None or not facts.waterfall:
        return []
    found = steps(facts.attribution)
    ends = [place for step in found for place in (step.start, step.end)]
    scale = LinearScale(*padded(min(ends), max(ends), 0.02), 0.0, 1.0)
    bars = []
    for step in found:
        low, high = sorted((scale(step.start), scale(step.end)))
        label = shortened(step.label, to.name + 8)
        bars.append(Bar(label, step.value, round(low, 4), round(high, 4), step.kind))
    return bars


def _bars_note(facts: Facts) -> str:
    found = facts.attribution
    if found is None:
        return ""
    return (
        f"Shapley values against {counted(found.background_rows, 'row')} of background ({found.background_source}); "
        f"method {found.method}, {exactness(found.error_estimate)}, {found.evaluations:,} evaluations."
    )


def _heat(heat: HeatMap, interval_ms: int | None, to: Limits) -> Heat:
    largest, totals = strongest(heat), [sum(values) for values in heat.values]
    last = len(heat.steps) - 1
    every = max(1, -(-len(heat.steps) // 8))
    note = f"A full cell is {number(largest)}. {exactness(heat.error_estimate).capitalize()}."
    if heat.rest is not None:
        note += f" The other {heat.rest.name}: {signed(heat.rest.importance)} together."
    return Heat(
        channels=[shortened(name, to.name - 14) for name in heat.channels],
        totals=list(map(aligned(totals), totals)),
        cells=[[round(value / largest, 3) for value in values] for values in heat.values],
        columns=[
            when(span[1], interval_ms) if (last - column) % every == 0 else "" for column, span in enumerate(heat.steps)
        ],
        note=note,
    )


def _flips(facts: Facts, to: Limits) -> Table | None:
    found = facts.counterfactuals
    if found is None or not found.results:
        return None
    rows = []
    for result in found.results[: to.results]:
        shown = result.changes[: to.changes]
        for index, change in enumerate(shown):
            first = [result.action, ""] if index == 0 else ["", ""]
            if index == 0 and result.distance is not None:
                first[1] = number(result.distance)
            texts = (number(change.original), number(change.counterfactual), signed(change.delta))
            rows.append([shortened(first[0], to.name), shortened(change.feature, to.name), *texts, first[1]])
        if result.changed > len(shown):
            rows.append(["", f"and {result.changed - len(shown):,} more", "", "", "", ""])
    heads = ["Outcome", "Change", "Was", "Instead", "Difference", "Distance"]
    return Table(
        "What would have changed it", "Each was given to the model again and did flip.", heads, rows, 1, [2, 3, 4, 5]
    )


def _features(facts: Facts, to: Limits) -> Table | None:
    """Only where no waterfall says the same."""
    found = facts.attribution
    if found is None or not facts.feature_table or facts.waterfall:
        return None
    written = aligned(player.importance for player in found.players)
    rows = [
        [
            shortened(player.name, to.name),
            "–" if player.value is None else number(player.value),
            written(player.importance),
        ]
        for player in found.players[: to.features]
    ]
    others = len(found.players) - len(rows)
    lead = f"The other {others:,} are in the JSON form of this report." if others > 0 else ""
    return Table("What each feature contributed", lead, ["Feature", "Value", "Contribution"], rows, 0, [1, 2])


def _votes(facts: Facts, to: Limits) -> Table | None:
    ensemble = facts.ensemble
    if ensemble is None or not ensemble.votes:
        return None
    rows = [
        [
            shortened(vote.member, to.name),
            shortened(vote.says, 16),
            percent(vote.weight),
            shortened(", ".join(number(score.score) for score in vote.scores), 44),
        ]
        for vote in ensemble.votes[: to.votes]
    ]
    strategy = "" if ensemble.strategy is None else f"Combined by {ensemble.strategy}. "
    scores = ", ".join(score.action for score in ensemble.votes[0].scores)
    lead = f"{strategy}Scores: {shortened(scores, to.text)}."
    if ensemble.failures:
        failed = ", ".join(f"{failure.member} ({failure.reason})" for failure in ensemble.failures[:3])
        lead += f" Left out: {shortened(failed, 2 * to.text)}."
    more = len(ensemble.votes) - len(rows)
    rows += [[f"and {more:,} more", "", "", ""]] if more > 0 else []
    return Table("Who voted for what", lead, ["Member", "Says", "Weight", "Scores"], rows, 0, [2])


def _orders(facts: Facts, to: Limits) -> Table | None:
    if facts.orders is None:
        return None
    risk = facts.risk
    lead = ""
    if risk is not None:
        reason = f" ({shortened(risk.reason, to.text)})" if risk.reason else ""
        checked = f"; {counted(risk.passed, 'order')} passed, {len(risk.refusals)} did not"
        lead = f"Risk control was {risk.state}{reason}{checked if risk.passed or risk.refusals else ''}."
    rows = [row for order in facts.orders[: to.orders] for row in _order(order, to)][: to.orders + to.fills]
    refusals = () if risk is None else risk.refusals
    for refusal in refusals[: to.orders]:
        why = "; ".join(f"{one.control}: {one.value}, limit {one.limit}" for one in refusal.controls)
        rows.append([shortened(refusal.order, to.text), f"refused: {shortened(why, to.text)}", "0"])
    left = max(0, len(facts.orders) - to.orders) + max(0, len(refusals) - to.orders)
    rows += [[f"and {left:,} more", "", ""]] if left else []
    return Table("What came of it", lead if rows else f"{lead} No order.", ["Order", "Outcome", "Filled"], rows, 0, [2])


def _order(order: Order, to: Limits) -> Iterable[list[str]]:
    outcome = order.status if order.reason is None else f"{order.status}: {shortened(order.reason, to.text)}"
    yield [shortened(f"{order.text} · {order.client_order_id}", 2 * to.text), outcome, order.filled]
    for fill in order.fills[: to.fills]:
        yield [
            f"{fill.time} at {fill.price}",
            shortened(f"fill, fee {fill.fee}, {fill.liquidity}", to.text),
            fill.quantity,
        ]


def _record(facts: Facts, to: Limits) -> Iterable[Fact]:
    decision, journal, found, seen = facts.decision, facts.journal, facts.attribution, facts.observation
    if decision.at is not None:
        yield Fact("Event time", f"{decision.time} ({decision.at} ns)")
    for model in facts.models[: to.models]:
        yield Fact("Model", _model(model, to), model.sha256 or "")
    if len(facts.models) > to.models:
        yield Fact("Models", f"and {len(facts.models) - to.models} more")
    shape = " × ".join(map(str, seen.shape))
    rows = "" if seen.first_row is None else f", feature rows {seen.first_row} to {seen.last_row}"
    yield Fact("Observation", f"{shape} {seen.dtype}{rows}", seen.sha256 or "")
    if seen.schema_sha256 is not None:
        yield Fact("Feature schema", "", seen.schema_sha256)
    if journal is not None:
        where = f"run {journal.run}, record {journal.sequence}; {journal.mode}, seed {journal.seed}"
        yield Fact("Journal", f"{where}; the run started {journal.run_started}")
        yield Fact("Record hash", "", journal.record_hash)
        yield Fact("Hash before it", "", journal.previous_hash)
        yield Fact("Configuration", "", journal.config_sha256)
    if found is not None:
        yield Fact(
            "Explanation", f"{found.method}, budget {found.budget:,}, seed {found.seed}; {_sum(found.additivity_gap)}"
        )
        yield Fact("Background", f"{counted(found.background_rows, 'row')}", found.background_sha256)


def _sum(gap: float) -> str:
    return f"additivity gap {gap:.1e}"


def _model(model: Model, to: Limits) -> str:
    parts: Sequence[str] = [
        shortened(model.name, to.name),
        *([] if model.version is None else [f"version {model.version}"]),
        *([] if model.backend is None else [f"{model.backend} on {model.device}"]),
        *([] if model.explained else ["not asked for this report"]),
        *(
            [f"plan {shortened(', '.join(f'{k} {v}' for k, v in model.plan.items()), 4 * to.text)}"]
            if model.plan
            else []
        ),
    ]
    return ", ".join(parts)
