"""The account as the strategy and the risk engine see it: exact, and valued only when somebody asks.

    equity = cash + Σ position × mark = initial + realised + unrealised − fees          (to the last digit)

A fee in the quote asset is taken from the cash. A fee in any other asset is a holding that is sold at the price of the
moment to pay it: the fill's price for the base asset, the mark for a third one. A third asset without a mark is kept
as an unvalued fee until it gets one. Holdings that exist before the first fill count from their first price.

A perpetual swap is not paid for. Its position is in base units, whatever a contract is, and closes at its mean price,
as at the venue; `cash` of the quote asset is then the wallet, which gains what closed lots realised and pays the fees,
and `equity` is the wallet plus `unrealised`. A position that was there before the first fill has the venue's entry
price: `realised` and `unrealised` count from it, `initial` and `pnl` from its first price, and `carried` is what lies
between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import inf

from msgspec import Struct

from axon_quant.clock import NANOSECONDS
from axon_quant.errors import ConfigError, MarketDataError, OrderValueError, UnknownSymbolError
from axon_quant.market.instrument import Instrument, InstrumentKind
from axon_quant.orders.types import Fill, to_decimal
from axon_quant.portfolio.lots import EXACT, ZERO, AveragedLots, Lots

DAY = 86_400 * NANOSECONDS
TWO = Decimal(2)
FILL_MEMORY = 100_000
"""How many fill ids are remembered against a repeated report."""


class PortfolioSnapshot(Struct, frozen=True):
    """Everything a portfolio knows; msgspec encodes it to JSON and back without loss."""

    quote_asset: str
    symbols: list[str]
    initial: Decimal
    cash: Decimal
    realised: Decimal
    fees: Decimal
    fees_by_asset: dict[str, Decimal]
    unvalued_fees: dict[str, Decimal]
    opening: dict[str, Decimal]
    lots: dict[str, list[tuple[Decimal, Decimal]]]
    marks: dict[str, float]
    fill_keys: list[tuple[str, str, str]]
    day: int
    day_equity: Decimal
    realised_by: dict[str, Decimal] = {}
    entries: dict[str, Decimal] = {}
    carried: dict[str, Decimal] = {}


class Portfolio:
    """Positions, cash, fees, PnL and equity of one account in one quote asset.

    `balances` maps assets to quantities, `positions` swaps to (base units, entry price); `quote_asset` defaults to the
    one that all instruments share. Raises ConfigError when they are quoted in different assets, UnknownSymbolError for
    a position of what is no swap. Money is Decimal; marks are float64 and enter exactly through their shortest repr.
    """

    def __init__(
        self,
        balances: Mapping[str, Decimal | float | int | str],
        instruments: Iterable[Instrument],
        *,
        quote_asset: str | None = None,
        positions: Mapping[str, tuple[Decimal, Decimal]] | None = None,
    ) -> None:
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self.quote_asset = _quote_asset(self._instruments.values(), quote_asset)
        self._symbol_of: dict[str, str] = {}
        for instrument in self._instruments.values():
            if instrument.kind is InstrumentKind.Spot:
                self._symbol_of.setdefault(instrument.base, instrument.symbol)
        self._swaps = frozenset(one.symbol for one in self._instruments.values() if one.kind is InstrumentKind.Swap)
        self._lots = {symbol: self._new_lots(symbol) for symbol in self._instruments}
        self._marks: dict[str, float] = {}
        self._exact_marks: dict[str, tuple[float, Decimal]] = {}
        self._opening: dict[str, Decimal] = {}
        self._entries: dict[str, Decimal] = {}
        self._carried: dict[str, Decimal] = {}
        self._unpriced: set[str] = set()
        self._cash = self._initial = ZERO
        self._realised = self._fees = ZERO
        self._realised_by: dict[str, Decimal] = {}
        self._fees_by_asset: dict[str, Decimal] = {}
        self._unvalued_fees: dict[str, Decimal] = {}
        self._fill_keys: dict[tuple[str, str, str], None] = {}
        self._day = -1
        self._day_equity = ZERO
        for asset, balance in balances.items():
            self._open(asset, to_decimal(balance))
        for symbol, (quantity, entry) in (positions or {}).items():
            self._open_position(symbol, quantity, entry)
        self._day_equity = self.equity

    # What happens to the account

    def apply_fill(self, fill: Fill) -> bool:
        """Book one fill; False when it was booked before.

        Raises UnknownSymbolError without an instrument, and OrderValueError for a price, quantity or fee that cannot
        be; nothing is changed then.
        """
        instrument = self._instruments.get(fill.symbol)
        if instrument is None:
            raise UnknownSymbolError("a fill for a symbol the portfolio has no instrument for", symbol=fill.symbol)
        _check(fill)
        # A venue numbers trades per symbol, and a trade with ourselves has one number for both sides.
        key = (fill.symbol, fill.side.value, fill.fill_id)
        if key in self._fill_keys:
            return False
        self._remember(key)
        self.roll_day(fill.at)
        if fill.symbol in self._unpriced:
            self._settle(fill.symbol, fill.price)
        quantity = instrument.in_base(fill.quantity)
        signed = quantity if fill.side.sign > 0 else EXACT.minus(quantity)
        self._realise(fill.symbol, self._lots[fill.symbol].trade(signed, fill.price))
        self._cash = EXACT.subtract(self._cash, EXACT.multiply(signed, fill.price))
        self._marks.setdefault(fill.symbol, float(fill.price))
        if fill.fee:
            self._charge(fill, instrument)
        return True

    def mark(self, symbol: str, price: float) -> None:
        """The present price of a symbol, or of a third asset in the quote asset. Only stored; valued when asked.

        Raises MarketDataError for a price that is not positive and finite.
        """
        if not 0.0 < price < inf:
            raise MarketDataError(f"a mark must be a positive finite price, got {price!r}", symbol=symbol)
        self._marks[symbol] = price
        if self._unpriced and symbol in self._unpriced:
            self._settle(symbol, Decimal(repr(price)))

    def roll_day(self, now: int) -> Decimal | None:
        """Begin a new UTC day at `now` (ns) if one has begun; returns the PnL of the day that ended, else None."""
        day = now // DAY
        if day <= self._day:
            return None
        equity = self.equity
        ended = None if self._day < 0 else EXACT.subtract(equity, self._day_equity)
        self._day, self._day_equity = day, equity
        return ended

    # What the account is worth

    def position(self, symbol: str) -> Decimal:
        """Signed position in base units. Raises UnknownSymbolError without an instrument."""
        lots = self._lots.get(symbol)
        if lots is None or symbol not in self._instruments:
            raise UnknownSymbolError("the portfolio has no instrument for this symbol", symbol=symbol)
        return EXACT.add(lots.quantity, self._opening[symbol]) if symbol in self._opening else lots.quantity

    @property
    def positions(self) -> dict[str, Decimal]:
        """The positions that are not zero, by symbol."""
        held = {symbol: self.position(symbol) for symbol in self._instruments}
        return {symbol: quantity for symbol, quantity in held.items() if quantity}

    def average_price(self, symbol: str) -> Decimal | None:
        """Mean entry price of the open lots, to 28 digits; None when flat."""
        self.position(symbol)
        return self._lots[symbol].average_price

    def dust(self, symbol: str) -> Decimal:
        """The part of the position below one lot, which no order can close; it has the position's sign."""
        instrument = self._instruments[symbol]
        return self.position(symbol) % instrument.in_base(instrument.lot_size)

    def cash(self, asset: str) -> Decimal:
        """What the account owns of one asset, of the quote asset of swaps the wallet; negative when it owes."""
        if asset == self.quote_asset:
            return self._wallet() if self._swaps else self._cash
        owned = [
            self.position(symbol)
            for symbol, spec in self._instruments.items()
            if spec.base == asset and symbol not in self._swaps
        ]
        if not owned:
            owned = [self._lots[asset].quantity] if asset in self._lots else []
            owned.append(self._opening.get(asset, ZERO))
        total = EXACT.minus(self._unvalued_fees.get(asset, ZERO))
        for quantity in owned:
            total = EXACT.add(total, quantity)
        return total

    def available(self, asset: str) -> Decimal:
        """What can be spent of one asset, before open orders; never negative.

        Of the quote asset neither the proceeds of a short position nor as much again as its collateral are available.
        """
        if asset == self.quote_asset:
            total = self._cash
            for symbol in self._instruments:
                cost = self._lots[symbol].cost
                if cost < ZERO:
                    total = EXACT.fma(cost, TWO, total)
        else:
            total = self.cash(asset)
        return total if total > ZERO else ZERO

    @property
    def initial(self) -> Decimal:
        """Equity at the start; an opening holding counts from its first price."""
        return self._initial

    @property
    def realised(self) -> Decimal:
        """PnL of closed lots before fees."""
        return self._realised

    @property
    def unrealised(self) -> Decimal:
        """PnL of open lots at the marks."""
        total = ZERO
        for key, lots in self._lots.items():
            if lots.quantity:
                value = EXACT.multiply(lots.quantity, self._exact_mark(key))
                total = EXACT.add(total, EXACT.subtract(value, lots.cost))
        return total

    def symbol_pnl(self, symbol: str) -> Decimal:
        """What a symbol has brought since the start, realised and unrealised, before fees: over all, `pnl` + `fees`.

        Raises UnknownSymbolError without an instrument.
        """
        self.position(symbol)
        lots, profit = self._lots[symbol], self._realised_by.get(symbol, ZERO)
        if symbol in self._carried:
            profit = EXACT.subtract(profit, self._carried[symbol])
        if lots.quantity:
            profit = EXACT.add(profit, EXACT.fma(lots.quantity, self._exact_mark(symbol), EXACT.minus(lots.cost)))
        return profit

    @property
    def carried(self) -> Decimal:
        """What positions had won, or lost, when they got their first price; it lies before `initial`."""
        return sum(self._carried.values(), ZERO)

    @property
    def fees(self) -> Decimal:
        """Fees in the quote asset, those in other assets at the price of the moment; without the unvalued ones."""
        return self._fees

    @property
    def fees_by_asset(self) -> dict[str, Decimal]:
        """Fees in the assets they were paid in."""
        return dict(self._fees_by_asset)

    @property
    def unvalued_fees(self) -> dict[str, Decimal]:
        """Fees in assets that have no mark yet; neither `fees` nor `equity` counts them."""
        return dict(self._unvalued_fees)

    @property
    def equity(self) -> Decimal:
        """Cash plus every position at its mark."""
        total = self._cash
        for key, lots in self._lots.items():
            if lots.quantity:
                total = EXACT.fma(lots.quantity, self._exact_mark(key), total)
        return total

    @property
    def pnl(self) -> Decimal:
        """`equity - initial`."""
        return EXACT.subtract(self.equity, self._initial)

    @property
    def day_equity(self) -> Decimal:
        """The equity when the UTC day began."""
        return self._day_equity

    @property
    def is_priced(self) -> bool:
        """Whether `equity` counts every instrument's holding: nothing waits for its first price."""
        return not self._unpriced or self._unpriced.isdisjoint(self._instruments)

    @property
    def day_pnl(self) -> Decimal:
        """PnL since the UTC day began."""
        return EXACT.subtract(self.equity, self._day_equity)

    # Surviving a restart

    def snapshot(self) -> PortfolioSnapshot:
        """The whole state, for `restore`."""
        return PortfolioSnapshot(
            quote_asset=self.quote_asset,
            symbols=list(self._instruments),
            initial=self._initial,
            cash=self._cash,
            realised=self._realised,
            realised_by=dict(self._realised_by),
            entries=dict(self._entries),
            carried=dict(self._carried),
            fees=self._fees,
            fees_by_asset=dict(self._fees_by_asset),
            unvalued_fees=dict(self._unvalued_fees),
            opening=dict(self._opening),
            lots={key: list(lots) for key, lots in self._lots.items()},
            marks=dict(self._marks),
            fill_keys=list(self._fill_keys),
            day=self._day,
            day_equity=self._day_equity,
        )

    def restore(self, snapshot: PortfolioSnapshot) -> None:
        """Become what the snapshot describes.

        Raises ConfigError when it is in another quote asset or holds a symbol that is not configured any more.
        """
        if snapshot.quote_asset != self.quote_asset:
            raise ConfigError(f"the snapshot is in {snapshot.quote_asset}, the portfolio in {self.quote_asset}")
        lots = {key: self._new_lots(key, held) for key, held in snapshot.lots.items()}
        gone = [symbol for symbol in snapshot.symbols if symbol not in self._instruments and lots[symbol].quantity]
        if gone:
            raise ConfigError(f"the snapshot holds {', '.join(gone)}, which has no instrument in the portfolio")
        self._lots = {symbol: self._new_lots(symbol) for symbol in self._instruments} | lots
        self._initial, self._cash = snapshot.initial, snapshot.cash
        self._realised, self._fees = snapshot.realised, snapshot.fees
        self._realised_by = dict(snapshot.realised_by)
        self._entries, self._carried = dict(snapshot.entries), dict(snapshot.carried)
        self._fees_by_asset = dict(snapshot.fees_by_asset)
        self._unvalued_fees = dict(snapshot.unvalued_fees)
        self._opening = dict(snapshot.opening)
        self._unpriced = set(self._opening) | {self._symbol_of.get(asset, asset) for asset in self._unvalued_fees}
        self._marks = dict(snapshot.marks)
        self._fill_keys = dict.fromkeys(snapshot.fill_keys)
        self._day, self._day_equity = snapshot.day, snapshot.day_equity

    def _open(self, asset: str, balance: Decimal) -> None:
        if not balance.is_finite():
            raise ConfigError(f"the balance of {asset} must be a finite number, got {balance}")
        if asset == self.quote_asset:
            self._cash = self._initial = balance
        elif balance:
            key = self._symbol_of.get(asset, asset)
            self._opening[key] = balance
            self._unpriced.add(key)

    def _open_position(self, symbol: str, quantity: Decimal, entry: Decimal) -> None:
        if symbol not in self._swaps:
            raise UnknownSymbolError("a position of what is no swap in the portfolio", symbol=symbol)
        if not (quantity.is_finite() and entry.is_finite() and (entry > 0 or not quantity)):
            raise ConfigError(f"a position of {quantity} {symbol} entered at {entry} cannot be")
        if quantity:
            self._opening[symbol], self._entries[symbol] = quantity, entry
            self._unpriced.add(symbol)

    def _new_lots(self, key: str, held: Iterable[tuple[Decimal, Decimal]] = ()) -> Lots:
        return AveragedLots(held) if key in self._swaps else Lots(held)

    def _wallet(self) -> Decimal:
        """The cash as if what swaps are worth had not been paid for."""
        total = self._cash
        for symbol in self._swaps:
            total = EXACT.add(total, self._lots[symbol].cost)
        return total

    def _settle(self, key: str, price: Decimal) -> None:
        """The first price of a holding: it becomes a lot, and the fees owed in it are paid."""
        self._unpriced.discard(key)
        lots = self._lots.setdefault(key, Lots())
        opening = self._opening.pop(key, ZERO)
        if opening:
            entry = self._entries.pop(key, None)
            self._realise(key, lots.trade(opening, price if entry is None else entry))
            worth = EXACT.multiply(opening, price)
            if entry is not None:
                paid = EXACT.multiply(opening, entry)
                self._cash = EXACT.subtract(self._cash, paid)
                worth = self._carried[key] = EXACT.subtract(worth, paid)
            self._initial = EXACT.add(self._initial, worth)
            self._day_equity = EXACT.add(self._day_equity, worth)
            self._marks.setdefault(key, float(price))
        for asset in [asset for asset in self._unvalued_fees if self._symbol_of.get(asset, asset) == key]:
            self._pay(key, self._unvalued_fees.pop(asset), price)

    def _charge(self, fill: Fill, instrument: Instrument) -> None:
        asset, fee = fill.fee_asset, fill.fee
        self._fees_by_asset[asset] = EXACT.add(self._fees_by_asset.get(asset, ZERO), fee)
        if asset == self.quote_asset:
            self._cash = EXACT.subtract(self._cash, fee)
            self._fees = EXACT.add(self._fees, fee)
        elif asset == instrument.base and fill.symbol not in self._swaps:
            self._pay(fill.symbol, fee, fill.price)
        else:
            key = self._symbol_of.get(asset, asset)
            if key in self._marks and key not in self._unpriced:
                self._pay(key, fee, self._exact_mark(key))
            else:
                self._unvalued_fees[asset] = EXACT.add(self._unvalued_fees.get(asset, ZERO), fee)
                self._unpriced.add(key)

    def _pay(self, key: str, fee: Decimal, price: Decimal) -> None:
        """Sell `fee` of a holding at `price` and pay with the proceeds, so the cash does not move."""
        self._realise(key, self._lots.setdefault(key, Lots()).trade(EXACT.minus(fee), price))
        self._fees = EXACT.fma(fee, price, self._fees)

    def _realise(self, key: str, profit: Decimal) -> None:
        self._realised = EXACT.add(self._realised, profit)
        if profit:
            self._realised_by[key] = EXACT.add(self._realised_by.get(key, ZERO), profit)

    def _exact_mark(self, key: str) -> Decimal:
        price = self._marks[key]
        known = self._exact_marks.get(key)
        if known is not None and known[0] == price:
            return known[1]
        mark = Decimal(repr(price))
        self._exact_marks[key] = (price, mark)
        return mark

    def _remember(self, key: tuple[str, str, str]) -> None:
        self._fill_keys[key] = None
        if len(self._fill_keys) > FILL_MEMORY:
            del self._fill_keys[next(iter(self._fill_keys))]


def _quote_asset(instruments: Iterable[Instrument], asked: str | None) -> str:
    quotes = {instrument.quote for instrument in instruments}
    if asked is not None:
        quotes.add(asked)
    if len(quotes) != 1:
        found = ", ".join(sorted(quotes)) or "none"
        raise ConfigError(f"a portfolio is kept in one quote asset, the instruments and quote_asset name {found}")
    return quotes.pop()


def _check(fill: Fill) -> None:
    """Refuse numbers that no venue can have meant; NaN fails every check."""
    for what, value in (("price", fill.price), ("quantity", fill.quantity)):
        if not (value.is_finite() and value > 0):
            raise OrderValueError(f"fill {fill.fill_id}: {what} must be positive, got {value}", symbol=fill.symbol)
    if not fill.fee.is_finite():
        raise OrderValueError(f"fill {fill.fill_id}: fee must be finite, got {fill.fee}", symbol=fill.symbol)
    if fill.fee and not fill.fee_asset:
        raise OrderValueError(f"fill {fill.fill_id}: a fee of {fill.fee} without its asset", symbol=fill.symbol)
