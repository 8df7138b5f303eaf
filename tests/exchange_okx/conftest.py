"""An adapter that talks to a scripted OKX."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from axon_exchange_okx import OkxAdapter
from axon_quant.exchange import ExchangeConfig, RateLimitConfig

sys.path.insert(0, str(Path(__file__).parent))
from scripted_okx import KEY, PASSPHRASE, SECRET, ScriptedOkx

Trading: TypeAlias = Callable[..., AbstractAsyncContextManager[tuple[ScriptedOkx, OkxAdapter]]]
QUICK = RateLimitConfig(1_000, 60_000, max_wait_ms=10_000)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run the tests of this folder that are coroutines, each on a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


def configured(venue: ScriptedOkx, **changes: object) -> ExchangeConfig:
    settings: dict[str, object] = {
        "api_key": KEY,
        "api_secret": SECRET,
        "passphrase": PASSPHRASE,
        "testnet": True,
        "rate_limit": QUICK,
        "base_urls": {"rest": venue.rest, "ws": venue.ws},
    }
    return ExchangeConfig(**{**settings, **changes})  # type: ignore[arg-type]


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
                yield venue, adapter
            finally:
                await adapter.close()

    return session
