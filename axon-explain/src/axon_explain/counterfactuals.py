"""What would have to be different for another decision: small changes, each of which was seen to flip it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import attrs
import numpy as np

from axon_explain.background import Background, background
from axon_explain.choice import Option, choose
from axon_explain.constraints import Bounds, Constraints, Feature, Names, Steps
from axon_explain.distances import Metric, Spread
from axon_explain.inquiry import Inquiry
from axon_explain.moves import Space
from axon_explain.players import Groups, Players, players
from axon_explain.search import Search
from axon_explain.subject import Floats, Subject, Target
from axon_quant.errors import ExplainError
from axon_quant.inference import ModelStore
from axon_quant.provenance import ModelIdentity

MANY_CELLS = 64
"""A window of more cells than this is changed by channels unless told otherwise."""
BASELINE = (
    "features are moved in units of 1, or of their own size where that is larger, "
    "and nothing says which values are plausible"
)
"""What a search does without a background."""
SPARES = 2
"""Verifications that may fail, for each result that is wanted."""


@attrs.frozen
class Change:
    """One feature's part of a counterfactual. `index` is its number among features or groups.

    For a group of several cells the values are means over the cells; the observation has them all.
    """

    feature_name: str
    index: int
    original_value: float
    counterfactual_value: float
    delta: float


@attrs.frozen(eq=False, kw_only=True)
class Counterfactual:
    """An `observation` `[…shape]`, in the model's dtype, that the model, asked about it alone, decides as `action`.

    `changes` name what differs from the original, the largest relative change first. `distance` is the sum of
    |delta|/MAD over features, a group counting as the mean over its cells; `plausibility` is the same measure to the
    nearest rows of the background, None without one: small is plausible. `scores` are the model's for `observation`.
    `evaluations` is how many rows the search had asked about when this one was verified.
    """

    changes: tuple[Change, ...]
    observation: Floats = attrs.field(repr=False)
    action: str
    scores: tuple[float, ...]
    distance: float
    plausibility: float | None
    evaluations: int

    @property
    def feature_name(self) -> str:
        """Of the largest relative change; the only one of a single-feature counterfactual."""
        return self.changes[0].feature_name

    @property
    def original_value(self) -> float:
        """What that feature was."""
        return self.changes[0].original_value

    @property
    def counterfactual_value(self) -> float:
        """What that feature would have to be."""
        return self.changes[0].counterfactual_value

    @property
    def delta(self) -> float:
        """The difference of the two."""
        return self.changes[0].delta


@attrs.frozen(eq=False, kw_only=True)
class Nearest:
    """The observation that came nearest to another decision, and by how much its score still stood above: `margin`."""

    observation: Floats = attrs.field(repr=False)
    margin: float


@attrs.frozen(eq=False, kw_only=True)
class Counterfactuals(Sequence[Counterfactual]):
    """What a search found, those that change a single feature first, then by distance; possibly nothing.

    `margin` is how far the score of `original_action` stood above the next one for the observation itself. `nearest`
    says how near the search came when it found nothing, and is None otherwise. `evaluations` of `budget` were used.
    `plausibility` is the observation's own, to compare with.
    """

    items: tuple[Counterfactual, ...]
    original_action: str
    desired_action: str | None
    margin: float
    nearest: Nearest | None
    evaluations: int
    budget: int
    seed: int
    plausibility: float | None
    background_sha256: str
    background_rows: int
    background_source: str
    models: tuple[ModelIdentity, ...]

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Counterfactual: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Counterfactual, ...]: ...
    def __getitem__(self, index: int | slice) -> Counterfactual | tuple[Counterfactual, ...]:
        return self.items[index]

    def __iter__(self) -> Iterator[Counterfactual]:
        return iter(self.items)

    def __str__(self) -> str:
        wanted = self.desired_action or f"anything but {self.original_action}"
        if self.nearest is not None:
            return (
                f"nothing that was tried turns {self.original_action} into {wanted}: the nearest of {self.evaluations} "
                f"evaluations left a margin of {self.nearest.margin:.4g} of {self.margin:.4g}"
            )
        lines = [f"{len(self)} of {self.evaluations} evaluations turn {self.original_action} into {wanted}:"]
        for each in self.items:
            parts = [f"{c.feature_name} {c.original_value:.4g} → {c.counterfactual_value:.4g}" for c in each.changes]
            lines.append(f"  {each.action}: {', '.join(parts)} (distance {each.distance:.3g})")
        return "\n".join(lines)


class CounterfactualGenerator:
    """Finds the smallest changes of an observation that flip a model's decision, and verifies each.

    `model` is a backend, an ensemble, a policy, a classifier, or a function of a batch `[batch, …shape]` that returns
    `[batch, outputs]`; `actions` names the outputs of a function. `background_data` `[rows, …shape]` says what values
    features have: it gives the candidates, the scales and the plausibility. Without it, the sample that `store` keeps
    with the model is used, else scales are guessed, with a warning. `feature_names` name all cells, or the channels of
    a window (default: those of the schema in the store, else `f0…`).

    `bounds` maps features to (low, high), None for an open end; `immutable` names those that stay; `steps` maps
    features to the step whose multiples they may take. A feature is named by its name or number, a channel of a window
    by its name, a cell by `name[t-3]` or its indices. Bounds and steps may also be arrays that fit an observation. They
    hold for what is changed, in the model's dtype: a bound is never passed, a step is met to the nearest number there
    is.

    `groups` says what is changed as one, as for `KernelSHAP`: windows of more than 64 cells by channels. `budget` is
    the number of rows that the model may be asked about in one search; it is never passed. Equal arguments give equal
    results; `seed` decides which features are tried first where the budget is too small for all.

    Raises ModelError for an object that cannot be asked. Not for use from several threads at once.
    """

    def __init__(
        self,
        model: object,
        *,
        background_data: object = None,
        bounds: Bounds | None = None,
        immutable: Iterable[Feature] = (),
        steps: Steps | None = None,
        groups: Groups = None,
        budget: int = 2048,
        seed: int = 0,
        actions: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        store: ModelStore | None = None,
    ) -> None:
        self._subject = Subject(model, actions=actions)
        self._background_data = background_data
        self._bounds, self._steps = bounds, steps
        self._immutable = (immutable,) if isinstance(immutable, str) else tuple(immutable)
        self._groups = groups
        self._budget = _positive(budget, "budget")
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ExplainError(f"seed must be a whole number, at least 0, got {seed!r}")
        self._seed = int(seed)
        self._feature_names = None if feature_names is None else tuple(feature_names)
        self._store = store
        self._known: tuple[object, Background, Spread] | None = None

    def generate(
        self,
        observation: object,
        original_action: Target = None,
        n_samples: int | None = None,
        *,
        desired: Target = None,
        background_data: object = None,
        max_results: int = 4,
    ) -> Counterfactuals:
        """Up to `max_results` counterfactuals of one observation `[…shape]`.

        `original_action` is the decision that was made, the model's own by default; `desired` is the one that is looked
        for, any other by default. `n_samples` evaluations are enough once something was found; the search goes on to
        the budget only while it has nothing.

        Raises ExplainError for an observation that is not finite numbers, an original action that is not what the model
        decides, a desired one that is, a model with one output; what the model raises goes through.
        """
        subject = self._subject
        origin = subject.observation(observation, self._background_data if background_data is None else background_data)
        enough = self._budget if n_samples is None else _positive(n_samples, "n_samples")
        wanted = _positive(max_results, "max_results")
        inquiry = Inquiry(subject, origin.shape, self._budget)
        scores = self._decision(inquiry, origin, original_action, desired)
        margin = float(inquiry.margin(scores[None])[0])
        inquiry.nearest = origin.ravel(), margin
        names = self._feature_names or subject.feature_names(self._store)
        grouped = self._players(origin.shape, names)
        rows, spread = self._measured(origin, background_data)
        metric = Metric(spread, origin.ravel(), grouped.index.ravel(), origin.shape[-1])
        parts = Names(origin.shape, grouped.names, grouped.index, _columns(origin.shape, names))
        limits = Constraints.of(parts, origin.dtype, self._bounds, self._immutable, self._steps)
        space = Space(origin.ravel(), grouped.index.ravel(), limits, metric)
        inquiry.keep(min(wanted * SPARES, (inquiry.left + 1) // 2))
        generator = np.random.default_rng(self._seed)
        search = Search(inquiry, space, margin, wanted=wanted, enough=enough, generator=generator)
        items = self._verified(search, wanted, grouped)
        missed = None if items else self._missed(inquiry, origin.shape)
        return Counterfactuals(
            items=items,
            original_action=subject.actions[inquiry.original],
            desired_action=None if inquiry.desired is None else subject.actions[inquiry.desired],
            margin=margin,
            nearest=missed,
            evaluations=inquiry.spent,
            budget=self._budget,
            seed=self._seed,
            plausibility=metric.plausibility(space.origin),
            background_sha256=rows.sha256,
            background_rows=len(rows),
            background_source=rows.source,
            models=inquiry.models,
        )

    def _decision(self, inquiry: Inquiry, origin: Floats, original: Target, desired: Target) -> Floats:
        """Ask about the observation itself, and settle what a flip is."""
        subject = self._subject
        decided, scores = inquiry.decide(origin)
        if len(scores) < 2:
            raise ExplainError(f"{subject.name} has one output: no decision to flip", hint="return a score per action")
        inquiry.original = decided
        if original is not None and subject.output(original, origin) != decided:
            raise ExplainError(
                f"{subject.name} decides {subject.actions[decided]} for this observation, not {original}",
                hint="leave original_action out, or pass the observation that was decided on",
            )
        if desired is not None:
            inquiry.desired = subject.output(desired, origin)
            if inquiry.desired == decided:
                raise ExplainError(f"{subject.name} decides {subject.actions[decided]} already")
        return scores

    def _missed(self, inquiry: Inquiry, shape: tuple[int, ...]) -> Nearest:
        """How near the search came, by the margin of that observation on its own if the budget has room for it."""
        row, margin = inquiry.nearest
        answer = inquiry.alone(row)
        if answer is not None:
            margin = float(inquiry.margin(answer[1][None])[0])
        return Nearest(observation=row.reshape(shape), margin=margin)

    def _players(self, shape: tuple[int, ...], names: tuple[str, ...] | None) -> Players:
        groups = self._groups
        if groups is None and len(shape) > 1 and np.prod(shape) > MANY_CELLS:
            groups = "channel"
        return players(shape, groups, names)

    def _measured(self, origin: Floats, given: object) -> tuple[Background, Spread]:
        """The background and its spread; the constructor's is worked out once."""
        key = (origin.shape, self._subject.models)
        if given is None and self._known is not None and self._known[0] == key:
            return self._known[1], self._known[2]
        rows = background(
            self._subject,
            origin,
            call=given,
            constructor=self._background_data,
            store=self._store,
            otherwise=BASELINE,
            stacklevel=4,
        )
        spread = Spread.of(rows)
        if given is None and rows.source != "baseline":
            self._known = key, rows, spread
        return rows, spread

    def _verified(self, search: Search, wanted: int, grouped: Players) -> tuple[Counterfactual, ...]:
        """Results in order, each asked about on its own."""
        space, inquiry = search.space, search.inquiry
        rows = [candidate.row for candidate in search.run()]
        options = [space.option(row) for row in rows]
        made: list[Counterfactual] = []
        for at in choose(options, len(options)):
            answer = inquiry.alone(rows[at]) if len(made) < wanted else None
            if answer is None:
                break
            # In a batch the last bits of scores may differ, so that one in many does not flip when asked about alone.
            if inquiry.flips(answer[0]):
                made.append(self._result(space, rows[at], answer, options[at], inquiry.spent, grouped))
        row, margin = inquiry.nearest
        answer = inquiry.alone(row) if not made and margin < 0.0 else None
        if answer is not None and inquiry.flips(answer[0]):  # all that were small did so only in a batch
            made.append(self._result(space, row, answer, space.option(row), inquiry.spent, grouped))
        return tuple(sorted(made, key=lambda each: (len(each.changes), each.distance)))

    def _result(
        self,
        space: Space,
        row: Floats,
        answer: tuple[int, Floats],
        option: Option,
        evaluations: int,
        grouped: Players,
    ) -> Counterfactual:
        changes = []
        for player in sorted(option.players):
            cells = space.cells[player]
            before, after = float(space.origin[cells].mean()), float(row[cells].mean())
            changes.append(
                (-space.share(row, player), Change(grouped.names[player], player, before, after, after - before))
            )
        changes.sort(key=lambda pair: (pair[0], pair[1].index))
        return Counterfactual(
            changes=tuple(change for _, change in changes),
            observation=row.reshape(grouped.index.shape),
            action=self._subject.actions[answer[0]],
            scores=tuple(float(score) for score in answer[1]),
            distance=option.distance,
            plausibility=option.plausibility,
            evaluations=evaluations,
        )


def _columns(shape: tuple[int, ...], names: tuple[str, ...] | None) -> tuple[str, ...]:
    """Names of the channels."""
    return names if names is not None and len(names) == shape[-1] else tuple(f"f{n}" for n in range(shape[-1]))


def _positive(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ExplainError(f"{name} is a whole number of at least 1, found {value!r}")
    return int(value)
