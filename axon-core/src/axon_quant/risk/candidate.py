"""An order under check, with what the controls need to know about it."""

from __future__ import annotations

from decimal import Decimal

from axon_quant.clock import MILLISECOND
from axon_quant.events import Reject
from axon_quant.market.instrument import Instrument, InstrumentKind
from axon_quant.orders.types import Order, Side
from axon_quant.risk.reservations import OpenOrders
from axon_quant.risk.types import Prices

ZERO = Decimal(0)
ONE = Decimal(1)


class Candidate:
    """One order under check with what the controls need to know about it, computed once.

    `price` is the limit price, or the reference for a market order. `reach` is the position this order can lead to in
    its own direction once it and every open order on its side are filled, and `value` that at the reference; `opening`
    is the part of its quantity that goes beyond a flat position, and `opens` whether there is any. It will hold
    `held` of `asset`, at most `unit` for each base unit that remains: the quote asset at price × `cost` for what it
    opens, or, of spot without `allow_short`, what a sell takes of the base asset. `quantity` is in base units.
    """

    __slots__ = (
        "asset",
        "equity",
        "held",
        "instrument",
        "notional",
        "now",
        "opening",
        "opens",
        "order",
        "orders",
        "position",
        "price",
        "quantity",
        "reach",
        "reference",
        "unit",
        "value",
    )

    def __init__(
        self,
        order: Order,
        instrument: Instrument,
        now: int,
        reference: Decimal,
        equity: Decimal,
        position: Decimal,
        orders: OpenOrders,
        cost: Decimal,
        allow_short: bool,
    ) -> None:
        self.order = order
        self.instrument = instrument
        self.now = now
        self.reference = reference
        self.equity = equity
        self.position = position
        self.orders = orders
        self.price = reference if order.price is None else order.price
        self.quantity = quantity = instrument.in_base(order.quantity)
        self.notional = self.price * quantity
        reach = position + orders.buying if order.side is Side.Buy else orders.selling - position
        self.reach = reach = reach + quantity
        self.opens = opens = reach > ZERO
        self.value = reach * reference
        self.opening = (reach if reach < quantity else quantity) if opens else ZERO
        if allow_short or order.side is Side.Buy or instrument.kind is InstrumentKind.Swap:
            self.asset, self.unit = instrument.quote, self.price * cost
            self.held = self.opening * self.unit
        else:
            self.asset, self.unit, self.held = instrument.base, ONE, quantity


class Valuation:
    """`stale-reference`: prices as Decimals, converted once per change, with the control over their age."""

    def __init__(self, prices: Prices, max_age_ms: float) -> None:
        self._reference = prices.reference
        self._max_age = int(max_age_ms * MILLISECOND)
        self._known: dict[str, tuple[float, Decimal]] = {}

    def reference(self, symbol: str) -> tuple[Decimal, int] | None:
        """(price, received), or None for a price that is missing, not positive or not finite."""
        found = self._reference(symbol)
        if found is None:
            return None
        price, received = found
        known = self._known.get(symbol)
        if known is not None and known[0] == price:
            return known[1], received
        if not 0.0 < price <= 1e18:
            return None
        exact = Decimal(repr(price))
        self._known[symbol] = (price, exact)
        return exact, received

    def check(self, symbol: str, now: int) -> Reject | Decimal:
        """The reference price, or why there is none to rely on."""
        found = self.reference(symbol)
        if found is None:
            return Reject("stale-reference", f"{symbol} has no price", f"{self._max_age / MILLISECOND:g} ms")
        price, received = found
        if now - received <= self._max_age:
            return price
        age = (now - received) / MILLISECOND
        return Reject("stale-reference", f"{age:g} ms", f"{self._max_age / MILLISECOND:g} ms")
