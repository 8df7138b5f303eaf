"""An answer is waited for, not for ever, and whoever else cancels is not taken for the limit."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from axon_quant.exchange.patience import Patience

sys.path.insert(0, str(Path(__file__).parent))
from virtual_time import run


async def answer(after: float) -> str:
    await asyncio.sleep(after)
    return "answered"


async def test_an_answer_in_time_is_the_answer() -> None:
    assert await Patience().wait(lambda: answer(2.9), 3) == "answered"


async def test_an_answer_that_does_not_come_ends_within_a_quarter_of_a_second_of_the_limit() -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    with pytest.raises(TimeoutError):
        await Patience().wait(lambda: answer(1e6), 3)
    assert 3 <= loop.time() - start <= 3.26
    assert asyncio.current_task().cancelling() == 0


async def test_each_of_many_has_its_own_limit() -> None:
    patience = Patience()
    waits = [patience.wait(lambda seconds=seconds: answer(seconds), 3) for seconds in (1, 2, 2.9, 3.5, 5, 6)]
    outcomes = await asyncio.gather(*waits, return_exceptions=True)
    assert [isinstance(outcome, TimeoutError) for outcome in outcomes] == [False] * 3 + [True] * 3


async def test_a_cancel_from_outside_is_a_cancel() -> None:
    task = asyncio.ensure_future(Patience().wait(lambda: answer(1e6), 3))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_the_asked_one_raises_passes_through() -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Patience().wait(fail, 3)


async def test_an_answer_that_ignores_its_cancellation_still_counts() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(1e6)
        except asyncio.CancelledError:
            return "answered"
        return ""

    assert await Patience().wait(stubborn, 3) == "answered"
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(1)


def test_it_works_on_one_loop_after_another() -> None:
    patience = Patience()
    assert run(patience.wait(lambda: answer(0.1), 3)) == "answered"

    async def late() -> None:
        with pytest.raises(TimeoutError):
            await patience.wait(lambda: answer(1e6), 3)

    run(late())
