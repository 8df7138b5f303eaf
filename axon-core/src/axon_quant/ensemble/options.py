"""Checking the options of a strategy."""

from __future__ import annotations

from axon_quant.errors import EnsembleError


def require(holds: bool, option: str, found: object, expected: str) -> None:
    """Raise EnsembleError with the option's name unless the condition holds; write it so that NaN fails."""
    if not holds:
        raise EnsembleError(f"{option} is {found}, expected {expected}")
