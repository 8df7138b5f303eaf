"""Paths in a TOML text: which there are, and the same text with others in their place."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from axon_quant.config.lines import KeyPath, key_lines
from axon_quant.errors import BackupError

_STRING = re.compile(r'"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'')
_COMMENTED = re.compile(r"#.*\b(?:api_key|api_secret|passphrase)\s*=\s*([\"'])(?!env:|file:)[^\"']+\1", re.IGNORECASE)


def paths_in(section: Any, at: KeyPath = ()) -> Iterator[tuple[KeyPath, Path]]:
    """Every path in a configuration, with its key."""
    for field in attrs.fields(type(section)):
        value = getattr(section, field.name)
        if not field.metadata.get("in_file", True):
            continue
        if isinstance(value, Path):
            yield (*at, field.name), value
        elif attrs.has(type(value)):
            yield from paths_in(value, (*at, field.name))
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if attrs.has(type(item)):
                    yield from paths_in(item, (*at, field.name, index))


def refuse_commented_secrets(text: str, file: Path) -> None:
    """Raise BackupError for a comment that a literal secret seems to stand in; the rest was held to its form."""
    for number, line in enumerate(text.splitlines(), 1):
        if _COMMENTED.search(line):
            raise BackupError(
                "a literal secret seems to stand in this comment, and a backup holds none",
                file=file,
                line=number,
                hint="remove the line",
            )


def relocated(text: str, changes: Mapping[KeyPath, str], file: Path) -> str:
    """`text` with other strings under some of its keys, all else as it stands. Raises BackupError."""
    for key, value in changes.items():
        text = _changed(text, key, value, file)
    return text


def _changed(text: str, key: KeyPath, value: str, file: Path) -> str:
    table = tomllib.loads(text)
    wanted: Any = copy.deepcopy(table)
    holder = wanted
    for part in key[:-1]:
        holder = holder[part]
    before = holder[key[-1]]
    holder[key[-1]] = value
    number = key_lines(text)[key]
    lines = text.splitlines(keepends=True)
    line = lines[number - 1]
    for match in _STRING.finditer(line):
        lines[number - 1] = line[: match.start()] + json.dumps(value, ensure_ascii=False) + line[match.end() :]
        changed = "".join(lines)
        try:
            if tomllib.loads(changed) == wanted:
                return changed
        except tomllib.TOMLDecodeError:  # it was no string of its own
            continue
    raise BackupError(
        f"{before!r} lies outside the configuration's folder, and cannot be replaced in the copy",
        file=file,
        line=number,
        hint="write it as a plain string on one line",
    )
