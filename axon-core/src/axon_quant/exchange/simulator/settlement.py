"""What a fill does to an account: base against quote or, of a swap, what it realises; and the fee."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal

import attrs

from axon_quant.exchange.exact import ZERO, add, multiply
from axon_quant.exchange.simulator.account import Account, SimulatedFill, SimulatedOrder
from axon_quant.market.instrument import Instrument
from axon_quant.orders.types import Fill, Liquidity, OrderStatus, Side

_FEE_DIGITS = Decimal("0.00000001")


@attrs.frozen
class Fees:
    """Fractions of what is traded."""

    maker: Decimal
    taker: Decimal

    def rate(self, liquidity: Liquidity) -> Decimal:
        """The fraction for a fill."""
        return self.maker if liquidity is Liquidity.Maker else self.taker


def settle(
    account: Account,
    placed: SimulatedOrder,
    instrument: Instrument,
    fill: Fill,
    rate: Decimal,
    number: int,
    now: int,
    price: Callable[[str], Decimal | None],
) -> tuple[SimulatedFill, tuple[str, ...]]:
    """Book a fill as trade `number`; returns it and the assets whose balance changed."""
    order, value = placed.order, multiply(fill.price, fill.quantity)
    buys = order.side is Side.Buy
    fee, fee_asset = _fee(account, instrument, fill.quantity if buys else value, value, rate, buys=buys, price=price)
    if buys:
        account.release(placed, multiply(order.price or fill.price, fill.quantity))
        account.change(instrument.quote, value.copy_negate())
        account.change(instrument.base, fill.quantity)
    else:
        account.release(placed, fill.quantity)
        account.change(instrument.base, fill.quantity.copy_negate())
        account.change(instrument.quote, value)
    account.change(fee_asset, fee.copy_negate())
    booked = _book(account, placed, fill, number, now, fee, fee_asset)
    return booked, tuple(sorted({instrument.base, instrument.quote, fee_asset}))


def settle_swap(
    account: Account,
    placed: SimulatedOrder,
    instrument: Instrument,
    fill: Fill,
    rate: Decimal,
    number: int,
    now: int,
    price: Callable[[str], Decimal | None],
) -> tuple[SimulatedFill, tuple[str, ...]]:
    """The same of a swap: its position changes, and what was realised is the account's at once."""
    position = placed.position
    assert position is not None  # noqa: S101 - a swap's order has one
    value = position.worth(fill.price, fill.quantity)
    fee, fee_asset = _fee(account, instrument, value, value, rate, buys=False, price=price)
    realised = position.trade(placed.order.side, fill.price, fill.quantity)
    account.change(instrument.quote, realised)
    account.change(fee_asset, fee.copy_negate())
    booked = _book(account, placed, fill, number, now, fee, fee_asset, realised)
    return booked, tuple(sorted({instrument.quote, fee_asset}))


def _book(
    account: Account,
    placed: SimulatedOrder,
    fill: Fill,
    number: int,
    now: int,
    fee: Decimal,
    fee_asset: str,
    realised: Decimal = ZERO,
) -> SimulatedFill:
    order = placed.order
    booked = SimulatedFill(
        number,
        placed.venue_order_id,
        order.client_order_id,
        order.symbol,
        fill.price,
        fill.quantity,
        fee,
        fee_asset,
        fill.liquidity,
        now,
        realised,
    )
    placed.filled = add(placed.filled, fill.quantity)
    placed.value = add(placed.value, multiply(fill.price, fill.quantity))
    placed.fills.append(booked)
    account.fills.append(booked)
    placed.status = OrderStatus.PartiallyFilled if placed.remaining else OrderStatus.Filled
    if placed.status is OrderStatus.Filled:
        account.release(placed)
        account.open.pop(placed.venue_order_id, None)
    return booked


def _fee(
    account: Account,
    instrument: Instrument,
    received: Decimal,
    value: Decimal,
    rate: Decimal,
    *,
    buys: bool,
    price: Callable[[str], Decimal | None],
) -> tuple[Decimal, str]:
    """The fee, to eight digits: in what came in, or in the account's fee asset while it has enough of it."""
    third = account.fee_asset
    if third is not None:
        one = Decimal(1) if third == instrument.quote else price(f"{third}{instrument.quote}")
        one = one or price(f"{third}-{instrument.quote}")
        if one:
            fee = (multiply(value, rate) / one).quantize(_FEE_DIGITS, ROUND_DOWN)
            if fee <= account.free(third):
                return fee, third
    return multiply(received, rate).quantize(_FEE_DIGITS, ROUND_DOWN), instrument.base if buys else instrument.quote
