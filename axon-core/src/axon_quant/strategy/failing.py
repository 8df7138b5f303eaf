"""What a strategy raises, told as an error that says where in its code it was."""

from __future__ import annotations

import traceback
from pathlib import Path

from axon_quant.errors import StrategyError
from axon_quant.strategy.base import Strategy

_HOUSE = Path(__file__).parents[1]


def failure_of(strategy: Strategy, method: str, symbol: str, error: Exception) -> StrategyError:
    """The StrategyError for what `strategy` raised in `method`: it names the last line outside of axon."""
    frames = traceback.extract_tb(error.__traceback__)
    own = next((frame for frame in reversed(frames) if not Path(frame.filename).is_relative_to(_HOUSE)), None)
    where = frames[-1] if own is None and frames else own
    said = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    failure = StrategyError(
        f"{type(strategy).__name__}.{method} raised {said}",
        symbol=symbol,
        file=None if where is None else where.filename,
        line=None if where is None else where.lineno,
        hint="the run ends; mend the strategy, then start again",
    )
    failure.__cause__ = error
    return failure
