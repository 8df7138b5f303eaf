"""What people and watchdogs can do to a live run, and what halts it by itself, beside its trading."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from decimal import Decimal
from time import monotonic
from typing import TYPE_CHECKING

from axon_quant.clock import LiveClock
from axon_quant.config import Config
from axon_quant.control import ControlServer, HaltFile, Peer, Standing
from axon_quant.errors import AxonError, ConfigError, ControlError, ExchangeError, JournalError
from axon_quant.events import OperatorActed
from axon_quant.exchange import Capability, ExchangeAdapter
from axon_quant.risk import RiskState
from axon_quant.runtime.account_lock import lock_account
from axon_quant.runtime.connecting import build_adapter
from axon_quant.runtime.operations.halting import Cancelled, cancel_open
from axon_quant.runtime.operations.status import status
from axon_quant.runtime.risk_memory import RiskMemory

if TYPE_CHECKING:
    from axon_quant.runtime.live import Live
    from axon_quant.runtime.wiring import Pipeline

logger = logging.getLogger("axon_quant.live")

_LOOK_EVERY = 0.1
_SAVE_EVERY = 10.0
_LONGEST_REASON = 500
_ITSELF = "the run itself"


class Operations:
    """The control of one live run, as an async context: its socket answers within the block.

    Every halt, whoever asked for it, cancels what is open and leaves a halt file, so that the next start is halted as
    well until somebody resumes. The run halts by itself when its journal fails and when the market falls silent; loss,
    drawdown and rejects are the risk engine's.
    """

    def __init__(
        self,
        live: Live,
        built: Pipeline,
        adapter: ExchangeAdapter,
        *,
        watch_market: bool,
        read_config: Callable[[], Config] | None = None,
    ) -> None:
        self.cancelled = Cancelled(0, 0, 0.0)
        """What became of the open orders at the last halt."""
        self.watchdog_seen: float | None = None
        """When a watchdog asked last, on the monotonic clock."""
        self.rotations = 0
        """How often the keys were changed."""
        self._read_config = read_config
        self._locks = ExitStack()
        self._live = live
        self._built = built
        self._adapter = adapter
        self._risk = built.risk
        self._memory = RiskMemory(built.risk, built.bus.record, built.clock)
        self._halt_file = HaltFile(built.config.control.halt_file)
        self._own_market = watch_market
        self._watches_market = False
        self._cancelling: asyncio.Task[None] | None = None
        self._who = _ITSELF
        self._tasks: list[asyncio.Task[None]] = []
        self.journal_failed = asyncio.Event()
        self._server = ControlServer(
            built.config.control.socket,
            {
                "ping": self._ping,
                "status": self._status,
                "halt": self._asked_to_halt,
                "reduce": self._asked_to_reduce,
                "resume": self._asked_to_resume,
                "rotate-keys": self._asked_to_rotate_keys,
            },
        )

    def remember(self, deposited: Decimal) -> None:
        """Go on from what earlier runs measured loss and drawdown from; `deposited` is what was paid in since."""
        self._memory.resume(self._built.journal.path, deposited)

    async def __aenter__(self) -> Operations:
        seconds = self._built.config.operations.cancel_after_s
        if seconds is not None and Capability.CancelAfter not in self._adapter.capabilities:
            raise ConfigError(
                f"{self._adapter.name} has no dead-man switch", hint="leave [operations] cancel_after_s out"
            )
        if seconds is not None:
            await self._adapter.cancel_after(seconds)  # what the venue does not take is known before anything trades
        self._risk.on_halt = self._on_halt
        loop = asyncio.get_running_loop()
        self._built.journal.on_failure(lambda error: loop.call_soon_threadsafe(self.on_journal_failure, error))
        await self._server.start()
        self._tasks.append(asyncio.create_task(self._watch()))
        if seconds is not None:
            self._tasks.append(asyncio.create_task(self._keep_alive(seconds)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.settled()
        self._memory.save()
        await self._server.stop()
        self._locks.close()
        self._risk.on_halt = lambda _: None

    def market_is_up(self) -> None:
        """The venue's market is subscribed: from now on silence is suspicious. A feed may pause as it likes."""
        self._watches_market = self._own_market

    async def cancel_own(self) -> None:
        """Cancel what is open still at an orderly end: ours, one by one."""
        if self._adapter.orders.open:
            self.cancelled = await cancel_open(self._adapter, at_once=False)

    def notices(self) -> list[str]:
        """What the run's summary should tell."""
        found = []
        if self._risk.state is not RiskState.ACTIVE:
            found.append(f"{self._risk.state.value}: {self._risk.reason}")
        done = self.cancelled
        if self._risk.state is RiskState.HALTED and done.orders:
            found.append(f"{done.orders - done.left} open orders were cancelled in {done.ms:.0f} ms")
        if done.left:
            found.append(f"{done.left} orders are open still: {done.reason}")
        return found

    def on_journal_failure(self, error: JournalError) -> None:
        """Nothing can be recorded any more: halt, for good."""
        self._halt_quietly(f"the journal failed: {error.message}")
        self.journal_failed.set()

    @property
    def cancelling(self) -> bool:
        """Whether a halt is being carried out."""
        return self._cancelling is not None and not self._cancelling.done()

    def may_send(self) -> bool:
        """Whether an order may leave now; a watchdog that gave the run up has left a halt file."""
        if self._halt_file.exists and self._risk.state is RiskState.ACTIVE:
            self.take_standing()
        return self._risk.state is not RiskState.HALTED

    async def settled(self) -> None:
        """Return when the cancels of the last halt have come to an end."""
        if self._cancelling is not None:
            await asyncio.wait([self._cancelling])

    # What people ask for.

    async def halt(self, reason: str, who: str) -> dict[str, object]:
        """Halt, and return when the open orders are cancelled: the state, and what became of them."""
        was = self._risk.state
        self._record("halt", reason, who)
        self._who = who
        self._halt_quietly(reason)
        if was is RiskState.HALTED and self._adapter.orders.open:
            self._start_cancelling()  # again: some may be left of the first time
        await self.settled()
        done = self.cancelled
        return {
            "state": self._risk.state.value,
            "reason": self._risk.reason,
            "was": was.value,
            "orders": done.orders,
            "left": done.left,
            "ms": done.ms,
            "why_left": done.reason,
        }

    def reduce(self, reason: str, who: str) -> None:
        """Take only orders that lower a position. Raises ControlError for a run that is halted, which is stricter."""
        if self._risk.state is RiskState.HALTED:
            raise ControlError("the run is halted, which is stricter", hint="resume it first")
        self._halt_file.write(Standing("reducing", reason, who, LiveClock().now()))
        self._record("reduce", reason, who)
        self._risk.reduce(reason)

    async def resume(self, reason: str, who: str) -> None:
        """Trade again, suspended strategies too. Raises ControlError when that cannot be."""
        await self.settled()
        if self._built.journal.failed is not None:
            raise ControlError("the journal has failed: nothing may be traded", hint="repair the disk and restart")
        self._halt_file.remove()
        self._record("resume", reason, who)
        self._adapter.halted = ""
        for strategy in self._risk.suspended:
            self._risk.release(strategy)
        self._risk.resume()
        self._memory.save()

    async def rotate_keys(self, reason: str, who: str) -> None:
        """Read the keys again from where the configuration says they are, try them out, and go on with them.

        Raises ControlError when they are the same, AuthError and others when the venue does not take them; the run then
        goes on with those that it has.
        """
        if self._read_config is None or self._adapter.config is None:
            raise ControlError("this run does not know where its keys are from")
        config = await asyncio.to_thread(self._read_config)
        candidate = build_adapter(config, follow_others=False)
        new, present = candidate.config, self._adapter.config
        if new is None or (new.api_key, new.api_secret, new.passphrase) == (
            present.api_key,
            present.api_secret,
            present.passphrase,
        ):
            raise ControlError("the keys are the same as before", hint="replace the files that the configuration names")
        with ExitStack() as held:
            if new.api_key != present.api_key:
                held.enter_context(lock_account(candidate))
            try:
                await candidate.connect()
            finally:
                await candidate.close()
            self._adapter.use_keys(new)
            self._locks.push(held.pop_all())
        self.rotations += 1
        self._record("rotate-keys", reason, who)

    # ... over the socket.

    async def _ping(self, request: Mapping[str, object], _: Peer) -> Mapping[str, object]:
        if request.get("watchdog"):
            self.watchdog_seen = monotonic()
        return {"run": self._built.info.number, "state": self._risk.state.value, "rotations": self.rotations}

    async def _status(self, _: Mapping[str, object], __: Peer) -> Mapping[str, object]:
        return status(self._live)

    async def _asked_to_halt(self, request: Mapping[str, object], peer: Peer) -> Mapping[str, object]:
        return await self.halt(_reason(request) or "an operator halted it", str(peer))

    async def _asked_to_reduce(self, request: Mapping[str, object], peer: Peer) -> Mapping[str, object]:
        self.reduce(_reason(request) or "an operator set it to reducing", str(peer))
        return {"state": self._risk.state.value, "reason": self._risk.reason}

    async def _asked_to_resume(self, request: Mapping[str, object], peer: Peer) -> Mapping[str, object]:
        """`seen` is the reason that the operator was shown: another one has not been considered."""
        await self.settled()
        was, because, reason = self._risk.state, self._risk.reason, _reason(request)
        if not reason:
            raise ControlError("a resume needs a reason", hint="give --reason: it is journaled")
        if request.get("seen", because) != because:
            raise ControlError(f"meanwhile it is {was.value} because of this: {because}", hint="look again")
        await self.resume(reason, str(peer))
        return {"state": self._risk.state.value, "was": was.value}

    async def _asked_to_rotate_keys(self, request: Mapping[str, object], peer: Peer) -> Mapping[str, object]:
        await self.rotate_keys(_reason(request) or "the keys were replaced", str(peer))
        return {"venue": self._adapter.name}

    def _record(self, action: str, reason: str, who: str) -> None:
        logger.warning("%s by %s: %s", action, who, reason)
        with suppress(JournalError):  # a halt must go through without a journal, too
            self._built.bus.record(OperatorActed(self._built.clock.time, action, reason, who))

    # Halts.

    def _on_halt(self, reason: str) -> None:
        logger.error("halted: %s", reason)
        self._adapter.halted = reason
        with suppress(JournalError):
            self._built.engine.note_cancels()  # now, so that the engine does not ask for each of them by itself
        self._start_cancelling()

    def _start_cancelling(self) -> None:
        if not self.cancelling:
            self._cancelling = asyncio.get_running_loop().create_task(self._cancel())

    async def _cancel(self) -> None:
        standing = Standing("halted", self._risk.reason, self._who, LiveClock().now())
        self._who = _ITSELF
        keeping = asyncio.create_task(asyncio.to_thread(self._keep, standing))
        self.cancelled = done = await cancel_open(self._adapter, at_once=True)
        await keeping
        if done.left:
            logger.critical("%d of %d orders are open still: %s", done.left, done.orders, done.reason)
        elif done.orders:
            logger.warning("%d open orders were cancelled in %.0f ms", done.orders, done.ms)

    def _keep(self, standing: Standing) -> None:
        try:
            self._halt_file.write(standing)
        except ControlError as error:
            logger.critical("%s", error)

    def _halt_quietly(self, reason: str) -> None:
        try:
            self._risk.halt(reason)
        except JournalError as error:
            logger.error("the halt is not journaled: %s", error)

    def take_standing(self) -> None:
        """Be what the halt file says, if there is one."""
        standing = self._halt_file.read()
        if standing is None:
            return
        by = f" (by {standing.who})" if standing.who else ""
        if standing.state == "reducing":
            self._risk.reduce(f"{standing.reason}{by}")
        elif self._risk.state is not RiskState.HALTED:
            self._who = standing.who
            self._halt_quietly(f"{standing.reason}{by}")

    # What nobody has to ask for.

    async def _watch(self) -> None:
        """Halt when the market is silent, or somebody left a halt file; keep what risk measures from."""
        limit = self._risk.limits.max_market_silence_ms / 1e3
        messages, since = -1, monotonic()
        saved = monotonic()
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if monotonic() - saved > _SAVE_EVERY:
                self._memory.save()
                saved = monotonic()
            if self._risk.state is RiskState.ACTIVE:
                self.may_send()
            if not self._watches_market:
                since = monotonic()
            elif self._built.engine.messages != messages:
                messages, since = self._built.engine.messages, monotonic()
            elif monotonic() - since > limit and self._risk.state is not RiskState.HALTED:
                self._halt_quietly(f"stale market: nothing was received for {limit:g} s")

    async def _keep_alive(self, seconds: int) -> None:
        """Arm the venue's dead-man switch again and again; an end that leaves nothing open disarms it."""
        try:
            while True:
                await asyncio.sleep(seconds / 3)
                try:
                    await self._adapter.cancel_after(seconds)
                except ExchangeError as error:
                    logger.warning("the venue's dead-man switch could not be armed: %s", error)
        finally:
            if not self._adapter.orders.open:  # else the venue had better cancel what we could not
                with suppress(AxonError):
                    await self._adapter.cancel_after(0)


def _reason(request: Mapping[str, object]) -> str:
    given = request.get("reason")
    return given.strip()[:_LONGEST_REASON] if isinstance(given, str) else ""
