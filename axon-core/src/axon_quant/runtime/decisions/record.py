"""One decision, as the journal holds it: what was seen, who answered what, and which orders came of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

from axon_quant.clock import MILLISECOND
from axon_quant.errors import JournalError, JournalTamperedError
from axon_quant.events import (
    CancelRequested,
    Decision,
    FeatureRow,
    MemberFailed,
    ModelIdentity,
    ModelLoaded,
    OrderPlaced,
    OrderRefused,
    OrderUpdated,
    RiskStateChanged,
    RunStarted,
)
from axon_quant.journal.codec import Note
from axon_quant.journal.excerpt import END, Record, RunRecords, run_records
from axon_quant.observation import FeatureSchema, Observation
from axon_quant.orders import Fill, Order, OrderStatus, OrderUpdate
from axon_quant.risk import RiskState

_ID = re.compile(r"(?:(?P<run>[0-9]{1,9}):)?(?P<what>.+)")


@attrs.frozen(kw_only=True)
class OrderRecord:
    """An order that a decision led to: the record that placed it, and what the venue reported of it in that run."""

    order: Order
    sequence: int
    at: int
    updates: tuple[OrderUpdate, ...]

    @property
    def fills(self) -> tuple[Fill, ...]:
        """Its executions, in order."""
        return tuple(update.fill for update in self.updates if update.fill is not None)

    @property
    def status(self) -> OrderStatus:
        """The last that is known of it."""
        return self.updates[-1].status if self.updates else OrderStatus.Submitted


@attrs.frozen(eq=False, kw_only=True)
class DecisionRecord:
    """What a journal holds about one decision.

    `decision_id` is `RUN:NUMBER`. `observation` `[rows, features]` float32 is what the model saw, its SHA-256 checked
    against the decision's; `feature_names` are its columns' (`f0…` where the schema is not one that axon makes), and
    `interval_ms` is between its rows (None likewise). `ensemble` is the strategy that combined the votes, empty in a
    journal of an earlier axon. `started` is when the run began, in UTC ns of wall time.

    `serving` are the model versions that served at that time, whether or not they had a say. `failures` are the members
    that failed in this decision, `cancels` the client order ids it asked to cancel, `refusals` what the risk engine did
    not let pass. `risk_state` (`active`, `reducing` or `halted`) was in force when the decision was taken.
    `record_hash` and `previous_hash` (hex) are the decision's own link in the chain. `notes` are the facts beside the
    chain that belong to its orders, such as the latency stamps.
    """

    decision_id: str
    run: int
    sequence: int
    event: Decision
    observation: NDArray[np.float32]
    feature_names: tuple[str, ...]
    interval_ms: int | None
    schema_sha256: str
    config_sha256: str
    mode: str
    seed: int
    ensemble: str
    started: int
    serving: tuple[ModelIdentity, ...]
    failures: tuple[MemberFailed, ...]
    orders: tuple[OrderRecord, ...]
    refusals: tuple[OrderRefused, ...]
    cancels: tuple[str, ...]
    risk_state: str
    risk_reason: str
    record_hash: str
    previous_hash: str
    notes: tuple[Note, ...]

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        """The model versions behind the decision."""
        return self.event.models

    @property
    def weights(self) -> Mapping[str, float]:
        """Of the members in this decision, by name."""
        return {vote.name: vote.weight for vote in self.event.members}


def find_decision(journal: str | Path, decision_id: str) -> DecisionRecord:
    """The decision `RUN:NUMBER`; `NUMBER` alone is one of the last run and `last` its last one, and the client id of an
    order is the decision behind it.

    Every record that is used is held to the hash chain, and the observation to the decision's SHA-256. Raises
    JournalTamperedError where that fails, and JournalError for a journal that cannot be read and a decision that is not
    in it.
    """
    path = Path(journal)
    match = _ID.fullmatch(decision_id)
    if match is None:
        raise JournalError(f"{decision_id!r} names no decision", file=path, hint=_HOW_TO_NAME)
    with run_records(path, None if match["run"] is None else int(match["run"])) as records:
        found = _decision(records, match["what"])
        if found is None or not isinstance(found.event, Decision):
            raise JournalError(f"run {records.number} has no decision {match['what']}", file=path, hint=_HOW_TO_NAME)
        return _Excerpt(records, path, found, found.event).record()


_HOW_TO_NAME = "RUN:NUMBER, NUMBER for the last run, `last`, or the client id of an order it led to"


def _decision(records: RunRecords, what: str) -> Record | None:
    if what == "last":
        return next(records.before(END, [Decision]), None)
    if not (what.isdecimal() and what.isascii()):
        placed = (record.event for record in records.holding(OrderPlaced, f'"client_order_id":"{what}"'))
        numbers = [event.decision for event in placed if isinstance(event, OrderPlaced)]
        if not numbers or not numbers[0]:
            return None
        what = str(numbers[0])
    for record in records.holding(Decision, f'"number":{int(what)},'):
        if isinstance(record.event, Decision) and record.event.number == int(what):
            return record
    return None


class _Excerpt:
    """Gathers what belongs to one decision from the records around it."""

    def __init__(self, records: RunRecords, path: Path, found: Record, decision: Decision) -> None:
        self._records = records
        self._path = path
        self._found = found
        self._decision = decision

    def record(self) -> DecisionRecord:
        records, found, decision = self._records, self._found, self._decision
        start = self._start()
        rows = self._rows()
        observation = self._observation(rows)
        schema = _schema(rows, start.schema_sha256)
        features = observation.shape[1]
        named = schema is not None and len(schema.features) == features
        orders = self._orders()
        refusals, cancels = self._consequences()
        state = next(records.before(found.sequence, [RiskStateChanged]), None)
        risk = state.event if state is not None and isinstance(state.event, RiskStateChanged) else None
        return DecisionRecord(
            decision_id=f"{records.number}:{decision.number}",
            run=records.number,
            sequence=found.sequence,
            event=decision,
            observation=observation,
            feature_names=schema.features if named and schema else tuple(f"f{index}" for index in range(features)),
            interval_ms=None if schema is None else schema.interval_ms,
            schema_sha256=start.schema_sha256,
            config_sha256=start.config_sha256,
            mode=start.mode,
            seed=start.seed,
            ensemble=start.ensemble,
            started=records.started,
            serving=self._serving(start),
            failures=self._failures(),
            orders=orders,
            refusals=refusals,
            cancels=cancels,
            risk_state=RiskState.ACTIVE.value if risk is None else risk.state,
            risk_reason="" if risk is None else risk.reason,
            record_hash=found.hash.hex(),
            previous_hash=found.previous.hex(),
            notes=tuple(
                note for order in orders for note in records.notes(f'"client_order_id":"{order.order.client_order_id}"')
            ),
        )

    def _start(self) -> RunStarted:
        for record in self._records.after(0, [RunStarted]):
            if isinstance(record.event, RunStarted):
                return record.event
        raise self._wrong("the run has no beginning")

    def _rows(self) -> list[FeatureRow]:
        """The rows that were observed, oldest first."""
        decision, rows = self._decision, dict[int, FeatureRow]()
        wanted = decision.last_row - decision.first_row + 1
        for record in self._records.before(self._found.sequence, [FeatureRow]):
            row = record.event
            if isinstance(row, FeatureRow) and row.symbol == decision.symbol and row.row <= decision.last_row:
                if row.row < decision.first_row:
                    break
                rows.setdefault(row.row, row)
                if len(rows) == wanted:
                    break
        missing = [row for row in range(decision.first_row, decision.last_row + 1) if row not in rows]
        if missing or wanted < 1:
            raise self._wrong(f"feature row {missing[0] if missing else decision.last_row} is missing")
        return [rows[row] for row in sorted(rows)]

    def _observation(self, rows: list[FeatureRow]) -> NDArray[np.float32]:
        digest = sha256()
        for row in rows:
            digest.update(sha256(row.data).digest())
        first, last = rows[0].row, rows[-1].row
        if digest.hexdigest() != self._decision.observation_sha256 or len({len(row.data) for row in rows}) != 1:
            raise self._wrong(f"feature rows {first} to {last} are not what was observed")
        flat = np.frombuffer(b"".join(row.data for row in rows), dtype="<f4")
        return flat.reshape(len(rows), -1).astype(np.float32)

    def _serving(self, start: RunStarted) -> tuple[ModelIdentity, ...]:
        serving = {model.name: model for model in start.models}
        for record in self._records.after(0, [ModelLoaded], last=self._found.sequence):
            if isinstance(record.event, ModelLoaded):
                serving[record.event.model.name] = record.event.model
        return tuple(serving.values())

    def _failures(self) -> tuple[MemberFailed, ...]:
        """Recorded while the decision was made: after the row it rests on, and before itself."""
        found: list[MemberFailed] = []
        for record in self._records.before(self._found.sequence, [MemberFailed, FeatureRow, Decision]):
            if not isinstance(record.event, MemberFailed):
                break
            found.append(record.event)
        return tuple(reversed(found))

    def _orders(self) -> tuple[OrderRecord, ...]:
        number, placed = self._decision.number, dict[str, Record]()
        for record in self._records.holding(OrderPlaced, f'"decision":{number}}}'):
            if isinstance(record.event, OrderPlaced) and record.event.decision == number:
                placed[record.event.order.client_order_id] = record
        updates: dict[str, list[OrderUpdate]] = {client_order_id: [] for client_order_id in placed}
        open_orders = set(placed)
        for record in self._records.after(self._found.sequence, [OrderUpdated]) if placed else ():
            update = record.event.update if isinstance(record.event, OrderUpdated) else None
            if update is not None and update.client_order_id in updates:
                updates[update.client_order_id].append(update)
                if update.status.is_terminal:
                    open_orders.discard(update.client_order_id)
            if not open_orders:
                break
        return tuple(
            OrderRecord(
                order=record.event.order,
                sequence=record.sequence,
                at=record.event.at,
                updates=tuple(updates[client_order_id]),
            )
            for client_order_id, record in placed.items()
            if isinstance(record.event, OrderPlaced)
        )

    def _consequences(self) -> tuple[tuple[OrderRefused, ...], tuple[str, ...]]:
        """Refusals and cancels carry no number of a decision: those of its own moment, before the next decision."""
        decision = self._decision
        refusals, cancels = list[OrderRefused](), list[str]()
        for record in self._records.after(self._found.sequence, [OrderRefused, CancelRequested, Decision, FeatureRow]):
            event = record.event
            if isinstance(event, Decision | FeatureRow) or event.at != decision.at:
                break
            if isinstance(event, OrderRefused) and event.order.symbol == decision.symbol:
                refusals.append(event)
            elif isinstance(event, CancelRequested) and event.symbol == decision.symbol:
                cancels.append(event.client_order_id)
        return tuple(refusals), tuple(cancels)

    def _wrong(self, what: str) -> JournalTamperedError:
        number, sequence = self._records.number, self._found.sequence
        return JournalTamperedError(
            f"run {number}: record {sequence}: decision {self._decision.number} of {self._decision.symbol}: {what}",
            file=self._path,
            run=number,
            sequence=sequence,
        )


def _schema(rows: list[FeatureRow], schema_sha256: str) -> FeatureSchema | None:
    """The schema of the run, if it is one of ours: the rows say how many there are and how far apart."""
    if len(rows) < 2:
        return None
    schema = Observation.schema(len(rows), (rows[1].at - rows[0].at) // MILLISECOND)
    return schema if schema.sha256 == schema_sha256 else None
