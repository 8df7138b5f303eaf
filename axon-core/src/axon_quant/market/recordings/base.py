"""What every reader of a recording shares: opening, counting and reporting lines that cannot be understood."""

from __future__ import annotations

import gzip
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from msgspec import Struct

from axon_quant.errors import MarketDataError
from axon_quant.market.types import MarketEvent

_PIECE = 1 << 15


class Malformed(Struct, frozen=True):
    """One line (or row) that was left out, and why."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class Recording(ABC):
    """Market events from a file.

    `messages` counts the lines or rows seen, `malformed` those left out; `on_malformed` is told of each. Iterating
    starts from the top. Raises MarketDataError when the file is missing or cannot be opened.
    """

    def __init__(self, path: str | Path, *, on_malformed: Callable[[Malformed], None] | None = None) -> None:
        self.path = Path(path)
        self.messages = 0
        self.malformed = 0
        self._on_malformed = on_malformed
        if not self.path.is_file():
            raise MarketDataError("no such recording", file=self.path, hint="give the path of a recorded session")

    @abstractmethod
    def __iter__(self) -> Iterator[MarketEvent]: ...

    def _report(self, line: int, reason: str) -> None:
        self.malformed += 1
        if self._on_malformed is not None:
            self._on_malformed(Malformed(str(self.path), line, reason))


def open_binary(path: Path) -> BinaryIO:
    """Open a plain or gzipped file, told apart by its first two bytes and not by its name."""
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        return cast(BinaryIO, gzip.open(path, "rb")) if zipped else path.open("rb")
    except OSError as error:
        raise MarketDataError(f"cannot be opened: {error.strerror}", file=path) from error


def read_lines(path: Path, on_broken: Callable[[int, str], None]) -> Iterator[tuple[int, list[bytes]]]:
    """The lines of a plain or gzipped file, some at a time, with the number of the first of them, from 1.

    A file that breaks off is reported and ends there.
    """
    number, rest = 1, b""
    with open_binary(path) as file:
        # Splitting pieces costs half of what asking a gzip file for each line does.
        while True:
            try:
                piece = file.read(_PIECE)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                on_broken(number, f"the file breaks off here: {error}")
                return
            if not piece:
                break
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            yield number, lines
            number += len(lines)
    if rest:
        yield number, [rest]
