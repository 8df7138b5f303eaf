"""From what the journal holds about a decision to the facts of a report."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from axon_explain.decision_report import facts
from axon_explain.decision_report.words import utc
from axon_quant.orders import Order, OrderUpdate
from axon_quant.runtime.decisions import DecisionRecord, OrderRecord, ReplayResult

NOT_IN_A_JOURNAL = (
    "which limits the orders passed: the journal records the checks that refused an order",
    "the source of the clock and its error bound",
    "the approval of the model and of its configuration",
    "the person responsible, and whether somebody overrode the decision",
    "a signature; the record is in a hash chain",
    "the retention class and its expiry",
)
_STAGES = ("decided", "durable", "sent", "acknowledged")


def scores_of(values: Sequence[float], actions: Sequence[str]) -> tuple[facts.Score, ...]:
    """Named scores."""
    return tuple(facts.Score(action, float(value)) for action, value in zip(actions, values, strict=True))


def added(found: facts.Facts, record: DecisionRecord, actions: Sequence[str]) -> facts.Facts:
    """The facts with what the journal holds beside them; `actions` name the scores."""
    return structs.replace(
        found,
        ensemble=ensemble(record, actions),
        risk=risk(record),
        orders=orders(record),
        cancels=record.cancels,
        journal=chain(record),
    )


def ensemble(record: DecisionRecord, actions: Sequence[str]) -> facts.Ensemble | None:
    """The votes; None where a single model decided."""
    votes = record.event.members
    failures = tuple(
        facts.Failure(member=failed.member, reason=failed.reason, deactivated=failed.deactivated)
        for failed in record.failures
    )
    if not votes and not failures:
        return None
    return facts.Ensemble(
        strategy=record.ensemble or None,
        votes=tuple(
            facts.Vote(
                member=vote.name,
                says=actions[max(range(len(vote.scores)), key=vote.scores.__getitem__)],
                weight=vote.weight,
                scores=scores_of(vote.scores, actions),
            )
            for vote in votes
        ),
        failures=failures,
    )


def risk(record: DecisionRecord) -> facts.Risk:
    """The state of risk control at that time, and the orders it refused."""
    return facts.Risk(
        state=record.risk_state,
        reason=record.risk_reason or None,
        passed=len(record.orders),
        refusals=tuple(
            facts.Refusal(
                order=in_words(refused.order),
                client_order_id=refused.order.client_order_id,
                controls=tuple(
                    facts.Control(control=reject.control, value=reject.value, limit=reject.limit)
                    for reject in refused.rejects
                ),
            )
            for refused in record.refusals
        ),
    )


def orders(record: DecisionRecord) -> tuple[facts.Order, ...]:
    """What the decision led to, and what the venue reported of it."""
    stamps = {
        str(note.body.get("client_order_id")): _stamps(note.body)
        for note in record.notes
        if note.name == "order-stamps"
    }
    return tuple(_order(one, stamps.get(one.order.client_order_id, {})) for one in record.orders)


def chain(record: DecisionRecord) -> facts.Chain:
    """Where the journal holds it."""
    return facts.Chain(
        run=record.run,
        sequence=record.sequence,
        record_hash=record.record_hash,
        previous_hash=record.previous_hash,
        config_sha256=record.config_sha256,
        mode=record.mode,
        seed=record.seed,
        run_started=utc(record.started),
    )


def replay(result: ReplayResult) -> facts.Replay:
    """The verdict, model by model."""
    return facts.Replay(
        verdict=result.verdict.value,
        compared=result.compared,
        reason=result.reason,
        members=tuple(
            facts.Replayed(
                member=member.name,
                verdict=member.verdict.value,
                reason=member.reason or None,
                plan_recorded=None if member.plan_recorded is None else dict(sorted(member.plan_recorded.items())),
                plan_used=None if member.plan_used is None else dict(sorted(member.plan_used.items())),
            )
            for member in result.members
        ),
        differences=tuple(map(str, result.differences)),
        remarks=result.remarks,
    )


def in_words(order: Order) -> str:
    """`buy 0.5 BTCUSDT, limit at 50000.1, gtc, post only`."""
    kind = order.order_type.value.replace("_", "-")
    parts = [f"{order.side.value} {order.quantity} {order.symbol}"]
    parts.append(kind if order.price is None else f"{kind} at {order.price}")
    if order.stop_price is not None:
        parts.append(f"stop at {order.stop_price}")
    parts.append(order.time_in_force.value)
    parts += ["post only"] if order.post_only else []
    parts += ["reduce only"] if order.reduce_only else []
    return ", ".join(parts)


def _order(one: OrderRecord, stamps: dict[str, float]) -> facts.Order:
    last: OrderUpdate | None = one.updates[-1] if one.updates else None
    venue_ids = [update.venue_order_id for update in one.updates if update.venue_order_id]
    return facts.Order(
        client_order_id=one.order.client_order_id,
        text=in_words(one.order),
        status=one.status.value.replace("_", " "),
        filled=str(max((update.filled_quantity for update in one.updates), default=0)),
        venue_order_id=venue_ids[-1] if venue_ids else None,
        reason=(last.reason or None) if last is not None else None,
        fills=tuple(
            facts.Fill(
                time=utc(fill.at),
                quantity=str(fill.quantity),
                price=str(fill.price),
                fee=f"{fill.fee} {fill.fee_asset}",
                liquidity=fill.liquidity.value,
                fill_id=fill.fill_id,
            )
            for fill in one.fills
        ),
        stamps=stamps,
    )


def _stamps(body: object) -> dict[str, float]:
    """µs since the market data came in, of the stages that the order passed."""
    found = body if isinstance(body, dict) else {}
    received = found.get("received")
    if not isinstance(received, int):
        return {}
    times = {stage: found.get(stage) for stage in _STAGES}
    return {stage: (time - received) / 1e3 for stage, time in times.items() if isinstance(time, int) and time > 0}
