"""Markup escapes whatever is not markup."""

from __future__ import annotations

from axon_quant.report import Html, page, tag
from axon_quant.report.markup import join


def test_text_is_escaped_wherever_it_stands():
    hostile = "<script>alert('x')</script> & \"more\""
    made = tag("p", hostile, title=hostile)
    assert "<script>" not in made
    assert made.count("&lt;script&gt;") == 2
    assert '"more"' not in made


def test_markup_in_markup_is_not_escaped_again():
    assert tag("p", tag("b", "a & b"), None, [" ", tag("i", "c")]) == "<p><b>a &amp; b</b> <i>c</i></p>"


def test_text_made_from_markup_by_string_methods_is_text_again():
    assert type(tag("b", "x").replace("b", "script")) is str
    assert join(tag("b", "x").upper()) == "&lt;B&gt;X&lt;/B&gt;"


def test_attributes_are_named_and_numbers_written_as_svg_has_them():
    made = tag("line", x1=1.0, x2=2.345, class_="grid", stroke_width=2, hidden=None, viewBox="0 0 1 1")
    assert made == '<line x1="1" x2="2.35" class="grid" stroke-width="2" viewBox="0 0 1 1"></line>'


def test_a_page_forbids_scripts_and_requests():
    made = page("<title>", Html("<p>x</p>"))
    assert made.startswith("<!doctype html>")
    assert "default-src &#x27;none&#x27;" in made
    assert "<title>&lt;title&gt;</title>" in made
