"""Parsed TOML into attrs objects, strictly: nothing is converted that was not written as what it should be.

It goes on after a mistake and collects them all. Where a value is bad, a `Draft` stands in for its section, so that the
checks across fields still run over what is good.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, TypeAlias, get_args, get_origin, get_type_hints

import attrs

from axon_quant.config.lines import KeyPath
from axon_quant.errors import ConfigError, Problem
from axon_quant.secrets import Secret

Mistake: TypeAlias = tuple[KeyPath, str]
"""Where (relative to the section that is checked) and what."""
Check: TypeAlias = Callable[[Any], Iterator[Mistake]]
"""Looks at one section, whole or Draft, and yields what does not fit together."""

_NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", re.ASCII)
_LARGEST_INTEGER = 2**63 - 1
_LARGEST_EXPONENT = 30
_CLOSE = 0.6  # as difflib has it
_MOST_DIGITS = 28  # what decimal arithmetic keeps
_ARTICLES = {str: "a string", bool: "true or false", int: "an integer", float: "a number", dict: "a table"}
_ARTICLES |= {list: "an array", date: "a date", time: "a time"}


class UnknownValueError(Exception):
    """A check asked for a value that could not be read. Its mistake has been reported already."""


class Draft:
    """A section with a bad value: what is good can be read, the rest raises UnknownValueError."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> object:
        value = self._values.get(name, BAD)
        if value is BAD or (isinstance(value, tuple) and any(item is BAD for item in value)):
            raise UnknownValueError(name)
        return value


BAD: Final = Draft({})
"""Stands for a value that could not be read."""


class Reader:
    """Reads sections and collects `problems`. `lines` says where each key stands; paths start at `folder`.

    Without `secrets` they are held to their form, and left where they are.
    """

    def __init__(
        self,
        file: str,
        lines: Mapping[KeyPath, int],
        folder: Path,
        checks: Mapping[type, Iterable[Check]],
        *,
        secrets: bool = True,
    ) -> None:
        self.secrets = secrets
        self.file = file
        self.lines = lines
        self.folder = folder
        self.checks = checks
        self.problems: list[Problem] = []
        self._scalars: Mapping[object, Callable[[object, KeyPath], object]] = {
            bool: self._boolean,
            int: self._integer,
            float: self._number,
            str: self._string,
            Decimal: self._decimal,
            Path: self._path,
            Secret: self._secret,
            object: self._anything,
        }

    def report(self, path: KeyPath, message: str) -> Draft:
        """Note a mistake at `path`, on its line or on the line of the table around it. Returns BAD."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        self.problems.append(Problem(self.file, self.lines.get(known), dotted(path), message))
        return BAD

    def section(self, cls: type, table: object, path: KeyPath, **extra: object) -> object:
        """An instance of the attrs class `cls`, or a Draft of it. `extra` are fields that are not in the file."""
        if not isinstance(table, dict):
            return self.report(path, f"must be a table, found {_kind(table)}")
        fields = {field.name: field for field in attrs.fields(cls) if field.metadata.get("in_file", True)}
        for key in table.keys() - fields.keys():
            hint = suggestion(key, sorted(fields, key=table.__contains__))  # those that are not there yet first
            self.report((*path, key), f"unknown key{hint}")
        types = get_type_hints(cls)
        values = dict(extra)
        for name, field in fields.items():
            if name in table:
                values[name] = self._field(field, types[name], table[name], (*path, name))
            elif field.default is attrs.NOTHING:
                values[name] = self.report((*path, name), "required, but missing")
            else:
                values[name] = _default(field)
        whole = not any(_bad(value) for value in values.values())
        result = cls(**values) if whole else Draft(values)
        for check in self.checks.get(cls, ()):
            with suppress(UnknownValueError):
                for where, message in check(result):
                    self.report((*path, *where), message)
        return result

    def _field(self, field: attrs.Attribute[Any], kind: Any, raw: object, path: KeyPath) -> object:
        value = self.value(kind, raw, path)
        if _bad(value) or field.validator is None:
            return value
        try:
            field.validator(None, field, value)
        except ValueError as error:
            return self.report(path, str(error).removeprefix(f"{field.name} "))
        return value

    def value(self, kind: Any, raw: object, path: KeyPath) -> object:
        """`raw` as what the annotation `kind` says, or BAD."""
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is UnionType:  # TOML has no null, so only the other member can be written
            (kind,) = (argument for argument in arguments if argument is not NoneType)
            return self.value(kind, raw, path)
        if origin is tuple:
            if not isinstance(raw, list):
                return self.report(path, f"must be an array, found {_kind(raw)}")
            return tuple(self.value(arguments[0], item, (*path, index)) for index, item in enumerate(raw))
        if origin is Mapping:
            return self._mapping(arguments[1], raw, path)
        if attrs.has(kind):
            return self.section(kind, raw, path)
        return self._scalars[kind](raw, path)

    def _mapping(self, kind: Any, raw: object, path: KeyPath) -> object:
        if not isinstance(raw, dict):
            return self.report(path, f"must be a table, found {_kind(raw)}")
        return {key: self.value(kind, item, (*path, key)) for key, item in raw.items()}

    def _boolean(self, raw: object, path: KeyPath) -> object:
        return raw if isinstance(raw, bool) else self.report(path, f"must be true or false, found {_kind(raw)}")

    def _integer(self, raw: object, path: KeyPath) -> object:
        if isinstance(raw, bool) or not isinstance(raw, int):
            return self.report(path, f"must be an integer, found {_kind(raw)}")
        return raw if abs(raw) <= _LARGEST_INTEGER else self.report(path, "does not fit into 64 bits")

    def _number(self, raw: object, path: KeyPath) -> object:
        if isinstance(raw, float):
            return raw if math.isfinite(raw) else self.report(path, f"must be a finite number, got {raw}")
        if isinstance(raw, bool) or not isinstance(raw, int):
            return self.report(path, f"must be a number, found {_kind(raw)}")
        return self._integer(raw, path) if abs(raw) > _LARGEST_INTEGER else float(raw)

    def _string(self, raw: object, path: KeyPath) -> object:
        return raw if isinstance(raw, str) else self.report(path, f"must be a string, found {_kind(raw)}")

    def _decimal(self, raw: object, path: KeyPath) -> object:
        if isinstance(raw, bool) or not isinstance(raw, str | int | float):
            return self.report(path, f"must be a number or a string with a number, found {_kind(raw)}")
        if isinstance(raw, int) and abs(raw) > _LARGEST_INTEGER:
            return self._integer(raw, path)
        text = raw if isinstance(raw, str) else repr(raw)
        if _NUMBER.fullmatch(text) is None:
            return self.report(path, 'must be a finite number such as "0.01"')
        value = Decimal(text)
        if len(value.as_tuple().digits) > _MOST_DIGITS:
            return self.report(path, f"must have at most {_MOST_DIGITS} significant digits")
        if abs(value.adjusted()) > _LARGEST_EXPONENT:
            return self.report(path, f"must be 0 or between 1e-{_LARGEST_EXPONENT} and 1e{_LARGEST_EXPONENT} in size")
        return value

    def _path(self, raw: object, path: KeyPath) -> object:
        if not isinstance(raw, str):
            return self.report(path, f"must be a string with a path, found {_kind(raw)}")
        if not raw or "\x00" in raw:
            return self.report(path, "must be a path")
        return self.folder / raw

    def _secret(self, raw: object, path: KeyPath) -> object:
        try:
            source = raw if isinstance(raw, str) else ""
            return Secret.from_source(source, self.folder) if self.secrets else Secret.unread(source)
        except ConfigError as error:
            return self.report(path, str(error))

    def _anything(self, raw: object, path: KeyPath) -> object:
        if isinstance(raw, float) and not math.isfinite(raw):
            return self.report(path, f"must be a finite number, got {raw}")
        if isinstance(raw, dict):
            return self._mapping(object, raw, path)
        if isinstance(raw, list):
            return [self._anything(item, (*path, index)) for index, item in enumerate(raw)]
        return raw


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean '…'?` when one of `known` is close to `word`, else nothing. Of equally close ones the first."""
    close = {other: difflib.SequenceMatcher(None, other, word).ratio() for other in known}
    best = max(close, key=close.__getitem__, default="")
    return f"; did you mean {best!r}?" if best and close[best] >= _CLOSE else ""


def dotted(path: KeyPath) -> str:
    """`("models", 0, "path")` → `models[0].path`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _default(field: attrs.Attribute[Any]) -> object:
    factory = getattr(field.default, "factory", None)
    return field.default if factory is None else factory()


def _bad(value: object) -> bool:
    if isinstance(value, tuple | list):
        return any(map(_bad, value))
    return isinstance(value, Draft) or (isinstance(value, dict) and any(map(_bad, value.values())))


def _kind(raw: object) -> str:
    return next((name for kind, name in _ARTICLES.items() if isinstance(raw, kind)), "a date and time")
