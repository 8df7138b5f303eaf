"""What a venue says about itself, the account and the symbols, over one connection that only reads."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import attrs

from axon_quant.clock import MILLISECOND
from axon_quant.config import Config
from axon_quant.errors import AxonError, UnavailableError
from axon_quant.exchange import Capability, Channel, ExchangeAdapter, Position
from axon_quant.market import Bar, BookSnapshot, BookUpdate, Instrument, Quote, Trade
from axon_quant.runtime.connecting import build_adapter

_MARKET = (Bar, BookSnapshot, BookUpdate, Quote, Trade)


@attrs.define
class VenueFacts:
    """`error` is why it could not be connected to; what follows it is then empty. Times in milliseconds."""

    name: str
    embedded: bool = False
    error: AxonError | None = None
    capabilities: frozenset[Capability] = frozenset()
    drift_ms: float | None = None
    drift_error_ms: float = 0.0
    instruments: dict[str, Instrument] = attrs.field(factory=dict)
    heard: frozenset[str] = frozenset()
    streams: bool = False
    positions: list[Position] = attrs.field(factory=list)


async def look(config: Config, patience: float) -> VenueFacts:
    """Connect, read, disconnect; each wait lasts at most `patience` seconds. Raises what `build_adapter` does."""
    facts = VenueFacts(config.exchange.name)
    if config.exchange.name == "paper":
        facts.embedded = True
        return facts
    adapter = build_adapter(config, follow_others=False)
    facts.capabilities = frozenset(adapter.capabilities)
    try:
        async with asyncio.timeout(patience):
            await adapter.connect()
        facts.instruments = await adapter.instruments()
        if Capability.Positions in adapter.capabilities:
            facts.positions = await adapter.positions()
        await _listen(adapter, config.market.symbols, facts, patience)
    except TimeoutError:
        facts.error = UnavailableError(f"no answer within {patience:g} s", venue=adapter.name)
    except AxonError as error:
        facts.error = error
    finally:
        if adapter.clock_offset is not None:
            facts.drift_ms, facts.drift_error_ms = (ns / MILLISECOND for ns in adapter.clock_offset)
        with suppress(AxonError):
            await adapter.close()
    return facts


async def _listen(adapter: ExchangeAdapter, symbols: tuple[str, ...], facts: VenueFacts, patience: float) -> None:
    """Note every symbol of which the venue sends something, whichever channel that is on."""
    channels = [channel for channel in Channel if channel.capability in adapter.capabilities]
    known = [symbol for symbol in symbols if symbol in facts.instruments]
    facts.streams = bool(channels)
    if not (channels and known):
        return
    stream, found = adapter.events(), set[str]()
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            for symbol in known:
                for channel in channels:
                    await adapter.subscribe(channel, symbol)
            async for event in stream:
                if isinstance(event, _MARKET) and event.symbol in known:
                    found.add(event.symbol)
                    if len(found) == len(known):
                        break
    facts.heard = frozenset(found)
