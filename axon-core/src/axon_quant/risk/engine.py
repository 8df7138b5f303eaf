"""The one way from a strategy's wish to a message: every order is checked, and holds its share before it is sent.

    check_order ──▶ (accepted: reserved under its client order id) ──▶ on_sent ──▶ on_update … terminal: released

An order is first asked whether it makes sense at all (state, instrument, sane numbers, a fresh reference, equity); the
first of these that fails is the answer. An order that makes sense is then held against every limit, and all that
fail are reported, because a desk that fixes one at a time fixes them in production. Cancels are never asked about: they
always pass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TypeAlias

from axon_quant.clock import MILLISECOND, NANOSECONDS, Clock, LiveClock
from axon_quant.errors import OrderError
from axon_quant.events import Emit, Event, OrderRefused, Reject, RiskStateChanged
from axon_quant.market.instrument import Instrument
from axon_quant.orders.types import Order, OrderStatus, OrderUpdate
from axon_quant.risk import controls
from axon_quant.risk.candidate import Candidate, Valuation
from axon_quant.risk.limits import RiskLimits
from axon_quant.risk.reservations import Reservations
from axon_quant.risk.types import Account, Prices, RiskDecision, RiskSnapshot, RiskState

DAY = 86_400 * NANOSECONDS
ACCEPTED = RiskDecision()
_UNFILLED = (OrderStatus.Cancelled, OrderStatus.Expired, OrderStatus.Rejected)

Controls: TypeAlias = tuple[controls.Control, ...]


class RiskEngine:
    """Pre-trade controls, reservations and the kill switch of one account.

    `account` and `prices` are protocols (`Portfolio` is an account); the clock is real time and the limits are the
    careful defaults unless given. `fee_rate` is the worst fee of a fill, as a fraction of its notional. Without
    `allow_short` a sell needs the base asset; with it, and of swaps, opening a short needs as much quote as opening a
    long.
    Not thread-safe: it belongs to the loop that owns the account.
    """

    def __init__(
        self,
        limits: RiskLimits | None = None,
        instruments: Iterable[Instrument] = (),
        *,
        account: Account,
        prices: Prices,
        clock: Clock | None = None,
        emit: Emit | None = None,
        fee_rate: Decimal = Decimal("0.001"),
        allow_short: bool = False,
    ) -> None:
        self.limits = limits = limits or RiskLimits()
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._clock = clock or LiveClock()
        self._account = account
        self._cost = 1 + fee_rate
        self._allow_short = allow_short
        self._emit = emit or _ignore
        self._reservations = reservations = Reservations(int(limits.reservation_ttl_ms * MILLISECOND))
        self._valuation = Valuation(prices, limits.max_reference_age_ms)
        self._gates: tuple[controls.Gate, ...] = (
            controls.KnownInstrument(self._instruments),
            controls.SaneNumbers(),
        )
        rate = controls.MessageRate(limits.messages_per_second, limits.message_burst)
        self._duplicate = duplicate = controls.Duplicate(limits.duplicate_window_ms, reservations)
        self._fan_out = fan_out = controls.FanOut(limits.max_orders_per_decision)
        self._throttle = controls.ExecutionThrottle(limits.max_executions_per_minute)
        self._recorders: tuple[controls.Recorder, ...] = (rate, duplicate, fan_out)
        self._active: Controls = (
            controls.TickSize(),
            controls.LotSize(),
            controls.MinNotional(),
            *(() if limits.max_quantity is None else (controls.MaxQuantity(limits.max_quantity),)),
            controls.MaxNotional(limits.max_notional),
            controls.PriceCollar(limits.price_collar),
            self._throttle,
            rate,
            fan_out,
            controls.MaxOpenOrders(limits.max_open_orders),
            duplicate,
            controls.SelfTrade(),
            controls.MaxPosition(limits.max_position),
            controls.BuyingPower(account, reservations),
            controls.MaxExposure(limits, self._instruments, account, self._valuation, reservations),
        )
        self._reducing: Controls = (controls.Reducing(), *self._active)
        self.on_halt: Callable[[str], object] = _ignore
        """Told why, whenever the engine has halted: who sends orders cancels what is open."""
        self._rejected_at: deque[int] = deque(maxlen=int(limits.max_rejects))
        self._state = RiskState.ACTIVE
        self._reason = ""
        self._day = -1
        self._day_equity: Decimal | None = None
        self._peak: Decimal | None = None
        self._last_equity: Decimal | None = None
        self._floor: Decimal | None = None
        self._top = Decimal(0)

    @property
    def state(self) -> RiskState:
        """ACTIVE, REDUCING or HALTED."""
        return self._state

    @property
    def reason(self) -> str:
        """Why the engine is not ACTIVE; empty while it is."""
        return self._reason

    @property
    def suspended(self) -> frozenset[str]:
        """The strategies that the execution throttle has stopped."""
        return frozenset(self._throttle.suspended)

    def open_quantity(self, symbol: str) -> tuple[Decimal, Decimal]:
        """(buying, selling): what the reserved orders of a symbol can still fill, in base units."""
        orders = self._reservations.open(symbol)
        return orders.buying, orders.selling

    def reserved(self, asset: str) -> Decimal:
        """What the reserved orders hold of an asset."""
        return self._reservations.held(asset)

    # Orders

    def begin_decision(self) -> None:
        """A new decision begins: the fan-out bound counts from here. Never called, it is not counted."""
        self._fan_out.begin()

    def check_order(self, order: Order) -> RiskDecision:
        """Whether an order may be sent; if so, its share of every limit is reserved under its client order id.

        Checking the same order again changes nothing and gives the same answer, unless the engine was halted or
        set to reducing in between. A refusal is emitted as OrderRefused.
        """
        now = self._clock.now()
        reservations = self._reservations
        reservations.expire(now)
        known = reservations.get(order.client_order_id)
        if known is not None and known.order == order:
            if known.sent or self._state is RiskState.ACTIVE:
                return ACCEPTED
            reservations.release(order.client_order_id)
        candidate = self._sense(order, now)
        if isinstance(candidate, Reject):
            return self._refuse(order, now, (candidate,))
        rejects = []
        for control in self._active if self._state is RiskState.ACTIVE else self._reducing:
            reject = control.check(candidate)
            if reject is not None:
                rejects.append(reject)
        if rejects:
            return self._refuse(order, now, tuple(rejects))
        for recorder in self._recorders:
            recorder.record(candidate)
        reservations.add(
            order,
            asset=candidate.asset,
            unit=candidate.unit,
            held=candidate.held,
            now=now,
            size=candidate.instrument.contract_size,
        )
        return ACCEPTED

    def on_sent(self, client_order_id: str) -> None:
        """The order left the process: only the venue ends its reservation now, no ttl."""
        self._reservations.sent(client_order_id)

    def on_update(self, update: OrderUpdate) -> None:
        """Follow the venue: fills move from the reservation into the position, a terminal status ends it.

        Call it after the account has booked the fill. Updates of unknown orders are ignored.
        """
        filled = self._reservations.update(update)
        if update.status in _UNFILLED:
            self._duplicate.forget(update.client_order_id)
        if filled is not None:
            self._throttle.count(filled.order.strategy, update.at)

    def on_venue_reject(self, update: OrderUpdate) -> None:
        """The venue rejected an order that these controls had let through: too many of them halt.

        Orders that fail one after the other mean that we and the venue do not agree about something.
        """
        rejected, limits = self._rejected_at, self.limits
        rejected.append(update.at)
        window = limits.reject_window_ms * MILLISECOND
        if len(rejected) == rejected.maxlen and update.at - rejected[0] <= window:
            self.halt(
                f"rejects: the venue rejected {len(rejected)} orders within {limits.reject_window_ms / 1e3:g} s,"
                f" the last one because: {update.reason}"
            )

    def adopt(self, order: Order, *, filled: Decimal = Decimal(0)) -> None:
        """Reserve for an order that is at the venue already (after a restart), whatever the limits say."""
        if self._reservations.get(order.client_order_id) is not None:
            return
        found = self._valuation.reference(order.symbol)
        reference = order.price if found is None else found[0]
        if order.symbol not in self._instruments or reference is None:
            raise OrderError(
                f"order {order.client_order_id} cannot be adopted: its symbol has no instrument or no price",
                symbol=order.symbol,
                hint="add the instrument to the configuration, or cancel the order at the venue",
            )
        now = self._clock.now()
        it = self._candidate(order, now, reference, self._account.equity)
        self._reservations.adopt(
            order,
            asset=it.asset,
            unit=it.unit,
            held=it.held,
            filled=filled,
            now=now,
            size=it.instrument.contract_size,
        )

    # State

    def halt(self, reason: str) -> None:
        """Refuse every order until a human resumes, and have what is open cancelled (`on_halt`)."""
        self._enter(RiskState.HALTED, reason)

    def reduce(self, reason: str) -> None:
        """Take only orders that lower a position. A halted engine stays halted."""
        if self._state is not RiskState.HALTED:
            self._enter(RiskState.REDUCING, reason)

    def resume(self) -> None:
        """A human takes responsibility: ACTIVE again, with loss and drawdown counted from the present equity."""
        if self._last_equity is not None:
            self._day_equity = self._peak = self._last_equity
            self._floor = None
        self._rejected_at.clear()
        self._enter(RiskState.ACTIVE, "")

    def release(self, strategy: str) -> None:
        """A human lets a strategy trade again that the execution throttle has suspended."""
        self._throttle.release(strategy)

    def on_equity(self, equity: Decimal, now: int) -> None:
        """Follow equity at `now` (ns): beyond the daily loss or the drawdown the engine halts at once.

        The day is UTC; its loss counts from the last equity before midnight. An equity that is not finite halts.
        """
        if not equity.is_finite():
            self.halt(f"equity is {equity}")
            return
        day = now // DAY
        if day == self._day and self._floor is not None and self._floor <= equity <= self._top:
            self._last_equity = equity
            return
        if day > self._day or self._day_equity is None:
            self._day = max(day, self._day)
            self._day_equity = equity if self._last_equity is None else self._last_equity
        self._last_equity = equity
        self._peak = self._top = equity if self._peak is None else max(self._peak, equity)
        day_floor = self._day_equity * (1 - self.limits.max_daily_loss)
        peak_floor = self._peak * (1 - self.limits.max_drawdown)
        self._floor = max(day_floor, peak_floor)
        if self._state is RiskState.HALTED:
            return
        if not equity >= day_floor:
            self.halt(f"daily-loss: equity {equity} fell below {day_floor}")
        elif not equity >= peak_floor:
            self.halt(f"drawdown: equity {equity} fell below {peak_floor}")

    def snapshot(self) -> RiskSnapshot:
        """What must survive a restart."""
        return RiskSnapshot(
            self._state.value,
            self._reason,
            self._day,
            self._day_equity,
            self._peak,
            sorted(self._throttle.suspended),
        )

    def restore(self, snapshot: RiskSnapshot) -> None:
        """Go on where a snapshot stands: a halted engine is halted again. Open orders come back through `adopt`."""
        self._day, self._day_equity, self._peak = snapshot.day, snapshot.day_equity, snapshot.peak
        self._floor = None
        self._throttle.suspended = set(snapshot.suspended)
        self._enter(RiskState(snapshot.state), snapshot.reason)

    def _sense(self, order: Order, now: int) -> Candidate | Reject:
        """The order as a candidate, or why it makes no sense to look at its limits."""
        if self._state is RiskState.HALTED:
            return Reject("state", "halted", self._reason)
        for gate in self._gates:
            reject = gate.check(order)
            if reject is not None:
                return reject
        reference = self._valuation.check(order.symbol, now)
        if isinstance(reference, Reject):
            return reference
        equity = self._account.equity
        if not (equity.is_finite() and equity > 0):
            return Reject("equity", str(equity), "> 0")
        return self._candidate(order, now, reference, equity)

    def _candidate(self, order: Order, now: int, reference: Decimal, equity: Decimal) -> Candidate:
        return Candidate(
            order,
            self._instruments[order.symbol],
            now,
            reference,
            equity,
            self._account.position(order.symbol),
            self._reservations.open(order.symbol),
            self._cost,
            self._allow_short,
        )

    def _refuse(self, order: Order, now: int, rejects: tuple[Reject, ...]) -> RiskDecision:
        self._emit(OrderRefused(now, order, rejects))
        return RiskDecision(rejects)

    def _enter(self, state: RiskState, reason: str) -> None:
        if state is self._state:
            return
        self._state, self._reason = state, reason
        try:
            self._emit(RiskStateChanged(self._clock.now(), state.value, reason))
        finally:  # a journal that has failed is a reason to halt
            if state is RiskState.HALTED:
                self.on_halt(reason)


def _ignore(event: Event | str) -> None:
    """Nobody listens."""
