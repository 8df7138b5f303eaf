"""What goes wrong at a simulated venue, and when: seeded, so that a run can be had again, and counted.

A plan is a list of rules. Whenever the simulator comes to a place where something can go wrong, it draws: the first
rule that names the place and is due fires.
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
"""Of a request: `lose-request` drops the connection before it is read, `lose-response` after it was carried out;
`refuse` says that the venue is overloaded, and it was not carried out; `unknown-accepted` and `unknown-refused` say
that the outcome is unknown when it was, and was not, carried out; `late-accept` says so and carries it out `seconds`
later; `slow` waits `seconds` first; `rate-limit` and `ban` close the venue for `seconds`; `drift` moves the venue's
clock by `milliseconds` from then on."""
STREAM_FAULTS = frozenset({"disconnect", "stall", "duplicate", "reorder", "drop", "shutdown"})
"""Of a message in a stream: the connection is closed before it, or says nothing from then on; it is sent twice, or
after the next one, or not at all; or the venue announces that it goes down, and does."""
START_FAULTS = frozenset({"slow-start"})
"""Of a connection: nothing is answered for `seconds`."""
KINDS = REQUEST_FAULTS | STREAM_FAULTS | START_FAULTS


@attrs.frozen
class FaultRule:
    """`kind` happens at places that match `where` (`*` matches anything): with `probability`, or at `every` n-th place
    that no rule before it took; not before `after` places, at most `limit` times. Raises ConfigError for a rule that
    cannot be."""

    kind: str
    where: str = "*"
    probability: float = 0.0
    every: int = 0
    after: int = 0
    limit: int | None = None
    seconds: float = 1.0
    milliseconds: float = 0.0

    def __attrs_post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"fault {self.kind!r} is none of {', '.join(sorted(KINDS))}")
        if not (0.0 <= self.probability <= 1.0 and self.every >= 0 and self.after >= 0 and 0.0 <= self.seconds < 3600):
            raise ConfigError(f"fault {self.kind}: a probability lies in [0, 1], every and after are 0 or more")
        if bool(self.probability) == bool(self.every):
            raise ConfigError(f"fault {self.kind}: give either probability or every")


@attrs.frozen
class Fault:
    """One that fires now."""

    kind: str
    seconds: float
    milliseconds: float


class FaultPlan:
    """Rules in order, drawn with a generator of their own. `fired` counts by kind, `places` by place."""

    def __init__(self, rules: Iterable[FaultRule] = (), *, seed: int = 0) -> None:
        self.rules = tuple(rules)
        self.fired: Counter[str] = Counter()
        self.places: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._seen = [0] * len(self.rules)
        self._used = [0] * len(self.rules)
        self.paused = False

    def draw(self, place: str, kinds: frozenset[str] = KINDS) -> Fault | None:
        """What goes wrong at `place` this time, if anything does. Only rules of `kinds` are asked."""
        self.places[place] += 1
        if self.paused:
            return None
        for index, rule in enumerate(self.rules):
            if rule.kind not in kinds or not fnmatchcase(place, rule.where):
                continue
            if rule.limit is not None and self._used[index] >= rule.limit:
                continue
            self._seen[index] += 1
            if self._seen[index] <= rule.after:
                continue
            due = (
                self._random.random() < rule.probability
                if rule.probability
                else (self._seen[index] - rule.after) % rule.every == 0
            )
            if due:
                self._used[index] += 1
                self.fired[rule.kind] += 1
                return Fault(rule.kind, rule.seconds, rule.milliseconds)
        return None

    @classmethod
    def read(cls, path: str | Path, *, seed: int = 0) -> FaultPlan:
        """From a TOML file of `[[fault]]` tables, or a JSON list of objects, with the fields of `FaultRule`.

        Raises ConfigError for a file that cannot be read or says something else.
        """
        path = Path(path)
        try:
            text = path.read_text()
            rows = msgspec.json.decode(text) if path.suffix == ".json" else tomllib.loads(text).get("fault")
        except (OSError, tomllib.TOMLDecodeError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"no plan of faults: {error}", file=path) from None
        return cls.of(rows, seed=seed, file=path)

    @classmethod
    def of(cls, rows: object, *, seed: int = 0, file: Path | None = None) -> FaultPlan:
        """From plain values. Raises ConfigError."""
        if not isinstance(rows, list):
            raise ConfigError("a plan of faults is a list of [[fault]] tables", file=file)
        rules = []
        for row in rows:
            if not isinstance(row, Mapping):
                raise ConfigError(f"a fault is a table, found {row!r}", file=file)
            try:
                rules.append(FaultRule(**row))
            except TypeError as error:
                raise ConfigError(f"fault {row.get('kind')!r}: {error}", file=file) from None
        return cls(rules, seed=seed)
