"""What [rollout] holds: a candidate model, where it may act, and the limits it is judged by."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import attrs

from axon_quant.config.reader import Mistake
from axon_quant.config.validators import NAME, STORED, above, between, distinct, each, matches, not_empty

_optional = attrs.validators.optional
_FRACTION = between(0, 1)


@attrs.frozen(kw_only=True)
class GateEntry:
    """[rollout.gate]: when a window of decisions passes or fails, and what follows from it.

    A window ends after `window_decisions`, or `window_seconds` of market time if that comes first. With fewer than
    `min_samples` comparisons it is inconclusive. `failures` of the last `history` conclusive windows roll back;
    `passes` in a row go one step on; `probation` more confirm a promotion; `max_inconclusive` in a row wait for a
    person.

    Limits: `max_p99_ratio` to the stable model's p99 (not in a replay, and not below `fast_enough_ms`), `max_p99_ms`
    (None: no limit), `max_error_rate`, `max_disagreement`, and `max_drawdown`, the fall of the candidate's paper equity
    within a window where it is deeper than the stable model's. `hard_error_rate` and `hard_drawdown` roll back at once.
    """

    window_decisions: int = attrs.field(default=600, validator=between(1, 10**6))
    window_seconds: float | None = attrs.field(default=None, validator=_optional(between(0.001, 10**7)))
    min_samples: int = attrs.field(default=300, validator=between(1, 10**6))
    failures: int = attrs.field(default=3, validator=between(1, 1_000))
    history: int = attrs.field(default=5, validator=between(1, 1_000))
    passes: int = attrs.field(default=5, validator=between(1, 10_000))
    probation: int = attrs.field(default=5, validator=between(0, 10_000))
    max_inconclusive: int = attrs.field(default=3, validator=between(1, 10_000))
    max_p99_ratio: float = attrs.field(default=1.5, validator=between(0.01, 10**6))
    max_p99_ms: float | None = attrs.field(default=None, validator=_optional(above(0)))
    fast_enough_ms: float = attrs.field(default=0.1, validator=between(0, 60_000))
    max_error_rate: float = attrs.field(default=0.01, validator=_FRACTION)
    max_disagreement: float = attrs.field(default=0.2, validator=_FRACTION)
    max_drawdown: float = attrs.field(default=0.01, validator=_FRACTION)
    hard_error_rate: float = attrs.field(default=0.25, validator=_FRACTION)
    hard_drawdown: float = attrs.field(default=0.03, validator=_FRACTION)


@attrs.frozen(kw_only=True)
class RolloutEntry:
    """[rollout]: the candidate for one of [[models]] and how it is brought in. `path` is absolute.

    `backend` defaults to the model's own. In the mode `shadow` the candidate is only asked; in the mode `canary` it
    decides for `keys`, or for a `share` of them, or for one share of `steps` after the other, where a step of 0 is
    spent in the shadow. `by` says what a key is: a symbol or the strategy. `max_notional` (in the quote asset) bounds
    what the candidate may hold. `queue` is how many observations may wait to be compared.
    """

    model: str = attrs.field(validator=NAME)
    path: Path | None = None
    builtin: str | None = attrs.field(default=None, validator=_optional(NAME))
    stored: str | None = attrs.field(default=None, validator=_optional(STORED), metadata={"in_identity": False})
    backend: str | None = attrs.field(default=None, validator=_optional(NAME))
    sha256: str | None = attrs.field(
        default=None, validator=_optional(matches(r"[0-9a-f]{64}", "64 lower-case hexadecimal digits"))
    )
    trusted: bool = False
    mode: str = attrs.field(default="shadow", validator=matches("shadow|canary", "'shadow' or 'canary'"))
    by: str = attrs.field(default="symbol", validator=matches("symbol|strategy", "'symbol' or 'strategy'"))
    keys: tuple[str, ...] | None = attrs.field(default=None, validator=_optional([not_empty, distinct, each(NAME)]))
    share: float | None = attrs.field(default=None, validator=_optional([above(0), _FRACTION]))
    steps: tuple[float, ...] | None = attrs.field(default=None, validator=_optional([not_empty, each(_FRACTION)]))
    salt: str = ""
    max_notional: Decimal | None = attrs.field(default=None, validator=_optional(above(0)))
    queue: int = attrs.field(default=256, validator=between(1, 100_000))
    gate: GateEntry = attrs.field(factory=GateEntry)

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of keys the candidate decides for, step by step; 0 is the shadow."""
        if self.mode == "shadow":
            return (0.0,)
        if self.keys is not None:
            return (1.0,)
        return self.steps or (self.share or 1.0,)


def one_candidate(rollout: RolloutEntry) -> Iterator[Mistake]:
    """Exactly one of path, builtin and stored, and the file is there."""
    given = [name for name in ("path", "builtin", "stored") if getattr(rollout, name) is not None]
    if not given:
        yield (), "needs a path, a builtin or a stored version, the candidate"
    elif len(given) > 1:
        yield (given[-1],), f"{' and '.join(given)} exclude each other; keep one"
    elif rollout.path is not None and not rollout.path.is_file():
        found = "is a folder" if rollout.path.is_dir() else "does not exist"
        yield ("path",), f"the model file {rollout.path} {found}"


def trust_needs_a_pin(rollout: RolloutEntry) -> Iterator[Mistake]:
    """A format that holds code is pinned."""
    if rollout.trusted and rollout.sha256 is None:
        yield ("trusted",), "a trusted model may run code, so it needs its sha256 as well"


def canary_says_where(rollout: RolloutEntry) -> Iterator[Mistake]:
    """A canary has one of keys, share and steps, and a bound; a shadow has none."""
    given = [name for name in ("keys", "share", "steps") if getattr(rollout, name) is not None]
    if rollout.mode == "shadow":
        for name in (*given, *(() if rollout.max_notional is None else ("max_notional",))):
            yield (name,), 'only a canary has it; set mode = "canary"'
        return
    if len(given) != 1:
        found = f"got {' and '.join(given)}" if given else "got none"
        yield ((given[-1],) if given else ()), f"a canary has one of keys, share and steps, {found}"
    if rollout.max_notional is None:
        yield (), 'a canary needs max_notional, such as "1000": the most its candidate may hold, in the quote asset'


def steps_rise(rollout: RolloutEntry) -> Iterator[Mistake]:
    """Each step has a larger share than the one before."""
    steps = rollout.steps or ()
    for index in range(1, len(steps)):
        if not steps[index - 1] < steps[index]:
            yield ("steps", index), f"must be above the step before it, {steps[index - 1]}, got {steps[index]}"
    if steps == (0.0,):
        yield ("steps", 0), 'a canary needs a step above 0; for the shadow alone set mode = "shadow"'


def gate_can_be_passed(gate: GateEntry) -> Iterator[Mistake]:
    """The numbers of a gate do not exclude each other."""
    if not gate.failures <= gate.history:
        yield ("failures",), f"must be at most history ({gate.history}), got {gate.failures}"
    if not gate.min_samples <= gate.window_decisions:
        yield ("min_samples",), f"must be at most window_decisions ({gate.window_decisions}), got {gate.min_samples}"
    for soft, hard in (("max_error_rate", "hard_error_rate"), ("max_drawdown", "hard_drawdown")):
        low, high = getattr(gate, soft), getattr(gate, hard)
        if not low <= high:
            yield (hard,), f"must be at least {soft} ({low}), got {high}"
