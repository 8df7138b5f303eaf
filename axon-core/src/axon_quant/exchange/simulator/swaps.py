"""Perpetual swaps at a simulated venue: margin, leverage, mark prices and funding. Linear, net positions only.

An order needs margin for what it would open beyond what it closes: its worth at its own price (a market order's: at the
mark) divided by the leverage. Older orders close first. What a position holds as margin moves with fills and leverage,
never with the mark; a new order may use what is free, less what cross positions have lost by the mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

import attrs

from axon_quant.clock import NANOSECONDS
from axon_quant.exchange.exact import ZERO, add, from_float, multiply, subtract
from axon_quant.exchange.primitives import FundingRate, MarginMode
from axon_quant.exchange.simulator.account import Account, SimulatedOrder
from axon_quant.exchange.simulator.positions import PositionCause, PositionEvent, SimulatedPosition
from axon_quant.exchange.simulator.refusals import FUNDS, Refusal, RefusedError
from axon_quant.market.instrument import Instrument, InstrumentKind
from axon_quant.market.types import Quote
from axon_quant.orders.types import Order

REDUCE_ONLY = "reduce-only:"
"""How the reason begins that a reduce-only order is refused, or ends, for."""
_FUNDING_DIGITS = Decimal("1e-8")


def _rate(_: object, attribute: attrs.Attribute[Decimal], value: Decimal) -> None:
    if not (value.is_finite() and abs(value) < 1):
        raise ValueError(f"{attribute.name} must be a fraction, got {value}")


@attrs.frozen
class SwapTerms:
    """What a venue's swaps have in common. Raises ValueError for numbers that cannot be.

    `leverage` is a position's until its account sets another, up to `max_leverage`. `funding_rate` of a position's
    value at the mark is paid by longs to shorts every `funding_every` seconds, at multiples of it by the venue's clock.
    A reduce-only order larger than its position becomes as large as that or, unless `clip_reduce_only`, is refused.
    """

    leverage: int = 3
    max_leverage: int = 100
    funding_rate: Decimal = attrs.field(default=Decimal("0.0001"), validator=_rate)
    funding_every: float = 28_800.0
    maintenance: Decimal = attrs.field(default=Decimal("0.004"), validator=_rate)
    clip_reduce_only: bool = True

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.leverage <= self.max_leverage:
            raise ValueError(f"leverage must lie in [1, {self.max_leverage}], got {self.leverage}")
        if not 0.001 <= self.funding_every < 1e9:
            raise ValueError(f"funding_every must lie in [0.001, 1e9) seconds, got {self.funding_every}")


class Swaps:
    """The swaps of every account. Marks and funding rates may be set; a mark that is not set is the mid."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        accounts: Mapping[str, Account],
        quotes: Mapping[str, Quote],
        terms: SwapTerms,
        price: Callable[[str], Decimal | None],
        now: Callable[[], int],
    ) -> None:
        self.instruments = {symbol: one for symbol, one in instruments.items() if one.kind is InstrumentKind.Swap}
        self.terms = terms
        self.marks: dict[str, Decimal] = {}
        self.rates = dict.fromkeys(self.instruments, terms.funding_rate)
        self._accounts = accounts
        self._quotes = quotes
        self._price = price
        self._now = now
        self._period = round(terms.funding_every * NANOSECONDS)
        self._next_funding = 0
        self._next_position = 1

    # Prices.

    def mark(self, symbol: str) -> Decimal | None:
        """What positions are valued at: what was set, else the mid, else the last price; None before any."""
        if symbol in self.marks:
            return self.marks[symbol]
        quote = self._quotes.get(symbol)
        return self._price(symbol) if quote is None else from_float(quote.mid)

    def set_mark(self, symbol: str, mark: Decimal | None) -> None:
        """From now on; None: the mid again. Raises ValueError for a price that is not positive."""
        if mark is None:
            self.marks.pop(symbol, None)
        elif mark.is_finite() and mark > 0:
            self.marks[symbol] = mark
        else:
            raise ValueError(f"a mark price must be positive, got {mark}")

    def unrealised(self, position: SimulatedPosition) -> Decimal:
        """What a position has won, or lost, by the mark."""
        mark = self.mark(position.symbol)
        return ZERO if mark is None or not position.quantity else position.unrealised(mark)

    def available(self, account: Account, asset: str) -> Decimal:
        """What a new order may use: what is free, less the unrealised losses of cross positions."""
        won = ZERO
        for position in account.positions.values():
            if position.asset == asset and position.mode is MarginMode.Cross:
                won = add(won, self.unrealised(position))
        return add(account.free(asset), min(won, ZERO))

    # Positions.

    def position(self, account: Account, symbol: str, mode: MarginMode | None = None) -> SimulatedPosition | None:
        """An account's position of a mode (None: the one it trades in), which may be zero; None for no swap."""
        instrument = self.instruments.get(symbol)
        if instrument is None:
            return None
        mode = account.margin_modes.get(symbol, MarginMode.Cross) if mode is None else mode
        position = account.positions.get((symbol, mode))
        if position is None:
            position = account.positions[symbol, mode] = SimulatedPosition(
                symbol, instrument.quote, mode, instrument.contract_size, self.terms.leverage
            )
        return position

    def set_leverage(self, account: Account, symbol: str, leverage: int, mode: MarginMode | None = None) -> None:
        """Of the position of a mode, None: of both. Raises RefusedError when there is not margin enough for it."""
        if not 1 <= leverage <= self.terms.max_leverage:
            raise RefusedError(Refusal.Leverage, f"leverage lies in [1, {self.terms.max_leverage}], not {leverage}")
        for each in MarginMode if mode is None else (mode,):
            position = self.position(account, symbol, each)
            if position is None:
                raise RefusedError(Refusal.Symbol, f"{symbol} is no swap")
            before, position.leverage = position.leverage, leverage
            self.rebalance(account, position)
            if leverage < before and self.available(account, position.asset) < 0:
                position.leverage = before
                self.rebalance(account, position)
                raise RefusedError(Refusal.Funds, f"{symbol}: not enough margin for a leverage of {leverage}")
            self._tell(account, position, "leverage")

    def set_margin_mode(self, account: Account, symbol: str, mode: MarginMode) -> None:
        """What orders that name no mode trade in. Raises RefusedError while a position or an open order is there."""
        if symbol not in self.instruments:
            raise RefusedError(Refusal.Symbol, f"{symbol} is no swap")
        held = any(one.quantity for (name, _), one in account.positions.items() if name == symbol)
        if held or account.open_for(symbol):
            raise RefusedError(Refusal.Position, f"{symbol} has a position or open orders")
        account.margin_modes[symbol] = mode

    # Orders.

    def admit(self, account: Account, placed: SimulatedOrder, order: Order, fee_rate: Decimal) -> str:
        """Hold the margin of an order; why there is not enough, or ""."""
        position = placed.position
        assert position is not None  # noqa: S101 - the caller has seen it
        placed.reference = order.price or self.mark(order.symbol) or ZERO
        account.release(placed)
        opens = dict(self._opening(account, position)).get(placed, ZERO)
        value = position.worth(placed.reference, opens)
        need = add(position.margin_of(value), max(ZERO, multiply(value, fee_rate)))
        available = self.available(account, position.asset)
        if opens and not need <= available:
            return f"{FUNDS} {opens:f} contracts need {need:f} {position.asset}, {available:f} is available"
        self.rebalance(account, position)
        return ""

    def reduced(self, placed: SimulatedOrder, quantity: Decimal) -> tuple[Decimal, str]:
        """How much of `quantity` a reduce-only order may have, and why nothing."""
        position = placed.position
        closable = ZERO if position is None else position.closable(placed.order.side)
        if not closable:
            return ZERO, f"{REDUCE_ONLY} there is no position to reduce"
        if quantity > closable and not self.terms.clip_reduce_only:
            return ZERO, f"{REDUCE_ONLY} {quantity:f} is more than the position of {closable:f}"
        return min(quantity, closable), ""

    def rebalance(self, account: Account, position: SimulatedPosition) -> None:
        """Hold what a position and its open orders need now, and no more."""
        locked = account.locked.get(position.asset, ZERO)
        margin = position.margin_of(position.cost)
        account.locked[position.asset] = add(locked, subtract(margin, position.margin))
        position.margin = margin
        for placed, opens in self._opening(account, position):
            need = position.margin_of(position.worth(placed.reference, opens))
            if need != placed.lock:
                account.release(placed)
                account.hold(placed, position.asset, need)

    def booked(self, position: SimulatedPosition, before: Decimal, realised: Decimal, fee: Decimal, at: int) -> None:
        """Sum up a fill; `before` is the quantity that there was."""
        after = position.quantity
        if not before or before * after < 0:  # a new one; what closing the old one realised was that one's
            position.realised = position.funding = position.fees = ZERO
            position.position_id, position.opened = self._next_position, at
            self._next_position += 1
        else:
            position.realised = add(position.realised, realised)
        position.fees = subtract(position.fees, fee)
        position.updated = at

    # Funding.

    def set_rate(self, symbol: str, rate: Decimal) -> None:
        """The funding rate from now on. Raises ValueError for what is no fraction."""
        if not (rate.is_finite() and abs(rate) < 1):
            raise ValueError(f"a funding rate must be a fraction, got {rate}")
        self.rates[symbol] = rate

    def funding(self, symbol: str) -> FundingRate:
        """The next one."""
        return FundingRate(symbol, self.rates[symbol], self._next_after(self._now()))

    def tick(self) -> None:
        """Pay what has fallen due; when several have, once."""
        now = self._now()
        if now < self._next_funding or not self.instruments:
            return
        due, self._next_funding = self._next_funding, self._next_after(now)
        if due:
            for symbol in self.instruments:
                self.pay(symbol)

    def pay(self, symbol: str) -> None:
        """Pay a swap's funding now."""
        mark, rate = self.mark(symbol), self.rates[symbol]
        if mark is None:
            return
        for account in self._accounts.values():
            for position in list(account.positions.values()):
                if position.symbol == symbol and position.quantity:
                    due = multiply(position.worth(mark, position.quantity), rate)
                    amount = due.copy_negate().quantize(_FUNDING_DIGITS)
                    account.change(position.asset, amount)
                    position.funding = add(position.funding, amount)
                    account.funding.append(self._tell(account, position, "funding", amount, rate))

    # Inside.

    def _next_after(self, now: int) -> int:
        return (now // self._period + 1) * self._period

    def _opening(self, account: Account, position: SimulatedPosition) -> Iterator[tuple[SimulatedOrder, Decimal]]:
        """The open orders of a position, and how many contracts of each would open; older ones close first."""
        closable: dict[object, Decimal] = {}
        for placed in account.open.values():
            if placed.position is position and not placed.waiting:
                side = placed.order.side
                left = closable.setdefault(side, position.closable(side))
                closes = min(left, placed.remaining)
                closable[side] = subtract(left, closes)
                yield placed, subtract(placed.remaining, closes)

    def _tell(
        self,
        account: Account,
        position: SimulatedPosition,
        cause: PositionCause,
        amount: Decimal = ZERO,
        rate: Decimal = ZERO,
    ) -> PositionEvent:
        position.updated = self._now()
        event = PositionEvent(account.next_sequence(), cause, position, position.asset, amount, rate, position.updated)
        account.tell(event)
        return event
