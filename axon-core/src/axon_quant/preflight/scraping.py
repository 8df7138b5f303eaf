"""Reading an endpoint on loopback as Prometheus would."""

from __future__ import annotations

import re
from http.client import HTTPConnection, HTTPException

from msgspec import Struct

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(\{[^}]*\})? (\S+)$", re.MULTILINE)
_TIMED = "trading_operation_duration_seconds_count"
_OPERATION = re.compile(r'operation="([^"]*)"')
_TIMEOUT = 5.0


class Scrape(Struct, frozen=True):
    """What an endpoint answered: its samples by name, and why it is not ready, if so. `problem`: it is not ours.

    `operations` is how often each operation was timed.
    """

    samples: dict[str, list[float]]
    unready: str | None = None
    problem: str | None = None
    operations: dict[str, int] = {}


def scrape(port: int) -> Scrape | None:
    """What is served on 127.0.0.1:`port`; None where nothing listens."""
    try:
        status, text = _get(port, "/metrics")
        ready, why = _get(port, "/readyz")
    except ConnectionRefusedError:
        return None
    except (OSError, HTTPException) as error:
        return Scrape({}, problem=f"it does not answer as an endpoint does: {error}")
    samples: dict[str, list[float]] = {}
    operations: dict[str, int] = {}
    for name, labels, value in _SAMPLE.findall(text):
        try:
            samples.setdefault(name, []).append(float(value))
            timed = _OPERATION.search(labels) if name == _TIMED else None
            if timed is not None:
                operations[timed[1]] = int(float(value))
        except (ValueError, OverflowError):
            continue
    if status != 200 or "trading_start_time_seconds" not in samples:
        return Scrape(samples, problem=f"/metrics answers {status} and has none of our metrics")
    unready = None if ready == 200 else " ".join(why.split())[:200]
    return Scrape(samples, unready=unready, operations=operations)


def _get(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()
