from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from axon_quant.config import parse_config
from axon_quant.errors import ConfigError

Mistakes = Callable[[str], list[str]]

MINIMAL = """\
[market]
symbols = ["BTCUSDT"]

[[market.instruments]]
symbol = "BTCUSDT"
base = "BTC"
quote = "USDT"
tick_size = "0.01"
lot_size = "0.00001"

[[models]]
name = "flow"
builtin = "demo-64x128"

[exchange]
balances = { USDT = "1000" }

[journal]
path = "journal.db"
"""


@pytest.fixture
def minimal() -> str:
    """The shortest configuration that is valid; everything else is a default."""
    return MINIMAL


@pytest.fixture
def mistakes(tmp_path: Path) -> Mistakes:
    """Every mistake in a text, as printed, with the file called `c.toml`."""

    def find(text: str) -> list[str]:
        file = tmp_path / "c.toml"
        try:
            parse_config(text, file)
        except ConfigError as error:
            problems = error.problems or [error]
            return [str(problem).replace(str(file), "c.toml") for problem in problems]
        return []

    return find
