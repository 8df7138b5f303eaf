"""Calls per second, for the benchmarks that look at threads. Printing nothing, it is a module, not a benchmark."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter


def per_second(call: Callable[[], object], threads: int, seconds: float) -> float:
    """Calls per second of so many threads together."""
    counts = [0] * threads
    until = perf_counter() + seconds

    def work(index: int) -> None:
        count = 0
        while perf_counter() < until:
            call()
            count += 1
        counts[index] = count

    workers = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / seconds
