"""What a client asks for, as an order of axon's: names, amounts, grids and limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from axon_exchange_okx.simulator import errors
from axon_exchange_okx.simulator.errors import OkxError
from axon_exchange_okx.simulator.market_messages import MOST_LIMIT_VALUE, MOST_MARKET_VALUE
from axon_exchange_okx.simulator.numbers import number
from axon_quant.exchange.exact import multiply, remainder
from axon_quant.exchange.primitives import MarginMode
from axon_quant.exchange.simulator import Account, SimulatedExchange
from axon_quant.market.instrument import Instrument, InstrumentKind
from axon_quant.orders.types import Order, OrderType, Side, TimeInForce

_CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_TAG = re.compile(r"[A-Za-z0-9]{0,16}")
_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_TYPES = {
    "limit": (OrderType.Limit, TimeInForce.GTC),
    "post_only": (OrderType.Limit, TimeInForce.GTC),
    "ioc": (OrderType.Limit, TimeInForce.IOC),
    "fok": (OrderType.Limit, TimeInForce.FOK),
    "market": (OrderType.Market, TimeInForce.GTC),
}
Given = Mapping[str, Any]


class Terms:
    """Reads what is asked for. Raises OkxError for what OKX would not take."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self._exchange = exchange
        self._names = 0
        self.codes = {symbol: code for code, symbol in enumerate(exchange.instruments, start=1)}
        self._symbols = {str(code): symbol for symbol, code in self.codes.items()}

    def symbol(self, given: Given) -> str:
        """The instrument that is meant, known or not."""
        return text(given, "instId") or self._symbols.get(text(given, "instIdCode"), "")

    def instrument(self, given: Given) -> Instrument:
        """The instrument that is meant."""
        found = self._exchange.instruments.get(self.symbol(given))
        if found is None:
            raise OkxError(errors.NO_INSTRUMENT)
        return found

    def order(self, account: Account, given: Given, *, name: str = "clOrdId") -> tuple[Order, dict[str, object]]:
        """The order, and what its messages say beside it. `name` is where its client order id stands."""
        instrument = self.instrument(given)
        kind = _TYPES.get(text(given, "ordType"))
        if kind is None:
            raise errors.parameter("ordType")
        if text(given, "side") not in ("buy", "sell"):
            raise errors.parameter("side")
        swap = self.margin_mode(given) is not None
        if text(given, "stpMode") not in ("", "cancel_maker") or given.get("attachAlgoOrds"):
            raise errors.parameter("stpMode" if given.get("stpMode") else "attachAlgoOrds")
        if not _TAG.fullmatch(text(given, "tag")):
            raise errors.parameter("tag")
        side, asked = Side(text(given, "side")), amount(given, "sz")
        says: dict[str, object] = {"tag": text(given, "tag")}
        price, quantity = None, asked
        if kind[0] is OrderType.Limit:
            if not text(given, "px"):
                raise OkxError(errors.NO_PRICE)
            price = amount(given, "px")
        elif not swap:
            target = text(given, "tgtCcy") or ("quote_ccy" if side is Side.Buy else "base_ccy")
            if target not in ("base_ccy", "quote_ccy"):
                raise errors.parameter("tgtCcy")
            says |= {"tgtCcy": target, "sz": number(asked)}
            if target == "quote_ccy":
                quantity = self._exchange.quantity_worth(account, instrument.symbol, side, asked)
        self.check(instrument, price, quantity, side)
        return Order(
            instrument.symbol,
            side,
            kind[0],
            price,
            quantity,
            time_in_force=kind[1],
            post_only=text(given, "ordType") == "post_only",
            reduce_only=swap and text(given, "reduceOnly").lower() == "true",
            client_order_id=self.client_id(given, name),
        ), says

    def margin_mode(self, given: Given) -> MarginMode | None:
        """A swap's; None for spot, which is paid in cash. Raises OkxError for what cannot be."""
        mode = text(given, "tdMode")
        if self.instrument(given).kind is InstrumentKind.Spot:
            if mode != "cash":
                raise OkxError(errors.WRONG_MODE)
            return None
        if mode not in ("cross", "isolated"):
            raise errors.parameter("tdMode")
        if text(given, "posSide") not in ("", "net"):
            raise errors.parameter("posSide")
        return MarginMode(mode)

    def client_id(self, given: Given, name: str) -> str:
        """What the client calls it, or a name of the venue's, which has a hyphen."""
        said = text(given, name)
        if not said:
            self._names += 1
            return f"venue-{self._names}"
        if not _CLIENT_ID.fullmatch(said):
            raise errors.parameter(name)
        return said

    def check(self, instrument: Instrument, price: Decimal | None, quantity: Decimal, side: Side) -> None:
        """Grid and limits. `price` is None for a market order."""
        if not quantity > 0 or (instrument.min_quantity is not None and quantity < instrument.min_quantity):
            raise OkxError(errors.TOO_SMALL)
        if remainder(quantity, instrument.lot_size):
            raise OkxError(errors.OFF_LOT)
        last = self._exchange.price(instrument.symbol)
        units = multiply(quantity, instrument.contract_size)
        if price is None:
            if instrument.kind is InstrumentKind.Swap:
                if instrument.market_max_quantity is not None and quantity > instrument.market_max_quantity:
                    raise OkxError(errors.MARKET_TOO_LARGE)
            elif last is not None and multiply(last, units) > MOST_MARKET_VALUE:
                raise errors.too_valuable(number(MOST_MARKET_VALUE), market=True)
            return
        self._check_price(instrument, price, last, side)
        if instrument.max_quantity is not None and quantity > instrument.max_quantity:
            raise errors.too_large(number(instrument.max_quantity))
        if multiply(price, units) > MOST_LIMIT_VALUE:
            raise errors.too_valuable(number(MOST_LIMIT_VALUE), market=False)

    @staticmethod
    def _check_price(instrument: Instrument, price: Decimal, last: Decimal | None, side: Side) -> None:
        low, high = instrument.percent_price or (Decimal(0), Decimal("Infinity"))
        lowest, highest = (low * last, high * last) if last is not None else (Decimal(0), Decimal("Infinity"))
        beyond = price > highest if side is Side.Buy else price < lowest
        if beyond or remainder(price, instrument.tick_size):
            raise errors.outside_limits(number(highest), number(lowest))


def paid_with(instrument: Instrument, side: Side) -> str:
    """The asset that an order needs."""
    return instrument.quote if side is Side.Buy or instrument.kind is InstrumentKind.Swap else instrument.base


def text(given: Given, name: str) -> str:
    """A parameter as a text; "" when it is not there."""
    value = given.get(name)
    return "" if value is None or isinstance(value, (dict, list)) else str(value)


def amount(given: Given, name: str) -> Decimal:
    """A positive number."""
    said = text(given, name)
    if not said:
        raise errors.missing(name)
    if not _NUMBER.fullmatch(said) or not Decimal(said) > 0:
        raise errors.parameter(name)
    return Decimal(said)


def whole(given: Given, name: str, otherwise: int) -> int:
    """A whole number."""
    said = text(given, name)
    if said and not (said.isascii() and said.isdigit() and len(said) < 20):
        raise errors.parameter(name)
    return int(said) if said else otherwise
