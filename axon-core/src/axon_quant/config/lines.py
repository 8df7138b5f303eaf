"""Where each key of a TOML text stands. The standard parser gives no positions; this finds them again.

It reads only text that the parser has accepted, so it needs no errors of its own.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys from the root, with an index for each item of an array: `("models", 0, "path")`."""

_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'  # up to two quotes may stand before the closing three
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = re.compile(r"[ \t\r]*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SCALAR = re.compile(r"[^,\]}#\n]+")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line (from 1) of every table, key and array item of a valid TOML text, at its first mention."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.lines: dict[KeyPath, int] = {}
        self.breaks = [index for index, character in enumerate(text) if character == "\n"]
        self.items: dict[KeyPath, int] = {}  # arrays of tables: how many items so far

    def scan(self) -> dict[KeyPath, int]:
        prefix: KeyPath = ()
        self.skip(_BLANK)
        while self.position < len(self.text):
            if self.take("[["):
                prefix = self.header(array=True)
                self.take("]]")
            elif self.take("["):
                prefix = self.header(array=False)
                self.take("]")
            else:
                self.pair(prefix)
            self.skip(_BLANK)
        return self.lines

    def header(self, *, array: bool) -> KeyPath:
        line = self.line()
        *parents, last = self.keys()
        path: KeyPath = ()
        for part in parents:
            path = self.latest((*path, part))
            self.lines.setdefault(path, line)
        path = (*path, last)
        self.lines.setdefault(path, line)
        if not array:
            return self.latest(path)
        self.items[path] = self.items.get(path, 0) + 1
        path = self.latest(path)
        self.lines[path] = line
        return path

    def latest(self, path: KeyPath) -> KeyPath:
        return (*path, self.items[path] - 1) if path in self.items else path

    def pair(self, prefix: KeyPath) -> None:
        line = self.line()
        path = prefix
        for part in self.keys():
            path = (*path, part)
            self.lines.setdefault(path, line)
        self.take("=")
        self.skip(_SPACE)
        self.value(path)

    def value(self, path: KeyPath) -> None:
        if self.take("{"):
            self.skip(_BLANK)
            while not self.take("}"):
                self.pair(path)
                self.skip(_BLANK)
                self.take(",")
                self.skip(_BLANK)
        elif self.take("["):
            index = 0
            self.skip(_BLANK)
            while not self.take("]"):
                self.lines[*path, index] = self.line()
                self.value((*path, index))
                index += 1
                self.skip(_BLANK)
                self.take(",")
                self.skip(_BLANK)
        elif not self.skip(_STRING):
            self.skip(_SCALAR)

    def keys(self) -> list[str]:
        parts = [self.key()]
        while self.take("."):
            parts.append(self.key())
        return parts

    def key(self) -> str:
        self.skip(_SPACE)
        bare = self.skip(_BARE_KEY)
        quoted = "" if bare else self.skip(_STRING)
        self.skip(_SPACE)
        return bare or str(tomllib.loads(f"key = {quoted}")["key"])

    def line(self) -> int:
        return bisect_left(self.breaks, self.position) + 1

    def take(self, token: str) -> bool:
        found = self.text.startswith(token, self.position)
        self.position += len(token) if found else 0
        return found

    def skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.position)
        if match is None:
            return ""
        self.position = match.end()
        return match.group()
