"""What goes wrong at a simulated venue, and when: seeded, so that a run can be had again, and counted.

A plan is a list of rules. Whenever the simulator comes to a place where something can go wrong, it draws: the first
rule that names the place and is due fires. Each rule draws from a generator of its own, so that it fires at the same
places however the others are met.
"""

from __future__ import annotations

import random
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import attrs
import msgspec

from axon_quant.errors import ConfigError

REQUEST_FAULTS = frozenset(
    {"lose-request", "lose-response", "refuse", "unknown-accepted", "unknown-refused", "late-accept", "slow"}
    | {"rate-limit", "ban", "drift"}
)
"""At `request:NAME`. `lose-request` drops the connection before the request is read, `lose-response` after it was
carried out; `refuse` says that the venue is overloaded, and it was not carried out; `unknown-accepted` and
`unknown-refused` say that the outcome is unknown when it was, and was not, carried out; `late-accept` says so and
carries it out `seconds` later, if it is still valid when it reaches the engine; `slow` waits `seconds` first;
`rate-limit` and `ban` close the venue for `seconds`; `drift` moves the venue's clock to `milliseconds` ahead."""
STREAM_FAULTS = frozenset({"disconnect", "stall", "freeze", "duplicate", "reorder", "drop"} | {"shutdown", "terminate"})
"""At `stream:account:CAUSE` and `stream:market:CHANNEL`, before a message. `disconnect` breaks the connection instead;
after `stall` nothing more is said, though pings are answered, and after `freeze` they are not either; `duplicate`
sends it twice, `reorder` after the next one, `drop` not at all (of a book: a gap); `terminate` ends the subscription,
and the connection with it unless the venue has a word for it; `shutdown` announces that the venue goes down and ends
every connection `seconds` later."""
CONNECTION_FAULTS = frozenset({"slow-start", "refuse-connection"})
"""At `connect`, before a WebSocket opens: nothing happens for `seconds`, or it is refused; `slow-start` also at
`start`: the whole venue answers nothing for so long."""
KINDS = REQUEST_FAULTS | STREAM_FAULTS | CONNECTION_FAULTS


@attrs.frozen
class FaultRule:
    """`kind` happens at places that match `where` (`*` matches anything).

    It does with `probability`, or at `every` n-th place that no rule before it took; not at the first `after` places;
    at most `limit` times. Raises ConfigError for a rule that cannot be.
    """

    kind: str
    where: str = "*"
    probability: float = 0.0
    every: int = 0
    after: int = 0
    limit: int | None = None
    seconds: float = 1.0
    milliseconds: float = 0.0

    def __attrs_post_init__(self) -> None:
        what = f"fault {self.kind!r}"
        if self.kind not in KINDS:
            raise ConfigError(f"{what} is none of {', '.join(sorted(KINDS))}")
        numbers = (self.probability, self.every, self.after, self.seconds, self.milliseconds, self.limit or 0)
        if not all(type(number) in (int, float) for number in numbers) or not isinstance(self.where, str):
            raise ConfigError(f"{what}: where is a text, and all else a number")
        if not (0.0 <= self.probability <= 1.0 and self.every >= 0 and self.after >= 0 and 0.0 <= self.seconds < 3600):
            raise ConfigError(f"{what}: a probability lies in [0, 1], seconds in [0, 3600), every and after from 0 on")
        if not (-1e12 < self.milliseconds < 1e12):
            raise ConfigError(f"{what}: milliseconds {self.milliseconds} is no drift of a clock")
        if bool(self.probability) == bool(self.every):
            raise ConfigError(f"{what}: give either probability or every")


@attrs.frozen
class Fault:
    """One that fires now."""

    kind: str
    seconds: float
    milliseconds: float


@attrs.define
class _Armed:
    """A rule with its generator and how often it was met and fired."""

    rule: FaultRule
    random: random.Random
    met: int = 0
    fired: int = 0

    def is_due(self) -> bool:
        rule = self.rule
        if rule.limit is not None and self.fired >= rule.limit:
            return False
        self.met += 1
        chance = self.random.random() if rule.probability else 1.0
        if self.met <= rule.after:
            return False
        due = chance < rule.probability if rule.probability else (self.met - rule.after) % rule.every == 0
        self.fired += due
        return due


class FaultPlan:
    """Rules in order. `fired` counts by kind, `places` by place; `paused` lets everything go right."""

    def __init__(self, rules: Iterable[FaultRule] = (), *, seed: int = 0) -> None:
        self.rules = tuple(rules)
        self.fired: Counter[str] = Counter()
        self.places: Counter[str] = Counter()
        self.paused = False
        self._armed = [_Armed(rule, random.Random(f"{seed}:{index}")) for index, rule in enumerate(self.rules)]
        self._at: dict[tuple[str, frozenset[str]], list[_Armed]] = {}

    def draw(self, place: str, kinds: frozenset[str] = KINDS) -> Fault | None:
        """What goes wrong at `place` this time, if anything does. Only rules of `kinds` are asked."""
        self.places[place] += 1
        if self.paused or not self._armed:
            return None
        asked = self._at.get((place, kinds))
        if asked is None:
            asked = self._at[place, kinds] = [
                armed for armed in self._armed if armed.rule.kind in kinds and fnmatchcase(place, armed.rule.where)
            ]
        for armed in asked:
            if armed.is_due():
                rule = armed.rule
                self.fired[rule.kind] += 1
                return Fault(rule.kind, rule.seconds, rule.milliseconds)
        return None

    def take_over(self, other: FaultPlan) -> None:
        """Go on counting where `other` is."""
        self.fired, self.places, self.paused = other.fired, other.places, other.paused

    @classmethod
    def read(cls, path: str | Path, *, seed: int = 0) -> FaultPlan:
        """From a TOML file of `[[fault]]` tables, or a JSON list of objects, with the fields of `FaultRule`.

        Raises ConfigError for a file that cannot be read or says something else.
        """
        path = Path(path)
        try:
            text = path.read_text()
            rows = msgspec.json.decode(text) if path.suffix == ".json" else tomllib.loads(text).get("fault")
        except OSError as error:
            raise ConfigError(
                f"no plan of faults: {error.strerror}", file=path, hint="name a TOML or JSON file"
            ) from None
        except (tomllib.TOMLDecodeError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"no plan of faults: {error}", file=path) from None
        return cls.of(rows, seed=seed, file=path)

    @classmethod
    def of(cls, rows: object, *, seed: int = 0, file: Path | None = None) -> FaultPlan:
        """From plain values. Raises ConfigError."""
        if not isinstance(rows, list):
            raise ConfigError("a plan of faults is a list of [[fault]] tables", file=file)
        known = {field.name for field in attrs.fields(FaultRule)}
        rules = []
        for number, row in enumerate(rows, 1):
            if not isinstance(row, Mapping) or "kind" not in row:
                raise ConfigError(f"fault {number} is no table with a kind", file=file)
            strange = sorted(set(row) - known)
            if strange:
                hint = f"its keys are {', '.join(sorted(known))}"
                raise ConfigError(f"fault {row['kind']!r} has {', '.join(map(repr, strange))}", file=file, hint=hint)
            try:
                rules.append(FaultRule(**row))
            except ConfigError as error:
                raise ConfigError(error.message, file=file) from None
        return cls(rules, seed=seed)
