"""The report as a PDF of one to three pages, set by typst.

The template is fixed and the facts come to it as JSON strings, so nothing in them is markup. Only the fonts that typst
brings are used: equal facts give equal bytes on every machine.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

from axon_explain.decision_report.facts import Facts
from axon_explain.decision_report.sheet import BRIEF, BRIEFEST, FULL, sheet
from axon_explain.decision_report.words import spelled
from axon_quant.errors import ExplainError

if TYPE_CHECKING:
    from typst import PDFStandard

STANDARDS: tuple[PDFStandard, ...] = (
    *("1.4", "1.5", "1.6", "1.7", "2.0"),
    *("a-1a", "a-1b", "a-2a", "a-2b", "a-2u", "a-3a", "a-3b", "a-3u", "a-4", "a-4e", "a-4f", "ua-1"),
)
PAGES = 3
_SHOWN = (
    *((0x20, 0x7E), (0xA0, 0xAC), (0xAE, 0x2FF), (0x391, 0x3A1), (0x3A3, 0x482), (0x48A, 0x4FF)),
    *((0x5D0, 0x5EA), (0x621, 0x63A), (0x640, 0x64A), (0x660, 0x66D), (0x1E00, 0x1EFF), (0x2010, 0x2027)),
    *((0x2030, 0x203A), (0x2070, 0x2070), (0x2074, 0x208E), (0x20A0, 0x20BF), (0x2190, 0x22FF), (0x2500, 0x25FF)),
)
"""What the fonts can show; anything else is spelled out, for a standard refuses text without a glyph."""


def render(facts: Facts, *, standard: str | None = None) -> bytes:
    """The PDF. Raises ExplainError for a standard that typst does not know, or that the report cannot keep to."""
    standards = [known for known in STANDARDS if known == standard]
    if standard is not None and not standards:
        raise ExplainError(f"there is no PDF standard {standard!r}", hint=f"one of {', '.join(STANDARDS)}")
    import typst

    template = (files("axon_explain.decision_report") / "decision.typ").read_bytes()
    at = facts.decision.at
    dated = "no" if at is None and standard is None else "yes"
    fonts = typst.Fonts(include_system_fonts=False)
    inputs: dict[str, str] = {}
    try:
        for limits in (FULL, BRIEF, BRIEFEST):
            data = msgspec.json.encode(_printable(msgspec.to_builtins(sheet(facts, limits)))).decode()
            inputs = {"report": data, "dated": dated}
            # A typst.Compiler would keep the layout, but loses a template that comes as bytes after its first answer.
            pages = typst.query(template, "<pages>", field="value", one=True, font_paths=fonts, sys_inputs=inputs)
            if int(pages) <= PAGES:
                break
        return typst.compile(
            template,
            format="pdf",
            font_paths=fonts,
            sys_inputs=inputs,
            pdf_standards=standards,
            timestamp=datetime.fromtimestamp((at or 0) // 1_000_000_000, UTC),
        )
    except typst.TypstError as error:
        kind = "PDF" if standard is None else f"PDF {standard}"
        raise ExplainError(f"the report cannot be set as {kind}: {error}") from error


def _printable(value: object) -> object:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {key: _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value


def printable(text: str) -> str:
    """`text` with the characters spelled out that the fonts cannot show."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if any(low <= ord(character) <= high for low, high in _SHOWN) else spelled(character)
        for character in unicodedata.normalize("NFC", text)
    )
