"""The sentences at the top of a report: what was decided, why, and what came of it."""

from __future__ import annotations

from axon_explain.decision_report.facts import (
    Attribution,
    Choice,
    Counterfactual,
    Counterfactuals,
    Facts,
    Order,
    Player,
    Replay,
    Risk,
)
from axon_explain.decision_report.words import counted, listed, number, percent, signed

VERDICTS = {"agreed": "The replay agrees", "differs": "The replay does not agree", "not-replayed": "Not replayed"}

_NAMED = 3
"""Features that a sentence names."""


def headline(decision: Choice) -> str:
    """`Buy BTCUSDT, with 83.1 % confidence`."""
    what = decision.action[:1].upper() + decision.action[1:]
    if decision.symbol is not None:
        what = f"{what} {decision.symbol}"
    return what if decision.confidence is None else f"{what}, with {percent(decision.confidence)} confidence"


def story(facts: Facts) -> tuple[str, ...]:
    """What is known, in the order in which one would tell it."""
    told = [_decided(facts)]
    if facts.attribution is not None:
        told.append(because(facts.attribution))
    if facts.counterfactuals is not None:
        told.append(otherwise(facts.counterfactuals))
    if facts.orders is not None:
        told.append(_led_to(facts.orders, facts.risk))
    if facts.replay is not None:
        told.append(replayed(facts.replay))
    return tuple(told)


def because(attribution: Attribution) -> str:
    """The features that weigh most, for and against."""
    moving = [player for player in attribution.players if player.importance != 0.0]
    if not moving:
        return f"Nothing in the observation moved the score of {attribution.action} from its average."
    pro = [player for player in moving if player.importance > 0][:_NAMED]
    con = [player for player in moving if player.importance < 0][:_NAMED]
    told = (
        f"The score of {attribution.action} was {number(attribution.score)}, where the average over the background is "
        f"{number(attribution.base_value)}."
    )
    if pro and con:
        return f"{told} {_named(pro)} spoke for it most, {_named(con)} against it."
    return f"{told} {_named(pro or con)} spoke {'for' if pro else 'against'} it most, and nothing the other way."


def otherwise(found: Counterfactuals) -> str:
    """What would have changed the decision."""
    if found.results:
        first = found.results[0]
        return f"It would have been {first.action}, had {_changed(first)}."
    asked = "" if found.evaluations is None else f" within {found.evaluations:,} evaluations"
    nearest = f"; {found.nearest}" if found.nearest else ""
    return f"Nothing was found{asked} that turns it into another decision{nearest}."


def replayed(replay: Replay) -> str:
    """The verdict of a replay."""
    if replay.verdict == "agreed":
        return "Computed again from the stored observation by the exact models, it came out the same bit for bit."
    if replay.verdict == "differs":
        return f"Computed again, it did not come out the same: {replay.reason}."
    return f"It could not be computed again: {replay.reason}."


def _decided(facts: Facts) -> str:
    decision = facts.decision
    when = f"At {decision.time} " if decision.time else ""
    voters = 0 if facts.ensemble is None else len(facts.ensemble.votes)
    names = {model.name for model in facts.models}
    names -= {"model", "<lambda>"}
    who = f"ensemble of {voters}" if voters > 1 else " ".join(["model", *names]) if len(names) < 2 else "model"
    who = f"{'the' if when else 'The'} {who}"
    symbol = f" on {decision.symbol}" if decision.symbol else ""
    scores = listed([f"{score.action} {number(score.score)}" for score in decision.scores])
    sure = "" if decision.confidence is None else f" with a confidence of {percent(decision.confidence)}"
    text = f"{when}{who} decided {decision.action}{symbol}{sure}; the scores were {scores}."
    if decision.explained != decision.action:
        text += f" This report is about {decision.explained}, which it did not choose."
    return text


def _named(players: list[Player]) -> str:
    return listed([f"{player.name} ({signed(player.importance)})" for player in players])


def _changed(result: Counterfactual) -> str:
    shown = result.changes[:2]
    texts = [
        f"{change.feature} been {number(change.counterfactual)} instead of {number(change.original)}"
        for change in shown
    ]
    if result.changed <= len(shown):
        return listed(texts)
    return f"{counted(result.changed, 'value')} been others: first of all, had {texts[0]}"


def _led_to(orders: tuple[Order, ...], risk: Risk | None) -> str:
    refused = () if risk is None else risk.refusals
    parts = [f"{order.text} ({order.status})" for order in orders[:2]]
    if len(orders) > len(parts):
        parts.append(f"{len(orders) - len(parts)} more")
    text = f"It led to {counted(len(orders), 'order')}: {listed(parts)}." if orders else "It led to no order."
    if refused:
        controls = dict.fromkeys(control.control for refusal in refused for control in refusal.controls)
        text += (
            f" Risk control refused {counted(len(refused), 'order')}: {listed(list(controls) or ['no reason given'])}."
        )
    return text
