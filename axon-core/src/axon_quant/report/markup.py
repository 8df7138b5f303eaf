"""HTML and SVG from nested calls. Text is escaped unless it is markup already, so a hostile name stays a name."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib.resources import files
from typing import TypeAlias

_VOID = frozenset({"br", "hr", "link", "meta"})
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Html(str):
    """Markup. Only `tag`, `join` and `page` make it; any other text is escaped."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[Child] | None"
Value: TypeAlias = "str | int | float | bool | None"


def tag(name: str, /, *children: Child, **attributes: Value) -> Html:
    """One element. Underscores in attribute names become dashes and a trailing one is dropped: `class_`, `aria_label`.

    Attributes that are None or False are left out; numbers are written with at most two decimals.
    """
    head = "".join(
        [
            f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
            for key, value in attributes.items()
            if value is not None and value is not False
        ]
    )
    if name in _VOID:
        return Html(f"<{name}{head}>")
    return Html(f"<{name}{head}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Children one after the other; None is nothing, an iterable its items."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, str | int):
            parts.append(escape(str(child)))
        elif child is not None:
            parts.append(join(*child))
    return Html("".join(parts))


def page(title: str, body: Html, *, language: str = "en", style: str = "") -> str:
    """A whole document with the house's style in it, and `style` (CSS) after that. Its policy forbids scripts and any
    request.
    """
    style = (files("axon_quant.report") / "page.css").read_text("utf-8") + style
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        Html(f"<style>\n{style}</style>"),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', body), lang=language)}\n"


def _text(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
