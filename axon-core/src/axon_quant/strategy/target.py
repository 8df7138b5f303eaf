"""The built-in strategy: hold a fixed fraction of equity while the model says so."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from math import inf

from axon_quant.clock import MILLISECOND
from axon_quant.errors import ConfigError, OrderValueError
from axon_quant.inference.action import Action
from axon_quant.market.types import Quote
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Cancel, Order, OrderType, Side, TimeInForce, exact
from axon_quant.strategy.base import Context, Strategy

_SIDES = {"buy": Side.Buy, "sell": Side.Sell, "hold": None}


class TargetPosition(Strategy):
    """Moves the position to +`target` × equity on buy, to its opposite (or flat) on sell, nowhere (or flat) on hold.

    One order works per symbol at a time: a limit at the near side of the touch, `post_only` if asked; or, with
    `aggressive`, or with `escalate` once a passive one has waited in vain, an immediate-or-cancel limit at the far
    side. It is cancelled once it is older than `order_lifetime_ms`, when the action contradicts it, or, with
    `follow_touch`, when the touch has moved away. An order is never larger than `clip` targets, so a reversal goes
    through flat. On a buy nothing is sold and on a sell nothing is bought. At most one message per symbol leaves
    every `message_interval_ms`; the default is a little under a decision interval of 100 ms, so that jitter costs no
    turn.

    `target` is a fraction of equity in (0, 1], `clip` a fraction of the target in (0, 1]; durations are in
    milliseconds of market time. Raises ConfigError for options that cannot be, and for an action that is not buy,
    sell or hold.
    """

    def __init__(
        self,
        target: Decimal | float | str = Decimal("0.01"),
        allow_short: bool = False,
        flat_on_hold: bool = False,
        clip: Decimal | float | str = Decimal(1),
        order_lifetime_ms: float = 1_500,
        aggressive: bool = False,
        escalate: bool = False,
        post_only: bool = False,
        follow_touch: bool = False,
        message_interval_ms: float = 90,
    ) -> None:
        self.target = _fraction(target, "target is a fraction of equity")
        self.clip = _fraction(clip, "clip is a fraction of the target")
        if not 0 < order_lifetime_ms < inf:
            raise ConfigError(f"order_lifetime_ms must be positive, got {order_lifetime_ms}")
        if not 0 <= message_interval_ms < inf:
            raise ConfigError(f"message_interval_ms must not be negative, got {message_interval_ms}")
        if post_only and (aggressive or escalate):
            raise ConfigError("an order that crosses takes and a post_only order never does: choose one")
        self.allow_short = allow_short
        self.flat_on_hold = flat_on_hold
        self.aggressive = aggressive
        self.escalate = escalate
        self.post_only = post_only
        self.follow_touch = follow_touch
        self._fraction = float(self.target)
        self._lifetime = int(order_lifetime_ms * MILLISECOND)
        self._interval = int(message_interval_ms * MILLISECOND)
        self._next: dict[str, int] = {}
        self._waited: dict[str, Side] = {}

    def on_decision(self, ctx: Context, action: Action) -> Iterable[Order | Cancel]:
        """At most one order or cancel."""
        try:
            side = _SIDES[action.name]
        except KeyError:
            raise ConfigError(f"TargetPosition understands buy, sell and hold, not {action.name!r}") from None
        symbol = ctx.symbol
        flat = side is None or (side is Side.Sell and not self.allow_short)
        if side is None and self.flat_on_hold:
            side = _closing(ctx.position(symbol))
        working = ctx.open_orders(symbol)
        if not working and side is None:
            return ()
        now = ctx.now
        if now < self._next.get(symbol, 0):
            return ()
        quote = ctx.quote(symbol)
        message: Order | Cancel | None
        if working:
            message = self._cancel(working, side, quote, now)
        elif side is None:
            return ()
        else:
            message = self._order(ctx, side, quote, flat=flat)
        if message is None:
            return ()
        self._next[symbol] = now + self._interval
        return (message,)

    def _cancel(self, working: list[OrderState], side: Side | None, quote: Quote | None, now: int) -> Cancel | None:
        """A cancel for the first working order that has to go, if any has."""
        for state in working:
            if state.cancel_requested:
                continue
            order = state.order
            expired = now - state.created_at >= self._lifetime
            contradicted = side is not None and order.side is not side
            if expired and self.escalate:
                self._waited[order.symbol] = order.side
            if expired or contradicted or (self.follow_touch and self._left_behind(order, quote)):
                return Cancel(order.symbol, order.client_order_id)
        return None

    def _left_behind(self, order: Order, quote: Quote | None) -> bool:
        return quote is not None and order.price is not None and float(order.price) != _touch(order.side, quote, False)

    def _order(self, ctx: Context, side: Side, quote: Quote | None, *, flat: bool) -> Order | None:
        """The order that closes what is missing to the target (or to flat), if that is enough to trade."""
        symbol = ctx.symbol
        crosses = self.aggressive or self._waited.pop(symbol, None) is side
        # Bars and trades alone have no touch: their last price stands for it.
        touch = _touch(side, quote, crosses) if quote is not None else ctx.reference_price(symbol) or 0.0
        if not 0.0 < touch < inf:
            return None
        equity, position, instrument = ctx.equity, ctx.position(symbol), ctx.instrument(symbol)
        if not equity > 0:
            return None
        # Most decisions find the position where it should be: floats say so ten times faster, with a margin to spare.
        aim = 0.0 if flat else self._fraction * float(equity)
        missing = aim - side.sign * float(position) * touch
        if missing < float(instrument.min_notional) * (1 - 1e-9) or missing <= 0.0:
            return None
        price = instrument.round_price(touch)
        whole = self.target * equity / price
        wanted = (Decimal(0) if flat else whole) - side.sign * position
        quantity = instrument.round_quantity(min(wanted, whole * self.clip) / instrument.contract_size)
        if not quantity > 0 or instrument.in_base(quantity) * price < instrument.min_notional:
            return None
        return Order(
            symbol,
            side,
            OrderType.Limit,
            price,
            quantity,
            time_in_force=TimeInForce.IOC if crosses else TimeInForce.GTC,
            post_only=self.post_only,
            strategy="target-position",
        )


def _touch(side: Side, quote: Quote, crosses: bool) -> float:
    return quote.bid if (side is Side.Buy) is not crosses else quote.ask


def _closing(position: Decimal) -> Side | None:
    """The side that brings a position to flat."""
    if not position:
        return None
    return Side.Sell if position > 0 else Side.Buy


def _fraction(value: Decimal | float | str, what: str) -> Decimal:
    try:
        fraction = exact(value, what="it")
    except OrderValueError as error:
        raise ConfigError(f"{what} in (0, 1]: {error.message}") from None
    if not fraction <= 1:
        raise ConfigError(f"{what} in (0, 1], got {value}")
    return fraction
