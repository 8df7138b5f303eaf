"""An adapter that talks to a scripted OKX."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from axon_exchange_okx import OkxAdapter

sys.path.insert(0, str(Path(__file__).parent))
from scripted_okx import ScriptedOkx, configured

Trading: TypeAlias = Callable[..., AbstractAsyncContextManager[tuple[ScriptedOkx, OkxAdapter]]]


@pytest.fixture
def trading() -> Trading:
    """A context manager: the venue and a connected adapter; keywords change its configuration."""

    @asynccontextmanager
    async def session(
        prepare: Callable[[ScriptedOkx], None] | None = None, **changes: object
    ) -> AsyncIterator[tuple[ScriptedOkx, OkxAdapter]]:
        async with ScriptedOkx() as venue:
            if prepare is not None:
                prepare(venue)
            adapter = OkxAdapter(configured(venue, **changes))
            try:
                await adapter.connect()
                venue.requests.clear()
                yield venue, adapter
            finally:
                await adapter.close()

    return session
