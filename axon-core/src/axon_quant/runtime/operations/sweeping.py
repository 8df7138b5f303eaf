"""What is open at the venue on some symbols is cancelled, whoever placed it: nobody has to know of the orders."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from axon_quant.errors import ExchangeError, UnavailableError
from axon_quant.exchange import Capability, ExchangeAdapter
from axon_quant.runtime.operations.halting import cancel_open

_LOOK_WITHIN = 1.0


async def sweep(adapter: ExchangeAdapter, symbols: Collection[str]) -> int:
    """Cancel all open orders of `symbols`, once; how many the venue said there were. 0: nothing was open.

    When the venue does not tell within a second, every symbol is cancelled all the same. Raises ExchangeError when that
    cannot be done or is not known to have been.
    """
    if Capability.CancelAll not in adapter.capabilities:
        return await _one_by_one(adapter, symbols)
    try:
        async with asyncio.timeout(_LOOK_WITHIN):
            found = [state for state in await adapter.open_orders() if state.order.symbol in symbols]
    except (ExchangeError, TimeoutError) as error:
        await _cancel(adapter, symbols)
        raise UnavailableError(
            f"the symbols were cancelled, but the venue does not tell what is open: {error or 'no answer'}",
            venue=adapter.name,
        ) from error
    await _cancel(adapter, {state.order.symbol for state in found})
    return len(found)


async def _cancel(adapter: ExchangeAdapter, symbols: Collection[str]) -> None:
    outcomes = await asyncio.gather(*(adapter.cancel_all(symbol) for symbol in symbols), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


async def _one_by_one(adapter: ExchangeAdapter, symbols: Collection[str]) -> int:
    found = [state for state in await adapter.open_orders() if state.order.symbol in symbols]
    for state in found:
        adapter.track(state)
    done = await cancel_open(adapter, at_once=False)
    if done.left:
        raise UnavailableError(f"{done.left} orders are open still: {done.reason}", venue=adapter.name)
    return len(found)
