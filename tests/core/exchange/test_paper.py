"""The paper venue: latency, funds, cancels that cross fills, and what it remembers."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from axon_quant.errors import DuplicateOrderError, MarketDataError, UnknownSymbolError
from axon_quant.exchange import IDLE, CancelOutcome, CancelResult, PaperVenue
from axon_quant.market import Bar, BookSnapshot, BookUpdate, Instrument, OrderBook, Quote, Trade
from axon_quant.orders import Order, OrderStatus, OrderType, OrderUpdate, Side

LATENCY = 5_000_000


class Account:
    """A venue with 1,000 USDT and 2 BTC in a 100.00 / 101.00 market, and what it reported."""

    def __init__(self, instrument: Instrument, *, seed: int = 0, jitter: int = 0, fee: str = "0.001") -> None:
        self.updates: list[OrderUpdate] = []
        self.cancels: list[CancelResult] = []
        self.placed = 0
        self.venue = PaperVenue(
            [instrument],
            {"USDT": Decimal(1_000), "BTC": Decimal(2)},
            latency_ns=LATENCY,
            jitter_ns=jitter,
            maker_fee=Decimal(0),
            taker_fee=Decimal(fee),
            seed=seed,
            on_update=self.updates.append,
            on_cancel=self.cancels.append,
        )
        self.venue.watch("BTCUSDT", OrderBook("BTCUSDT"))
        self.venue.on_market(Quote("BTCUSDT", 1, 100.0, 50.0, 101.0, 50.0))

    def order(self, side: Side, quantity: object, price: object = None, **options: object) -> Order:
        self.placed += 1
        kind = OrderType.Market if price is None else OrderType.Limit
        return Order("BTCUSDT", side, kind, price, quantity, client_order_id=f"p{self.placed}", **options)  # type: ignore[arg-type]

    def place(self, side: Side, quantity: object, price: object = None, **options: object) -> str:
        order = self.order(side, quantity, price, **options)
        self.venue.advance(self.venue.submit(order, 100))
        return order.client_order_id

    def statuses(self, order_id: str) -> list[OrderStatus]:
        return [update.status for update in self.updates if update.client_order_id == order_id]

    def total(self, asset: str) -> Decimal:
        return self.venue.balances()[asset].total


@pytest.fixture
def account(instrument: Instrument) -> Account:
    return Account(instrument)


def test_an_order_arrives_after_the_latency_and_not_before(account: Account) -> None:
    assert account.venue.next_due == IDLE
    account.venue.submit(account.order(Side.Buy, 1), 1_000)
    assert account.venue.next_due == 1_000 + LATENCY
    account.venue.advance(1_000 + LATENCY - 1)
    assert account.updates == []
    assert account.venue.order("p1") is None
    account.venue.advance(1_000 + LATENCY)
    assert account.statuses("p1") == [OrderStatus.Open, OrderStatus.Filled]
    assert {update.at for update in account.updates} == {1_000 + LATENCY}
    assert account.venue.next_due == IDLE


def test_an_order_meets_the_market_of_its_arrival(account: Account) -> None:
    account.venue.submit(account.order(Side.Buy, 1), 1_000)
    account.venue.on_market(Quote("BTCUSDT", 2_000, 100.0, 1.0, 105.0, 9.0))
    account.venue.advance(1_000 + LATENCY)
    assert account.venue.fills()[0].price == Decimal("105.0")


def test_jitter_keeps_the_order_of_sending_and_follows_the_seed(instrument: Instrument) -> None:
    def arrivals(seed: int) -> list[int]:
        account = Account(instrument, seed=seed, jitter=50_000_000)
        return [account.venue.submit(account.order(Side.Buy, 1, 50), at) for at in range(20)]

    assert arrivals(1) == arrivals(1) == sorted(arrivals(1))
    assert arrivals(1) != arrivals(2)


def test_a_buy_pays_price_and_fee_in_quote(account: Account) -> None:
    account.place(Side.Buy, "1.5")
    cost = Decimal("151.5")
    assert account.total("BTC") == Decimal("3.5")
    assert account.total("USDT") == Decimal(1_000) - cost - cost * Decimal("0.001")


def test_a_sell_receives_price_less_fee_in_quote(account: Account) -> None:
    account.place(Side.Sell, "0.5")
    assert account.total("BTC") == Decimal("1.5")
    assert account.total("USDT") == Decimal(1_000) + 50 - Decimal("0.05")


def test_a_resting_buy_locks_its_cost_and_the_larger_fee(account: Account) -> None:
    account.place(Side.Buy, 2, 90)
    balance = account.venue.balances()["USDT"]
    assert (balance.locked, balance.free) == (Decimal("180.18"), Decimal("819.82"))


def test_a_partial_fill_frees_what_it_used_of_the_lock(account: Account) -> None:
    account.venue.on_market(Quote("BTCUSDT", 1, 100.0, 50.0, 101.0, 1.5))
    account.place(Side.Buy, 2, 101)
    assert account.venue.balances()["USDT"].locked == Decimal("0.5") * 101 * Decimal("1.001")


def test_a_cancel_frees_what_was_locked(account: Account) -> None:
    order = account.place(Side.Sell, 2, 110)
    assert account.venue.balances()["BTC"].free == 0
    account.venue.advance(account.venue.cancel(order, 200))
    assert account.venue.balances()["BTC"].free == 2
    assert account.statuses(order)[-1] is OrderStatus.Cancelled
    assert [result.outcome for result in account.cancels] == [CancelOutcome.Cancelled]


@pytest.mark.parametrize(
    ("side", "quantity", "price", "asset"),
    [
        (Side.Buy, 10, 100, "USDT"),  # 1,000 exactly, but no fee left
        (Side.Buy, 10, None, "USDT"),
        (Side.Sell, "2.001", 110, "BTC"),
        (Side.Sell, "2.001", None, "BTC"),
    ],
)
def test_an_order_without_the_funds_is_rejected(
    account: Account, side: Side, quantity: object, price: object, asset: str
) -> None:
    order = account.place(side, quantity, price)
    assert account.statuses(order) == [OrderStatus.Rejected]
    assert account.updates[-1].reason.startswith("insufficient balance")
    assert asset in account.updates[-1].reason


def test_funds_held_by_one_order_are_not_there_for_the_next(account: Account) -> None:
    account.place(Side.Sell, "1.5", 110)
    assert account.statuses(account.place(Side.Sell, 1)) == [OrderStatus.Rejected]


def test_a_reduce_only_buy_is_rejected_and_a_reduce_only_sell_is_a_sell(account: Account) -> None:
    assert account.statuses(account.place(Side.Buy, 1, reduce_only=True)) == [OrderStatus.Rejected]
    assert account.statuses(account.place(Side.Sell, 1, reduce_only=True))[-1] is OrderStatus.Filled


def test_a_fill_that_overtakes_a_cancel_wins(account: Account) -> None:
    order = account.place(Side.Buy, 1, 100)
    account.venue.cancel(order, 10_000_000)
    account.venue.on_market(Trade("BTCUSDT", 11_000_000, 99.99, 0.1, buyer_is_maker=True))
    account.venue.advance(20_000_000)
    assert account.statuses(order) == [OrderStatus.Open, OrderStatus.Filled]
    assert account.cancels == [CancelResult(order, 15_000_000, CancelOutcome.NotFound)]


def test_a_cancel_of_an_unknown_order_is_reported_as_not_found(account: Account) -> None:
    account.venue.advance(account.venue.cancel("nobody", 1))
    assert (account.cancels[0].outcome, account.updates) == (CancelOutcome.NotFound, [])


def test_a_cancel_sent_right_after_its_order_finds_it(account: Account) -> None:
    order = account.order(Side.Buy, 1, 90)
    account.venue.submit(order, 1)
    account.venue.advance(account.venue.cancel(order.client_order_id, 1))
    assert account.statuses(order.client_order_id) == [OrderStatus.Open, OrderStatus.Cancelled]


def test_an_update_may_place_the_next_order(instrument: Instrument) -> None:
    account = Account(instrument)
    seen: list[OrderUpdate] = []

    def react(update: OrderUpdate) -> None:
        seen.append(update)
        if len(seen) == 1:
            venue.submit(account.order(Side.Buy, 1), update.at)

    venue = PaperVenue([instrument], {"USDT": Decimal(1_000)}, on_update=react)
    venue.watch("BTCUSDT", OrderBook("BTCUSDT"))
    venue.on_market(Quote("BTCUSDT", 1, 100.0, 50.0, 101.0, 50.0))
    venue.submit(account.order(Side.Buy, 1), 2)
    venue.advance(2)
    assert [update.status for update in seen] == [OrderStatus.Open, OrderStatus.Filled] * 2


def test_a_client_order_id_serves_once(account: Account) -> None:
    order = account.order(Side.Buy, 1)
    account.venue.submit(order, 1)
    with pytest.raises(DuplicateOrderError, match="used before"):
        account.venue.submit(order, 2)


def test_a_symbol_that_is_not_watched_is_an_error(account: Account, instrument: Instrument) -> None:
    with pytest.raises(UnknownSymbolError, match="ETHUSDT"):
        account.venue.watch("ETHUSDT", OrderBook("ETHUSDT"))
    with pytest.raises(UnknownSymbolError, match="ETHUSDT"):
        account.venue.submit(Order("ETHUSDT", Side.Buy, price=1, quantity=1), 1)
    with pytest.raises(UnknownSymbolError, match="ETHUSDT"):
        account.venue.on_market(Trade("ETHUSDT", 1, 1.0, 1.0, buyer_is_maker=True))


def test_open_orders_are_those_at_the_venue_and_copies(account: Account) -> None:
    order = account.place(Side.Buy, 1, 90)
    account.venue.submit(account.order(Side.Buy, 1, 91), 300)
    (state,) = account.venue.open_orders("BTCUSDT")
    assert (state.order.client_order_id, state.status) == (order, OrderStatus.Open)
    state.status = OrderStatus.Cancelled
    assert account.venue.open_orders()[0].status is OrderStatus.Open


def test_fills_are_given_since_a_time(account: Account) -> None:
    account.place(Side.Buy, 1)
    at = account.venue.fills()[0].at
    assert len(account.venue.fills(at)) == 1
    assert account.venue.fills(at + 1) == []


def test_equity_values_holdings_at_the_mid(account: Account) -> None:
    assert account.venue.equity("USDT") == Decimal(1_000) + 2 * Decimal("100.5")


def test_equity_without_a_price_is_an_error(instrument: Instrument) -> None:
    venue = PaperVenue([instrument], {"BTC": Decimal(1)}, on_update=print)
    venue.watch("BTCUSDT", OrderBook("BTCUSDT"))
    with pytest.raises(MarketDataError, match="no price is known"):
        venue.equity("USDT")
    with pytest.raises(MarketDataError, match="no watched symbol"):
        venue.equity("EUR")


def test_every_kind_of_market_event_reaches_the_engine(instrument: Instrument) -> None:
    venue = PaperVenue([instrument], {}, on_update=print)
    book = OrderBook("BTCUSDT")
    venue.watch("BTCUSDT", book)
    venue.on_market(Trade("BTCUSDT", 1, 50.0, 1.0, buyer_is_maker=True))
    assert venue.mid("BTCUSDT") == 50
    venue.on_market(Bar("BTCUSDT", 2, 60.0, 60.0, 60.0, 60.0, 1.0))
    assert venue.mid("BTCUSDT") == 60
    venue.on_market(Quote("BTCUSDT", 3, 69.0, 1.0, 71.0, 1.0))
    assert venue.mid("BTCUSDT") == 70
    snapshot = BookSnapshot("BTCUSDT", 4, 1, [(79.0, 1.0)], [(81.0, 1.0)])
    book.restore(snapshot)
    venue.on_market(snapshot)
    assert venue.mid("BTCUSDT") == 80
    update = BookUpdate("BTCUSDT", 5, 2, 2, [], [(81.0, 0.0), (91.0, 1.0)])
    book.apply(update)
    venue.on_market(update)
    assert venue.mid("BTCUSDT") == 85


@pytest.mark.parametrize(
    "build",
    [
        lambda instrument: PaperVenue([instrument], {}, latency_ns=-1, on_update=print),
        lambda instrument: PaperVenue([instrument], {}, taker_fee=Decimal(1), on_update=print),
        lambda instrument: PaperVenue([instrument], {}, maker_fee=Decimal("-1"), on_update=print),
        lambda instrument: PaperVenue([instrument], {"USDT": Decimal("-0.01")}, on_update=print),
        lambda instrument: PaperVenue([instrument], {"USDT": Decimal("NaN")}, on_update=print),
    ],
)
def test_options_out_of_range_are_refused(instrument: Instrument, build: Callable[[Instrument], PaperVenue]) -> None:
    with pytest.raises(ValueError, match=r"must be|within"):
        build(instrument)
