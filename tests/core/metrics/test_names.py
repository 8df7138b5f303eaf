"""names.py is the truth: everything in it can be scraped, and nothing else is."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from axon_quant.metrics import METRICS, Kind, MetricsCollector


def test_the_scrape_holds_every_name_with_its_kind_labels_and_help_and_no_other(busy: MetricsCollector) -> None:
    found = {}
    for family in text_string_to_metric_families(busy.render()):
        assert family.samples, family.name
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {frozenset(sample.labels) - {"le"} for sample in family.samples}
        found[name] = (family.type, labels, family.documentation)
    assert found == {metric.name: (metric.kind.value, {frozenset(metric.labels)}, metric.help) for metric in METRICS}


def test_names_follow_one_scheme() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"trading_[a-z0-9]+(_[a-z0-9]+)*", metric.name), metric.name
        assert metric.name.endswith("_total") == (metric.kind is Kind.Counter), metric.name
        assert metric.help.endswith("."), metric.name
        assert not re.search(r"_(ms|us|ns|millis|milliseconds)(_|$)", metric.name), metric.name
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_the_symbol_is_on_no_histogram() -> None:
    assert all("symbol" not in metric.labels for metric in METRICS if metric.kind is Kind.Histogram)
