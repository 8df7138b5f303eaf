from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from axon_quant.metrics import MetricsCollector

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def collector() -> Iterator[MetricsCollector]:
    with MetricsCollector(initial_equity=100_000.0) as made:
        yield made


@pytest.fixture
def samples() -> Callable[[str], Samples]:
    """Parse a scrape into its samples, by name and labels."""

    def parse(text: str) -> Samples:
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    return parse


@pytest.fixture
def value(samples: Callable[[str], Samples]) -> Callable[..., float | None]:
    """One sample of a collector's scrape, or None when it is absent."""

    def read(collector: MetricsCollector, name: str, **labels: str) -> float | None:
        return samples(collector.render()).get((name, frozenset(labels.items())))

    return read
