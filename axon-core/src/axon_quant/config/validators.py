"""Range checks for the fields of a configuration. NaN and infinities fail them all.

Each raises ValueError as "FIELD must be …, got …".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

import attrs

Validator: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def between(low: Decimal | float, high: Decimal | float) -> Validator:
    """A number in [low, high]."""

    def check(_instance: object, attribute: attrs.Attribute[Any], value: Decimal | float) -> None:
        if not (math.isfinite(value) and low <= value <= high):
            raise ValueError(f"{attribute.name} must be between {low} and {high}, got {value}")

    return check


def above(low: Decimal | float) -> Validator:
    """A finite number larger than `low`."""

    def check(_instance: object, attribute: attrs.Attribute[Any], value: Decimal | float) -> None:
        if not (math.isfinite(value) and low < value):
            raise ValueError(f"{attribute.name} must be above {low}, got {value}")

    return check


def matches(pattern: str, what: str) -> Validator:
    """A string that the whole of `pattern` matches; `what` says what that is."""
    compiled = re.compile(pattern)

    def check(_instance: object, attribute: attrs.Attribute[Any], value: str) -> None:
        if compiled.fullmatch(value) is None:
            raise ValueError(f"{attribute.name} must be {what}, got {value!r}")

    return check


def not_empty(_instance: object, attribute: attrs.Attribute[Any], value: tuple[object, ...]) -> None:
    """At least one item."""
    if not value:
        raise ValueError(f"{attribute.name} must not be empty")


def distinct(_instance: object, attribute: attrs.Attribute[Any], value: tuple[object, ...]) -> None:
    """No item twice."""
    for index, item in enumerate(value):
        if item in value[:index]:
            raise ValueError(f"{attribute.name} must not name {item!r} twice")


def each(validator: Validator) -> Validator:
    """Every item of a tuple, or every value of a mapping, passes `validator`."""

    def check(_instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        for item in value.values() if hasattr(value, "values") else value:
            validator(_instance, attribute, item)

    return check


NAME = matches(r"[^\s\x00-\x1f](?:[^\x00-\x1f]*[^\s\x00-\x1f])?", "a name without spaces around it")
STORED = matches(
    r"[^\x00-\x1f]+@(production|previous|latest|[1-9][0-9]{0,8})|[0-9a-f]{8,64}",
    "'NAME@production', '@previous', '@latest' or '@NUMBER', or the SHA-256 of a version",
)
