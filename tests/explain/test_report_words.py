"""Numbers and names as a reader sees them."""

from __future__ import annotations

import re
import unicodedata
from math import inf, nan

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from axon_explain.decision_report.words import aligned, listed, number, seen, shortened, signed, utc

finite = st.floats(-1e300, 1e300)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.12345, "0.1235"),
        (-12350.4, "−12,350"),
        (3.2e-7, "3.20e−07"),
        (2.5, "2.5"),
        (1e9, "1.00e+09"),
        (inf, "inf"),
        (nan, "nan"),
    ],
)
def test_numbers_show_the_digits_that_count(value, text):
    assert number(value) == text


@given(finite)
@example(0.001953125)
def test_a_number_can_be_read_back_to_three_digits(value):
    read = float(number(value).replace("\N{MINUS SIGN}", "-").replace(",", ""))
    assert read == pytest.approx(value, rel=0.006, abs=1e-300)
    assert signed(value)[0] in "+\N{MINUS SIGN}"


@given(st.lists(finite, min_size=1))
def test_numbers_of_a_column_have_the_same_decimals(values):
    texts = [aligned(values)(value) for value in values]
    if not any("e" in text for text in texts) and 1e-4 <= max(map(abs, values)) < 1e7:
        assert len({len(text.partition(".")[2]) for text in texts}) == 1


@given(st.text())
def test_what_is_seen_has_nothing_hidden_in_it(text):
    assert not [c for c in seen(text) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn")]
    if text.isprintable():
        assert seen(text) == text


@given(st.text(), st.integers(4, 40))
def test_what_is_shortened_keeps_its_ends(text, length):
    short = shortened(text, length)
    assert len(short) <= length
    if len(text) > length:
        head, _, tail = short.partition("…") if "…" not in text else (text[:1], "", text[-1:])
        assert text.startswith(head)
        assert text.endswith(tail)


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_times_are_exact(nanoseconds):
    text = utc(nanoseconds)
    fraction = re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.(\d{3,9}) UTC", text)[1]
    assert int(fraction.ljust(9, "0")) == nanoseconds % 10**9


def test_lists_are_sentences():
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
