"""OpenTelemetry may have the same numbers, and its own exporter agrees with ours on what they are."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from axon_quant.metrics import Kind, MetricsCollector, names

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def exported(collector: MetricsCollector) -> str:
    """What OpenTelemetry's exporter makes of a collector."""
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(disable_target_info=True, scope_info_enabled=False, registry=registry)
    provider = MeterProvider(metric_readers=[reader], resource=Resource.get_empty(), shutdown_on_exit=False)
    collector.instrument(provider.get_meter("axon_quant"))
    text = generate_latest(registry).decode()
    provider.shutdown()
    return text


def test_opentelemetry_exports_the_same_numbers(busy: MetricsCollector, samples: Callable[[str], Samples]) -> None:
    ours = {key: value for key, value in samples(busy.render()).items() if not key[0].startswith(HISTOGRAM)}
    assert samples(exported(busy)) == ours


def test_helps_and_types_are_the_same(busy: MetricsCollector) -> None:
    def heads(text: str) -> dict[str, tuple[str, str]]:
        families = text_string_to_metric_families(text)
        return {one.name: (one.type, one.documentation) for one in families if one.name != HISTOGRAM}

    assert heads(exported(busy)) == heads(busy.render())


HISTOGRAM = names.OPERATION_DURATION.name
assert names.OPERATION_DURATION.kind is Kind.Histogram


@given(text=st.text(), number=st.floats(allow_nan=False, allow_infinity=False))
def test_any_label_and_any_number_survive_the_text_format(text: str, number: float) -> None:
    with MetricsCollector() as collector:
        collector.set_gauge(names.POSITION, number, text)
        found = [
            sample
            for family in text_string_to_metric_families(collector.exposition.render().decode())
            if family.name == names.POSITION.name
            for sample in family.samples
        ]
    assert [(sample.labels, sample.value) for sample in found] == [({"symbol": text}, number)]
