"""Logs as one JSON object a line, for whoever collects them; the standard library's logging does the rest."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType

import msgspec

_run: int | None = None
_OWN = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"))


@contextmanager
def of_run(number: int) -> Iterator[None]:
    """What is logged within, by any thread, bears the number of this run."""
    global _run
    before, _run = _run, number
    try:
        yield
    finally:
        _run = before


class JsonFormatter(logging.Formatter):
    """`time` (UTC, RFC 3339), `level`, `logger`, `message`, `run` within one, `exception` with its traceback, and what
    the call gave as `extra`. A line never holds a line break, and what is no plain value stands as its repr: a `Secret`
    as `***`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        line: dict[str, object] = {"time": when, "level": record.levelname, "logger": record.name}
        line["message"] = record.getMessage()
        if _run is not None:
            line["run"] = _run
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        line |= {name: value for name, value in vars(record).items() if name not in _OWN and name not in line}
        try:
            return msgspec.json.encode(line, enc_hook=repr).decode()
        except (UnicodeEncodeError, TypeError, ValueError, RecursionError):  # a lone surrogate, a key that is no string
            return json.dumps(
                {name: value if isinstance(value, str | int) else repr(value) for name, value in line.items()}
            )


def log_json(level: int = logging.INFO) -> None:
    """Have everything that this process says on stderr be JSON: logs, warnings, and an exception that ends it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("axon_quant").setLevel(level)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    logging.getLogger("axon_quant").critical("%s: %s", kind.__name__, error, exc_info=(kind, error, traceback))
