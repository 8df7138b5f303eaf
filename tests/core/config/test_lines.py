from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_quant.config.lines import KeyPath, key_lines

EXAMPLE = (Path(__file__).with_name("complete.toml")).read_text()

TRICKY = '''\
# [not.a.header]
title = "a # no comment [nor header] = \\" \\\\"
text = """
[fake]
key = 1 \\""" still inside
"""""
raw = \'\'\'
[[fake]]
# key = 2
\'\'\'\'\'
"quoted key".'and another' = 1

[ a . "b.c" ]   # a header with spaces
d.e.f = 'x = [1]'
inline = { g = 1, h.i = [ { j = "}" }, { j = "]" } ] }
many = [  # one per line
    "one, # not a comment",
    [ 2, 3 ],
    { k = 4 },
]

[[table.items]]
n = 1
[table.items.sub]
m = 2
[[table.items]]
n = 3
when = 1979-05-27 07:32:00
[[table.items.deep]]
o = 4
[[table.items.deep]]
o = 5
'''


def paths(value: object, path: KeyPath = ()) -> set[KeyPath]:
    if isinstance(value, dict):
        return {path} | {found for key, item in value.items() for found in paths(item, (*path, key))}
    if isinstance(value, list):
        return {path} | {found for index, item in enumerate(value) for found in paths(item, (*path, index))}
    return {path}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("text",), 3),
        (("raw",), 7),
        (("quoted key", "and another"), 11),
        (("a", "b.c"), 13),
        (("a", "b.c", "d", "e", "f"), 14),
        (("a", "b.c", "inline", "g"), 15),
        (("a", "b.c", "inline", "h", "i", 1, "j"), 15),
        (("a", "b.c", "many", 0), 17),
        (("a", "b.c", "many", 1, 1), 18),
        (("a", "b.c", "many", 2, "k"), 19),
        (("table", "items", 0), 22),
        (("table", "items", 0, "sub", "m"), 25),
        (("table", "items", 1, "n"), 27),
        (("table", "items", 1, "when"), 28),
        (("table", "items", 1, "deep", 0, "o"), 30),
        (("table", "items", 1, "deep", 1), 31),
    ],
)
def test_a_key_is_found_on_its_line(path: KeyPath, line: int) -> None:
    assert key_lines(TRICKY)[path] == line


@pytest.mark.parametrize("text", [TRICKY, EXAMPLE, TRICKY.replace("\n", "\r\n")], ids=["tricky", "example", "crlf"])
def test_exactly_the_keys_that_the_parser_sees_are_found(text: str) -> None:
    assert set(key_lines(text)) == paths(tomllib.loads(text)) - {()}


VALUES = st.recursive(
    st.sampled_from(
        [
            "1",
            "-2.5e3",
            "true",
            "nan",
            "07:32:00",
            '"""\n[x]\ny = 1 # """',
            "'''\n\"\"\"'''",
            '"\\"]}"',
            "'#\"'",
            '""',
            '""""""',
            '"""a"""""',
            "'''''''",
        ]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        st.lists(inner, max_size=3).map(lambda items: "[ # ]\n" + "".join(f"{item},# '\n" for item in items) + "]"),
        st.lists(inner, max_size=3).map(
            lambda items: "{" + ", ".join(f"k{index} . x = {item}" for index, item in enumerate(items)) + "}"
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", "[t{}]\n", "[[list]]\n", '["q]{}"]\n']), VALUES), max_size=6))
def test_no_value_hides_the_keys_after_it(chunks: list[tuple[str, str]]) -> None:
    text, expected = "", []
    for number, (header, value) in enumerate(chunks):
        text += header.format(number)
        expected.append((f"key{number}", text.count("\n") + 1))
        text += f"key{number} = {value}\n"
    lines = key_lines(text)
    assert set(lines) == paths(tomllib.loads(text)) - {()}
    assert [(path[-1], line) for path, line in lines.items() if str(path[-1]).startswith("key")] == expected
