"""A second process that watches a live run, and cancels its orders at the venue when it stops answering.

    waiting ──answer──▶ watching ──silence──▶ fallen ──answer──▶ watching, and the run is told to halt
                           └──the socket is gone: an orderly end──▶ waiting

It has a connection of its own, made before it is needed. Nothing that it does goes through the run, which may be
stopped, hung or dead.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from axon_quant.clock import LiveClock
from axon_quant.config import Config
from axon_quant.control import HaltFile, Standing, ask
from axon_quant.errors import AuthError, AxonError, ConfigError, ControlError, ExchangeError, NotRunningError
from axon_quant.exchange import ExchangeAdapter
from axon_quant.runtime.operations.sweeping import sweep

logger = logging.getLogger("axon_quant.watchdog")

_BEATS = 3
"""Questions within the time after which a run is given up."""
_SWEEPS = (1.0, 5.0, 30.0)
"""Seconds to the next sweep while the run stays silent: what it had sent may arrive late. The last one repeats."""
_RETRY = 2.0


class Watchdog:
    """Watches the run of `config` until `stop()`; with `until_end`, until that run has ended, however.

    `make_adapter` makes what connects to the account. A run that has never answered is waited for.
    """

    def __init__(self, config: Config, make_adapter: Callable[[], ExchangeAdapter], *, until_end: bool = False) -> None:
        self._socket = config.control.socket
        self._halt_file = HaltFile(config.control.halt_file)
        self._symbols = config.market.symbols
        self._timeout = config.operations.watchdog_timeout_ms / 1e3
        self._make_adapter = make_adapter
        self._until_end = until_end
        self._parent = os.getppid()
        self._adapter: ExchangeAdapter | None = None
        self._connecting = asyncio.Lock()
        self._rotations: object = 0
        self._keys_changed = asyncio.Event()
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End, and leave the run alone."""
        self._stopped.set()

    async def run(self) -> None:
        """Watch. Raises nothing for a venue that cannot be reached: it is tried again."""
        logger.info("watching %s: silence of %.1f s halts it", self._socket, self._timeout)
        connecting = asyncio.create_task(self._stay_connected())
        watching = asyncio.create_task(self._watch())
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait({watching, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                watching.result()
        finally:
            for task in (connecting, watching, stopped):
                task.cancel()
            await asyncio.gather(connecting, watching, stopped, return_exceptions=True)
            await self._disconnect()

    async def _watch(self) -> None:
        answered = 0.0  # when the run did; 0 before it has
        while True:
            began = monotonic()
            outcome = await self._beat(self._timeout)
            if outcome is None:
                if not answered:
                    logger.info("the run answers")
                answered = monotonic()
            elif answered and isinstance(outcome, NotRunningError) and not self._socket.exists():
                logger.info("the run has ended in an orderly way")
                answered = 0.0
                if self._until_end:
                    return
            elif answered and monotonic() - answered > self._timeout:
                answered = await self._take_over(f"no answer for {self._timeout:g} s: {outcome.message}")
                if not answered and self._until_end:
                    return
            elif not answered and self._until_end and os.getppid() != self._parent:
                return  # it was started for a run that has not come up
            await asyncio.sleep(max(0.0, self._timeout / _BEATS - (monotonic() - began)))

    async def _beat(self, patience: float) -> ControlError | None:
        """Ask for a sign of life; why there is none, or None."""
        try:
            said = await asyncio.to_thread(ask, self._socket, "ping", timeout=patience, watchdog=True)
        except ControlError as error:
            return error
        if said["rotations"] != self._rotations:
            self._rotations = said["rotations"]
            self._keys_changed.set()
        return None

    async def _take_over(self, reason: str) -> float:
        """Halt the run from outside until it answers again (returns when) or is known to be dead (0)."""
        logger.critical("the run is given up: %s", reason)
        reason = f"the watchdog gave the run up: {reason}"
        keeping = asyncio.create_task(asyncio.to_thread(self._keep, reason))
        await self._sweep()
        await keeping
        sweeps = iter(_SWEEPS)
        wait = next(sweeps)
        due = monotonic() + wait
        while True:
            await asyncio.sleep(self._timeout / _BEATS)
            outcome = await self._beat(self._timeout / _BEATS)
            if outcome is None:
                with suppress(AxonError):
                    await asyncio.to_thread(ask, self._socket, "halt", reason=reason, timeout=20.0)
                logger.warning("the run answers again; it is halted until somebody resumes it")
                return monotonic()
            if monotonic() >= due:
                await self._sweep()
                wait = next(sweeps, wait)
                due = monotonic() + wait
                if isinstance(outcome, NotRunningError):
                    logger.warning("the run is dead, and nothing of it is open; its next start is halted")
                    return 0.0

    def _keep(self, reason: str) -> None:
        try:
            self._halt_file.write(Standing("halted", reason, f"watchdog (pid {os.getpid()})", LiveClock().now()))
        except (ControlError, OSError) as error:
            logger.critical("%s", error)

    # The venue.

    async def _sweep(self) -> None:
        """Cancel everything that is open on the run's symbols, until the venue says that nothing is."""
        began, found = monotonic(), 0
        while True:
            try:
                count = await sweep(await self._connected(), self._symbols)
            except (ExchangeError, ConfigError) as error:
                logger.critical("the open orders could not be cancelled, trying again: %s", error)
                if isinstance(error, AuthError):
                    await self._disconnect()  # the keys were changed, perhaps: read them again
                await asyncio.sleep(0.25)
                continue
            found = max(found, count)
            if not count:
                break
        if found:
            logger.critical("%d open orders were cancelled at the venue in %.2f s", found, monotonic() - began)

    async def _connected(self) -> ExchangeAdapter:
        async with self._connecting:
            if self._adapter is None:
                adapter = self._make_adapter()
                try:
                    await adapter.connect()
                except BaseException:
                    await adapter.close()
                    raise
                self._adapter = adapter
            return self._adapter

    async def _stay_connected(self) -> None:
        """Have a connection before it is needed, with the keys that the run has."""
        while True:
            try:
                await self._connected()
            except (ExchangeError, ConfigError) as error:
                logger.warning("no connection to the venue yet: %s", error)
                await asyncio.sleep(_RETRY)
                continue
            await self._keys_changed.wait()
            self._keys_changed.clear()
            logger.info("the run has changed its keys")
            await self._disconnect()

    async def _disconnect(self) -> None:
        adapter, self._adapter = self._adapter, None
        if adapter is not None:
            await adapter.close()
