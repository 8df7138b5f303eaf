"""What happened, one type per fact. Stages emit events; the runtime hands them to the journal and the metrics.

Every event has `at`, UTC nanoseconds on the run's clock, and nothing that differs between two replays: no wall time, no
path, no run id. Its tag (`kind`) is its class name in kebab case and is what the journal stores.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias

from msgspec import Struct

from axon_quant.orders.types import Order, OrderUpdate
from axon_quant.provenance import MemberVote as MemberVote
from axon_quant.provenance import ModelIdentity as ModelIdentity


def kind_of(name: str) -> str:
    """`OrderPlaced` → `order-placed`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


class Event(Struct, frozen=True, tag=kind_of, tag_field="kind"):
    """Base of all events; `at` is when it happened on the run's clock, in UTC nanoseconds."""

    at: int


Emit: TypeAlias = Callable[[Event], object]
"""How a stage reports an event. The runtime supplies it; it returns at once."""


class RunStarted(Event, frozen=True):
    """A run begins. `config_sha256` and `schema_sha256` identify the configuration and the feature schema; `ensemble`
    is the strategy that combines the members' votes."""

    mode: str
    seed: int
    config_sha256: str
    schema_sha256: str
    models: tuple[ModelIdentity, ...]
    ensemble: str = ""


class RunEnded(Event, frozen=True):
    """A run ended in an orderly way: `completed`, `interrupted` or `failed`."""

    outcome: str


class BookGap(Event, frozen=True):
    """Updates of a book are missing (`expected` < `found`) or the book crossed (`expected` == `found` == 0)."""

    symbol: str
    expected: int
    found: int


class BookWhole(Event, frozen=True):
    """A book is whole from here on."""

    symbol: str
    sequence: int


class WindowReset(Event, frozen=True):
    """The observation window was emptied because market data was missing for too long."""

    symbol: str
    silence: int


class FeatureRow(Event, frozen=True):
    """One row of features: float32, little-endian."""

    symbol: str
    row: int
    data: bytes


class Decision(Event, frozen=True):
    """The model looked at rows `first_row … last_row` and chose an action.

    `observation_sha256` is the SHA-256 over the rows' SHA-256 digests, in order.
    """

    symbol: str
    number: int
    first_row: int
    last_row: int
    observation_sha256: str
    action: str
    confidence: float
    scores: tuple[float, ...]
    members: tuple[MemberVote, ...]
    models: tuple[ModelIdentity, ...]


class ModelLoaded(Event, frozen=True):
    """A model version began to serve."""

    model: ModelIdentity


class ModelRefused(Event, frozen=True):
    """A new model version was refused; the one before it keeps serving."""

    name: str
    reason: str


class MemberFailed(Event, frozen=True):
    """A member of the ensemble raised or returned something unusable and was left out of a decision."""

    member: str
    reason: str
    deactivated: bool


class WeightsChanged(Event, frozen=True):
    """The ensemble moved its weights."""

    members: tuple[str, ...]
    weights: tuple[float, ...]


class MemberDrifted(Event, frozen=True):
    """A detector found that a member no longer behaves as it did; `stream` says in what, e.g. `confidence`."""

    member: str
    stream: str
    deactivated: bool


class MemberReturned(Event, frozen=True):
    """A member that was deactivated takes part in the ensemble again."""

    member: str


Remembered: TypeAlias = bool | int | float | str | list[int | float]
"""What a strategy or a detector may keep in its state: JSON holds it bit for bit."""


class RollingState(Struct, frozen=True):
    """The last numbers of a stream, as a ring: `next` is the slot of the next one, `squares` are from the mean."""

    values: tuple[float, ...]
    next: int
    last: float
    mean: float
    squares: float


class DetectorState(Struct, frozen=True):
    """What a drift detector, named by its class, remembers."""

    detector: str
    memory: dict[str, Remembered]


class MemberState(Struct, frozen=True):
    """A member in an EnsembleState: its record, its returns, and what its drift detectors remember, by stream."""

    name: str
    active: bool
    on_trial: bool
    failures: int
    streak: int
    drifts: int
    waited: int
    answered: int
    trouble: str
    fresh: bool
    returns: RollingState
    drift: dict[str, DetectorState]


class EnsembleState(Struct, frozen=True):
    """Everything an ensemble has learnt. JSON keeps it bit for bit; `rule` is the strategy's own."""

    strategy: str
    window: int
    actions: tuple[str, ...]
    initial: tuple[float, ...]
    weights: tuple[float, ...]
    given: tuple[float, ...] | None
    returns: RollingState
    turnovers: RollingState
    members: tuple[MemberState, ...]
    rule: dict[str, Remembered] | None


class EnsembleSaved(Event, frozen=True):
    """What the ensemble has learnt so far, for the next live run to go on from."""

    state: EnsembleState


class Reject(Struct, frozen=True):
    """Why a control refused an order: the control's name, the value it saw and the limit it holds."""

    control: str
    value: str
    limit: str

    def __str__(self) -> str:
        return f"{self.control}: {self.value} against a limit of {self.limit}"


class OrderRefused(Event, frozen=True):
    """The risk engine refused an order; it was never sent."""

    order: Order
    rejects: tuple[Reject, ...]


class OrderPlaced(Event, frozen=True):
    """An order passed risk and is about to be sent. `decision` is the number of the decision behind it, or 0."""

    order: Order
    decision: int


class CancelRequested(Event, frozen=True):
    """A cancel is about to be sent."""

    symbol: str
    client_order_id: str


class OrderUpdated(Event, frozen=True):
    """The venue reported a change of an order, with the fill that caused it."""

    update: OrderUpdate


class OrderAdopted(Event, frozen=True):
    """An order that was at the venue before this run began, and is followed from here on.

    `ours` says that an earlier run of this journal placed it; else it is foreign, and adopted by policy.
    """

    order: Order
    status: str
    venue_order_id: str
    filled_quantity: Decimal
    fill_ids: tuple[str, ...]
    ours: bool


class BalanceDifference(Struct, frozen=True):
    """What the venue says of an asset is not what the journal leads to: a deposit, or trades that are not ours."""

    asset: str
    expected: Decimal
    found: Decimal


class PositionHeld(Struct, frozen=True):
    """A swap that is traded and what the venue held of it, in base units (0 when flat); an order's are contracts."""

    symbol: str
    quantity: Decimal
    entry_price: Decimal
    contract_size: Decimal


class AccountReconciled(Event, frozen=True):
    """A live run knows its account: every order of earlier runs is settled or adopted, and these are the balances.

    `settled` orders and `fills` were learned from the venue now. `foreign` are open orders that are not ours.
    """

    balances: dict[str, Decimal]
    settled: int
    fills: int
    foreign: tuple[str, ...]
    differences: tuple[BalanceDifference, ...]
    positions: tuple[PositionHeld, ...] = ()


class ForeignOrderUpdated(Event, frozen=True):
    """The venue reported a change of an order on this account that is not ours."""

    update: OrderUpdate


class StreamChanged(Event, frozen=True):
    """A connection to the venue (`account` or `market`) came up or was lost; what it missed is repaired after it."""

    stream: str
    up: bool
    reason: str


class RiskStateChanged(Event, frozen=True):
    """The risk engine is now ACTIVE, REDUCING or HALTED."""

    state: str
    reason: str


class EquityPeaked(Event, frozen=True):
    """The equity of a live run was never higher; told at most once a second while it rises."""

    equity: float


class RiskSaved(Event, frozen=True):
    """What the risk engine measures from, for the next live run to go on with.

    The UTC day (days since 1970), the equity at its start, the highest equity, and the strategies that are suspended.
    """

    day: int
    day_equity: Decimal | None
    peak: Decimal | None
    suspended: tuple[str, ...]


class OperatorActed(Event, frozen=True):
    """A human, or a process of theirs such as the watchdog, took hold of the run.

    `action` is `halt`, `reduce`, `resume` or `rotate-keys`; `who` is the user and the process that asked.
    """

    action: str
    reason: str
    who: str


class RolloutChanged(Event, frozen=True):
    """A rollout of a model moved: it began, went a step on, paused, was promoted or rolled back.

    `state` is `running`, `paused`, `probation`, `promoted` or `rolled-back`; `share` is that of its step and `symbols`
    are those the candidate decides for now, beside the stable model.
    """

    model: str
    candidate: ModelIdentity
    state: str
    step: int
    share: float
    symbols: tuple[str, ...]
    reason: str


class RolloutJudged(Event, frozen=True):
    """One window of a rollout was judged: `pass`, `fail` or `inconclusive`; `checks` failed, or lacked samples.

    Of `offered` observations the candidate answered `answered`, failed on `errors` and never saw `dropped`; `compared`
    have both models' answers. `distance` is the mean total variation between their shares, `confidence_gap` the mean
    difference of their confidences; returns and drawdowns are those of the paper accounts within the window, as
    fractions.
    """

    model: str
    window: int
    verdict: str
    checks: tuple[str, ...]
    offered: int
    answered: int
    errors: int
    dropped: int
    compared: int
    disagreed: int
    distance: float
    confidence_gap: float
    stable_return: float
    candidate_return: float
    stable_drawdown: float
    candidate_drawdown: float
