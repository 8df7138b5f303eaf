"""The controls, one class each. A gate asks whether an order makes sense at all; a control holds one limit.

A control returns None or a `Reject` that names it, the value it saw and its limit. Comparisons are written so that NaN
fails them, and money is compared as Decimal, so an order at a limit passes and one just beyond it does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Protocol

from axon_quant.clock import MILLISECOND, NANOSECONDS
from axon_quant.events import Reject
from axon_quant.market.instrument import Instrument
from axon_quant.orders.types import Order, OrderType, Side
from axon_quant.risk.candidate import Candidate, Valuation
from axon_quant.risk.limits import RiskLimits
from axon_quant.risk.reservations import Reservations
from axon_quant.risk.types import Account

ZERO = Decimal(0)
LARGEST = Decimal(10) ** 18
"""No price or quantity of any market comes near; beyond, arithmetic would begin to round."""


class Gate(Protocol):
    """Whether an order makes sense at all."""

    def check(self, order: Order) -> Reject | None:
        """None to pass."""
        ...


class Control(Protocol):
    """Whether an order that makes sense stays within one limit."""

    def check(self, candidate: Candidate) -> Reject | None:
        """None to pass."""
        ...


class Recorder(Control, Protocol):
    """A control that remembers the orders that were accepted."""

    def record(self, candidate: Candidate) -> None:
        """The order was accepted by every control."""
        ...


class KnownInstrument:
    """`instrument`: only symbols with a specification are traded."""

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments

    def check(self, order: Order) -> Reject | None:
        if order.symbol in self._instruments:
            return None
        return Reject("instrument", order.symbol, ", ".join(self._instruments) or "no instruments")


class SaneNumbers:
    """`sane-numbers`: price and quantity are positive finite Decimals of a size that markets have."""

    def check(self, order: Order) -> Reject | None:
        if not _sane(order.quantity):
            return Reject("sane-numbers", f"quantity {order.quantity}", f"0 < quantity <= {LARGEST}")
        if order.order_type is OrderType.Market:
            return None if order.price is None else Reject("sane-numbers", f"price {order.price}", "no price")
        if not _sane(order.price):
            return Reject("sane-numbers", f"price {order.price}", f"0 < price <= {LARGEST}")
        return None


class TickSize:
    """`tick-size`: the price lies on the venue's grid."""

    def check(self, candidate: Candidate) -> Reject | None:
        price, tick = candidate.order.price, candidate.instrument.tick_size
        return None if price is None or _on_grid(price, tick) else Reject("tick-size", str(price), str(tick))


class LotSize:
    """`lot-size`: the quantity lies on the venue's grid."""

    def check(self, candidate: Candidate) -> Reject | None:
        quantity, lot = candidate.order.quantity, candidate.instrument.lot_size
        return None if _on_grid(quantity, lot) else Reject("lot-size", str(quantity), str(lot))


class MinNotional:
    """`min-notional`: the venue takes no smaller order."""

    def check(self, candidate: Candidate) -> Reject | None:
        if candidate.notional >= candidate.instrument.min_notional:
            return None
        return Reject("min-notional", str(candidate.notional), str(candidate.instrument.min_notional))


class MaxQuantity:
    """`max-quantity`: quantity of one order in base units."""

    def __init__(self, limit: Decimal) -> None:
        self._limit = limit

    def check(self, candidate: Candidate) -> Reject | None:
        if candidate.quantity <= self._limit:
            return None
        return Reject("max-quantity", str(candidate.quantity), str(self._limit))


class MaxNotional:
    """`max-notional`: price × quantity of one order, as a fraction of equity."""

    def __init__(self, fraction: Decimal) -> None:
        self._fraction = fraction

    def check(self, candidate: Candidate) -> Reject | None:
        limit = self._fraction * candidate.equity
        return None if candidate.notional <= limit else Reject("max-notional", str(candidate.notional), str(limit))


class PriceCollar:
    """`price-collar`: a limit price is not far from the reference."""

    def __init__(self, collar: float) -> None:
        self._collar = Decimal(repr(collar))

    def check(self, candidate: Candidate) -> Reject | None:
        reference = candidate.reference
        if abs(candidate.price - reference) <= self._collar * reference:
            return None
        return Reject("price-collar", str(candidate.price), f"{reference} ± {self._collar}")


class Reducing:
    """`state`: while REDUCING, only orders that lower a position."""

    def check(self, candidate: Candidate) -> Reject | None:
        if not candidate.opens:
            return None
        return Reject("state", f"opens {candidate.opening} of {candidate.quantity}", "reducing")


class MaxPosition:
    """`max-position`: position of one symbol with its open orders, at the reference, as a fraction of equity."""

    def __init__(self, fraction: Decimal) -> None:
        self._fraction = fraction

    def check(self, candidate: Candidate) -> Reject | None:
        if not candidate.opens:
            return None
        limit = self._fraction * candidate.equity
        return None if candidate.value <= limit else Reject("max-position", str(candidate.value), str(limit))


class MaxExposure:
    """`gross-exposure` and `net-exposure`: the whole account with its open orders, relative to equity.

    An order that only lowers a position always passes. A holding without a price cannot be bounded, so it refuses.
    """

    def __init__(
        self,
        limits: RiskLimits,
        instruments: Mapping[str, Instrument],
        account: Account,
        valuation: Valuation,
        reservations: Reservations,
    ) -> None:
        self._gross = Decimal(repr(limits.max_gross_exposure))
        self._net = Decimal(repr(limits.max_net_exposure))
        self._symbols = tuple(instruments)
        self._position = account.position
        self._reference = valuation.reference
        self._open = reservations.open

    def check(self, candidate: Candidate) -> Reject | None:
        if not candidate.opens:
            return None
        order, reference = candidate.order, candidate.reference
        buying = order.side is Side.Buy
        other = (
            candidate.orders.selling - candidate.position if buying else candidate.orders.buying + candidate.position
        )
        gross = max(candidate.reach, other) * reference
        net = candidate.reach * reference
        for symbol in self._symbols:
            if symbol == order.symbol:
                continue
            position, orders = self._position(symbol), self._open(symbol)
            if not (position or orders.buying or orders.selling):
                continue
            known = self._reference(symbol)
            if known is None:
                return Reject("gross-exposure", f"{symbol} has no price", str(self._gross))
            price = known[0]
            upper, lower = position + orders.buying, orders.selling - position
            gross += max(upper, lower) * price
            net += (upper if buying else lower) * price
        if not gross <= self._gross * candidate.equity:
            return Reject("gross-exposure", str(gross), str(self._gross * candidate.equity))
        if not net <= self._net * candidate.equity:
            return Reject("net-exposure", str(net), str(self._net * candidate.equity))
        return None


class BuyingPower:
    """`buying-power`: what the order would cost, fees included, is there and not held by open orders."""

    def __init__(self, account: Account, reservations: Reservations) -> None:
        self._available = account.available
        self._reserved = reservations.held

    def check(self, candidate: Candidate) -> Reject | None:
        free = self._available(candidate.asset) - self._reserved(candidate.asset)
        if candidate.held <= free or not candidate.held:
            return None
        return Reject("buying-power", f"{candidate.held} {candidate.asset}", f"{free} {candidate.asset}")


class MessageRate:
    """`message-rate`: new orders per second, a token bucket on the run's clock."""

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = burst
        self._at: int | None = None

    def check(self, candidate: Candidate) -> Reject | None:
        now = candidate.now
        if self._at is not None:
            tokens = self._tokens + (now - self._at) / NANOSECONDS * self._per_second
            self._tokens = tokens if tokens < self._burst else self._burst
        self._at = now
        # Refills come in inexact steps; without the slack a tenth of a second would not always bring a token.
        if self._tokens >= 1.0 - 1e-9:
            return None
        return Reject("message-rate", "no message left", f"{self._per_second:g}/s, burst {self._burst:g}")

    def record(self, candidate: Candidate) -> None:  # noqa: ARG002
        self._tokens -= 1.0


class MaxOpenOrders:
    """`open-orders`: how many orders of one symbol may be open."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def check(self, candidate: Candidate) -> Reject | None:
        count = len(candidate.orders)
        return None if count < self._limit else Reject("open-orders", str(count + 1), str(self._limit))


class Duplicate:
    """`duplicate`: a client order id is used once; the same order again within the window is a mistake.

    Unless the first one ended without being filled: to place again what was cancelled is no mistake, and the message
    rate bounds it.
    """

    def __init__(self, window_ms: float, reservations: Reservations) -> None:
        self._window = int(window_ms * MILLISECOND)
        self._recent: deque[tuple[int, Order]] = deque()
        self._was_used = reservations.was_used

    def check(self, candidate: Candidate) -> Reject | None:
        order, recent = candidate.order, self._recent
        if self._was_used(order.client_order_id):
            return Reject("duplicate", order.client_order_id, "client order id used before")
        oldest = candidate.now - self._window
        while recent and recent[0][0] <= oldest:
            recent.popleft()
        for at, other in recent:
            if (
                other.side is order.side
                and other.symbol == order.symbol
                and other.price == order.price
                and other.quantity == order.quantity
                and other.client_order_id != order.client_order_id
            ):
                age = (candidate.now - at) / MILLISECOND
                return Reject("duplicate", f"same as {age:g} ms ago", f"{self._window / MILLISECOND:g} ms")
        return None

    def record(self, candidate: Candidate) -> None:
        self._recent.append((candidate.now, candidate.order))

    def forget(self, client_order_id: str) -> None:
        """The order ended without being filled."""
        for entry in self._recent:
            if entry[1].client_order_id == client_order_id:
                self._recent.remove(entry)
                return


class SelfTrade:
    """`self-trade`: an order must not meet one of ours on the other side."""

    def check(self, candidate: Candidate) -> Reject | None:
        order, orders = candidate.order, candidate.orders
        buying = order.side is Side.Buy
        opposite = orders.sells if buying else orders.buys
        if not opposite:
            return None
        for own in opposite.values():
            price, theirs = order.price, own.order.price
            if price is None or theirs is None or (price >= theirs if buying else price <= theirs):
                return Reject(
                    "self-trade", str(price or "market"), f"own order {own.order.client_order_id} at {theirs}"
                )
        return None


class FanOut:
    """`fan-out`: how many orders one decision may lead to; not counted before the first decision is announced."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count: int | None = None

    def begin(self) -> None:
        """A new decision."""
        self._count = 0

    def check(self, candidate: Candidate) -> Reject | None:  # noqa: ARG002
        if self._count is None or self._count < self._limit:
            return None
        return Reject("fan-out", str(self._count + 1), str(self._limit))

    def record(self, candidate: Candidate) -> None:  # noqa: ARG002
        if self._count is not None:
            self._count += 1


class ExecutionThrottle:
    """`execution-throttle`: a strategy whose orders fill too often is suspended until a human releases it."""

    def __init__(self, per_minute: int) -> None:
        self._limit = per_minute
        self._fills: dict[str, deque[int]] = {}
        self.suspended: set[str] = set()

    def check(self, candidate: Candidate) -> Reject | None:
        if not self.suspended or candidate.order.strategy not in self.suspended:
            return None
        return Reject("execution-throttle", f"strategy {candidate.order.strategy or 'unnamed'}", f"{self._limit}/min")

    def count(self, strategy: str, at: int) -> None:
        """One more fill of a strategy at `at` (ns)."""
        fills = self._fills.setdefault(strategy, deque())
        fills.append(at)
        while fills[0] <= at - 60 * NANOSECONDS:
            fills.popleft()
        if len(fills) > self._limit:
            self.suspended.add(strategy)

    def release(self, strategy: str) -> None:
        """Let it trade again, with an empty count."""
        self.suspended.discard(strategy)
        self._fills.pop(strategy, None)


def _sane(value: object) -> bool:
    return isinstance(value, Decimal) and value.is_finite() and ZERO < value <= LARGEST


def _on_grid(value: Decimal, step: Decimal) -> bool:
    try:
        return not value % step
    except InvalidOperation:  # more steps than a Decimal of 28 digits can count
        return False
