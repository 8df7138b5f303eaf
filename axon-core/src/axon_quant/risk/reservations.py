"""The share of the limits that each checked order holds until it is over."""

from __future__ import annotations

from decimal import Decimal

from axon_quant.orders.types import Order, OrderUpdate, Side

ZERO = Decimal(0)
ONE = Decimal(1)
REMEMBERED_IDS = 100_000


class Reservation:
    """One order's share: `remaining` base units, and `held` of `asset` (at most `unit` per quantity remaining).

    It ends with the order. Fills that the venue has counted but not yet reported one by one stay reserved, because
    the position does not have them either.
    """

    __slots__ = ("asset", "expires", "filled", "held", "order", "over", "remaining", "seen", "sent", "size", "unit")

    def __init__(self, order: Order, asset: str, unit: Decimal, held: Decimal, expires: int, size: Decimal) -> None:
        self.order = order
        self.asset = asset
        self.unit = unit
        self.held = held
        self.expires = expires
        self.size = size  # of a contract
        self.remaining = order.quantity * size
        self.filled = ZERO
        self.seen: set[str] = set()
        self.sent = False
        self.over = False


class OpenOrders:
    """The reservations of one symbol: `buying` and `selling` are the base units that can still fill."""

    __slots__ = ("buying", "buys", "selling", "sells")

    def __init__(self) -> None:
        self.buying = ZERO
        self.selling = ZERO
        self.buys: dict[str, Reservation] = {}
        self.sells: dict[str, Reservation] = {}

    def __len__(self) -> int:
        return len(self.buys) + len(self.sells)


class Reservations:
    """Every reservation by client order id, with their sums by symbol and asset kept up to date.

    `ttl` (ns) is how long one holds without having been sent, or waits for fills that were announced.
    """

    def __init__(self, ttl: int) -> None:
        self._ttl = ttl
        self._all: dict[str, Reservation] = {}
        self._symbols: dict[str, OpenOrders] = {}
        self._assets: dict[str, Decimal] = {}
        self._expiring: dict[str, Reservation] = {}
        self._used: dict[str, None] = {}

    def get(self, client_order_id: str) -> Reservation | None:
        """The reservation under a client order id, or None."""
        return self._all.get(client_order_id)

    def open(self, symbol: str) -> OpenOrders:
        """The sums and reservations of one symbol."""
        orders = self._symbols.get(symbol)
        if orders is None:
            orders = self._symbols[symbol] = OpenOrders()
        return orders

    def held(self, asset: str) -> Decimal:
        """What the open orders hold of one asset."""
        return self._assets.get(asset, ZERO)

    def was_used(self, client_order_id: str) -> bool:
        """Whether an order with this id was reserved before, as far as memory reaches."""
        return client_order_id in self._used

    def add(
        self, order: Order, *, asset: str, unit: Decimal, held: Decimal, now: int, size: Decimal = ONE
    ) -> Reservation:
        """Reserve an order that has just passed, whose quantity is of `size` base units each."""
        client_order_id = order.client_order_id
        reservation = Reservation(order, asset, unit, held, now + self._ttl, size)
        self._all[client_order_id] = self._expiring[client_order_id] = reservation
        orders = self.open(order.symbol)
        if order.side is Side.Buy:
            orders.buys[client_order_id] = reservation
            orders.buying += reservation.remaining
        else:
            orders.sells[client_order_id] = reservation
            orders.selling += reservation.remaining
        self._assets[asset] = self._assets.get(asset, ZERO) + held
        self._used[client_order_id] = None
        if len(self._used) > REMEMBERED_IDS:
            del self._used[next(iter(self._used))]
        return reservation

    def adopt(
        self,
        order: Order,
        *,
        asset: str,
        unit: Decimal,
        held: Decimal,
        filled: Decimal,
        now: int,
        size: Decimal = ONE,
    ) -> None:
        """Reserve an order that is at the venue already, of which `filled` is in the position."""
        reservation = self.add(order, asset=asset, unit=unit, held=held, now=now, size=size)
        reservation.filled = filled * size
        self._shrink(reservation, reservation.remaining - reservation.filled)
        self.sent(order.client_order_id)

    def sent(self, client_order_id: str) -> None:
        """The order left: from here on only the venue ends its reservation."""
        reservation = self._all.get(client_order_id)
        if reservation is not None and not reservation.over:
            reservation.sent = True
            self._expiring.pop(client_order_id, None)

    def update(self, update: OrderUpdate) -> Reservation | None:
        """Follow one report of the venue; a repeated one changes nothing.

        Returns the reservation when the report brought a fill not seen before.
        """
        client_order_id = update.client_order_id
        reservation = self._all.get(client_order_id)
        if reservation is None:
            return None
        self.sent(client_order_id)
        fill = update.fill
        fresh = fill is not None and fill.fill_id not in reservation.seen
        if fill is not None and fresh:
            reservation.seen.add(fill.fill_id)
            quantity = fill.quantity * reservation.size
            reservation.filled += quantity
            self._shrink(reservation, reservation.remaining - quantity)
        if reservation.over or update.status.is_terminal:
            announced = update.filled_quantity * reservation.size - reservation.filled
            self._shrink(reservation, min(announced, reservation.remaining))
            self._end(client_order_id, reservation, update.at)
        return reservation if fresh else None

    def expire(self, now: int) -> None:
        """End the reservations that were never sent in time."""
        while self._expiring:
            client_order_id, reservation = next(iter(self._expiring.items()))
            if now < reservation.expires:
                return
            self.release(client_order_id)

    def release(self, client_order_id: str) -> None:
        """Give everything back that an order holds, and forget that its id was used."""
        reservation = self._all.get(client_order_id)
        if reservation is not None:
            if not reservation.sent:
                self._used.pop(client_order_id, None)
            self._shrink(reservation, ZERO)
            self._forget(client_order_id, reservation)

    def _shrink(self, reservation: Reservation, remaining: Decimal) -> None:
        remaining = max(remaining, ZERO)
        released = reservation.remaining - remaining
        reservation.remaining = remaining
        orders = self._symbols[reservation.order.symbol]
        if reservation.order.side is Side.Buy:
            orders.buying -= released
        else:
            orders.selling -= released
        held = min(reservation.held, remaining * reservation.unit)
        self._assets[reservation.asset] -= reservation.held - held
        reservation.held = held

    def _end(self, client_order_id: str, reservation: Reservation, now: int) -> None:
        if reservation.remaining:
            if not reservation.over:
                reservation.over = True
                reservation.expires = now + self._ttl
                self._expiring[client_order_id] = reservation
        else:
            self._forget(client_order_id, reservation)

    def _forget(self, client_order_id: str, reservation: Reservation) -> None:
        del self._all[client_order_id]
        self._expiring.pop(client_order_id, None)
        orders = self._symbols[reservation.order.symbol]
        (orders.buys if reservation.order.side is Side.Buy else orders.sells).pop(client_order_id, None)
