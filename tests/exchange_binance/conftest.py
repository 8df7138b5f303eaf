"""An adapter that talks to a scripted Binance."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from axon_exchange_binance import BinanceAdapter

sys.path.insert(0, str(Path(__file__).parent))
from scripted_binance import ScriptedBinance, configured

Trading: TypeAlias = Callable[..., AbstractAsyncContextManager[tuple[ScriptedBinance, BinanceAdapter]]]


@pytest.fixture
def trading() -> Trading:
    """A context manager: the venue and a connected adapter; keywords change its configuration."""

    @asynccontextmanager
    async def session(
        prepare: Callable[[ScriptedBinance], None] | None = None, **changes: object
    ) -> AsyncIterator[tuple[ScriptedBinance, BinanceAdapter]]:
        async with ScriptedBinance() as venue:
            if prepare is not None:
                prepare(venue)
            adapter = BinanceAdapter(configured(venue, **changes))
            try:
                await adapter.connect()
                yield venue, adapter
            finally:
                await adapter.close()

    return session
