"""A stand-in for Prometheus: reads /metrics over HTTP while the run goes on."""

from __future__ import annotations

import re
import threading
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import Self

from axon_quant.errors import MetricsError

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(\{[^}]*\})? (\S+)$", re.MULTILINE)


class Scraper:
    """Scrapes the endpoint at 127.0.0.1:`port` every `interval` seconds from a thread, while the context is open.

    `count` is how many scrapes were answered, `text` the last answer, `failures` what went wrong otherwise. Leaving
    the context takes a last scrape; without one answer it raises MetricsError.
    """

    def __init__(self, port: int, *, interval: float = 0.5) -> None:
        self.port = port
        self.count = 0
        self.text = ""
        self.failures: list[str] = []
        self._interval = interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="axon-demo-scraper", daemon=True)

    def samples(self) -> list[tuple[str, str, float]]:
        """(name, labels, value) of everything in the last scrape."""
        return [(name, labels, float(value)) for name, labels, value in _SAMPLE.findall(self.text)]

    def total(self, name: str) -> float:
        """The sum over all series of a metric in the last scrape."""
        return sum(value for found, _, value in self.samples() if found == name)

    def has(self, name: str) -> bool:
        """Whether the last scrape has the metric."""
        return any(found == name for found, _, _ in self.samples())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._scrape()
        if not self.count and error is None:
            raise MetricsError(f"no scrape of 127.0.0.1:{self.port} was answered: {self.failures[-1]}")

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            self._scrape()

    def _scrape(self) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5.0)
        try:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, HTTPException) as error:
            self.failures.append(f"{type(error).__name__}: {error}")
        else:
            if answer.status == 200:
                self.text = body.decode()
                self.count += 1
            else:
                self.failures.append(f"answered {answer.status}")
        finally:
            connection.close()
