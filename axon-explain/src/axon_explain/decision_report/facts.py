"""What a report says, as plain data: the page, the print and the JSON all come from it, and from nothing else.

What is not known is None or empty, and left out of the JSON.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

FORMAT = "axon-decision-report"
VERSION = 1


class Score(Struct, frozen=True):
    """One output of the model."""

    action: str
    score: float


class Choice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided, or asked about. `at` is UTC nanoseconds; `explained` is the action the report is about."""

    action: str
    explained: str
    scores: tuple[Score, ...]
    confidence: float | None = None
    id: str | None = None
    symbol: str | None = None
    number: int | None = None
    at: int | None = None
    time: str | None = None


class Model(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model version behind the decision. `explained` says that the report asked this very version.

    `plan` is how it computes on the machine of the report.
    """

    name: str
    version: int | None = None
    sha256: str | None = None
    explained: bool = False
    backend: str | None = None
    device: str | None = None
    plan: dict[str, str] = {}
    schema_sha256: str | None = None


class Vote(Struct, frozen=True, kw_only=True):
    """What a member of the ensemble said."""

    member: str
    says: str
    weight: float
    scores: tuple[Score, ...]


class Failure(Struct, frozen=True, kw_only=True):
    """A member that was left out of the decision."""

    member: str
    reason: str
    deactivated: bool


class Ensemble(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who voted for what, and by which strategy the votes were combined."""

    votes: tuple[Vote, ...]
    strategy: str | None = None
    failures: tuple[Failure, ...] = ()


class Observation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the model saw; `values` are in C order, `sha256` is the journal's."""

    shape: tuple[int, ...]
    dtype: str
    values: tuple[float, ...]
    sha256: str | None = None
    schema_sha256: str | None = None
    interval_ms: int | None = None
    first_row: int | None = None
    last_row: int | None = None
    features: tuple[str, ...] = ()


class Player(Struct, frozen=True, omit_defaults=True):
    """A feature, or a group of them, and its Shapley value; `value` is the observation's, of a single feature."""

    name: str
    importance: float
    value: float | None = None


class Attribution(Struct, frozen=True, kw_only=True):
    """How the score comes about. `players` come in the order of their weight, the heaviest first."""

    action: str
    score: float
    base_value: float
    players: tuple[Player, ...]
    method: str
    grouping: str
    budget: int
    evaluations: int
    seed: int
    background_rows: int
    background_sha256: str
    background_source: str
    additivity_gap: float
    error_estimate: float | None


class HeatMap(Struct, frozen=True, kw_only=True):
    """Contributions by channel and time: `values` `[channels][columns]`, the channels by their weight.

    `steps` are the first and the last time step of each column, 0 being the newest and -1 the one before it; `rest`
    is the number of channels that the last row sums up, 0 if there is none.
    """

    channels: tuple[str, ...]
    steps: tuple[tuple[int, int], ...]
    values: tuple[tuple[float, ...], ...]
    rest: Player | None
    method: str
    error_estimate: float | None
    evaluations: int


class Change(Struct, frozen=True, kw_only=True):
    """One feature, or one cell of a window, in a counterfactual."""

    feature: str
    original: float
    counterfactual: float
    delta: float


class Counterfactual(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An observation near this one with another outcome. `distance` is L1 in units of the background's MAD,
    `plausibility` the distance to its nearest rows; `changed` counts all changes, `changes` are the largest ones.
    """

    action: str
    changed: int
    changes: tuple[Change, ...]
    distance: float | None = None
    plausibility: float | None = None


class Counterfactuals(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The smallest changes that were found to flip the decision; `nearest` says how near it came where none did."""

    original: str
    results: tuple[Counterfactual, ...]
    evaluations: int | None = None
    nearest: str | None = None


class Control(Struct, frozen=True, kw_only=True):
    """A pre-trade control that refused an order."""

    control: str
    value: str
    limit: str


class Refusal(Struct, frozen=True, kw_only=True):
    """An order that risk control did not let pass."""

    order: str
    client_order_id: str
    controls: tuple[Control, ...]


class Risk(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of risk control when the decision was taken, and what it refused."""

    state: str
    reason: str | None = None
    passed: int = 0
    refusals: tuple[Refusal, ...] = ()


class Fill(Struct, frozen=True, kw_only=True):
    """An execution."""

    time: str
    quantity: str
    price: str
    fee: str
    liquidity: str
    fill_id: str


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order that the decision led to; `text` is the order in words, `stamps` are µs from the event to each stage."""

    client_order_id: str
    text: str
    status: str
    filled: str
    venue_order_id: str | None = None
    reason: str | None = None
    fills: tuple[Fill, ...] = ()
    stamps: dict[str, float] = {}


class Replayed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model of the decision, computed again: `agreed`, `differs` or `not-replayed`, and by which plan."""

    member: str
    verdict: str
    reason: str | None = None
    plan_recorded: dict[str, str] | None = None
    plan_used: dict[str, str] | None = None


class Replay(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether the decision could be computed again: `agreed`, `differs` or `not-replayed`, comparing `bits`."""

    verdict: str
    compared: str
    reason: str
    members: tuple[Replayed, ...] = ()
    differences: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


class Chain(Struct, frozen=True, kw_only=True):
    """Where the journal holds the decision: the record's own link in the hash chain, and what its run began with."""

    run: int
    sequence: int
    record_hash: str
    previous_hash: str
    config_sha256: str
    mode: str
    seed: int
    run_started: str


class Facts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything a report says. `story` are the sentences at its top, `cautions` what a reader should know about it,
    `unknown` what a record of a decision may hold and this one does not. `waterfall` and `feature_table` say how the
    attribution is shown.
    """

    headline: str
    story: tuple[str, ...]
    decision: Choice
    observation: Observation
    models: tuple[Model, ...] = ()
    ensemble: Ensemble | None = None
    attribution: Attribution | None = None
    waterfall: bool = True
    feature_table: bool = True
    heat_map: HeatMap | None = None
    counterfactuals: Counterfactuals | None = None
    risk: Risk | None = None
    orders: tuple[Order, ...] | None = None
    cancels: tuple[str, ...] = ()
    replay: Replay | None = None
    journal: Chain | None = None
    cautions: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def to_json(facts: Facts) -> bytes:
    """One JSON object, indented, the same bytes for the same facts."""
    head = {"format": FORMAT, "version": VERSION}
    body = msgspec.to_builtins(facts)
    return msgspec.json.format(msgspec.json.encode(head | body), indent=2) + b"\n"
