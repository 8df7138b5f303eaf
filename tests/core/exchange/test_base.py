"""What the adapters' base owns, seen from a plugin of a few lines; and the paper adapter, which is one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from decimal import Decimal

import pytest

from axon_quant.clock import SimClock
from axon_quant.errors import (
    AmbiguousError,
    DuplicateOrderError,
    ExchangeError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
    UnsupportedError,
)
from axon_quant.exchange import (
    Capability,
    Channel,
    EventStream,
    ExchangeAdapter,
    ExchangeConfig,
    PaperAdapter,
    Position,
    RateLimitConfig,
)
from axon_quant.market import BookSnapshot, BookUpdate, Instrument, Quote, Trade
from axon_quant.orders import Order, OrderState, OrderStatus, OrderType, OrderUpdate, Side, TimeInForce


class MinimalAdapter(ExchangeAdapter):
    """The required primitives and nothing else; `answer` is what sending an order does."""

    name = "minimal"

    def __init__(self, instrument: Instrument, config: ExchangeConfig | None = None, **options: object) -> None:
        super().__init__(config, clock=SimClock(1_000_000_000_000), **options)  # type: ignore[arg-type]
        self.instrument = instrument
        self.sent: list[str] = []
        self.answer: Callable[[Order], str] = lambda order: f"v-{order.client_order_id}"
        self.closed = 0

    async def _connect(self) -> None:
        pass

    async def _close(self) -> None:
        self.closed += 1

    async def _fetch_instruments(self) -> Iterable[Instrument]:
        return [self.instrument]

    async def _send_order(self, order: Order) -> str:
        self.sent.append(order.client_order_id)
        return self.answer(order)

    async def _send_cancel(self, state: OrderState) -> None:
        self.sent.append(f"cancel {state.order.client_order_id}")


def limit(price: object = 100, quantity: object = 1, **options: object) -> Order:
    return Order("BTCUSDT", Side.Buy, price=price, quantity=quantity, **options)  # type: ignore[arg-type]


def raising(error: BaseException) -> Callable[[Order], str]:
    def answer(order: Order) -> str:
        raise error

    return answer


@pytest.fixture
def adapter(instrument: Instrument) -> MinimalAdapter:
    adapter = MinimalAdapter(instrument)
    asyncio.run(adapter.connect())
    return adapter


def status(adapter: ExchangeAdapter, order: Order) -> OrderStatus:
    state = adapter.orders.get(order.client_order_id)
    assert state is not None
    return state.status


async def test_placing_an_order_returns_the_venues_id(adapter: MinimalAdapter) -> None:
    order = limit()
    assert await adapter.place_order(order) == f"v-{order.client_order_id}"
    assert status(adapter, order) is OrderStatus.Open


async def test_an_undeclared_capability_is_refused_and_nothing_is_sent(adapter: MinimalAdapter) -> None:
    market = Order("BTCUSDT", Side.Buy, OrderType.Market, quantity=1)
    orders = [
        market,
        limit(post_only=True),
        limit(time_in_force=TimeInForce.IOC),
        limit(time_in_force=TimeInForce.FOK),
        limit(reduce_only=True),
    ]
    for order in orders:
        with pytest.raises(UnsupportedError, match="minimal"):
            await adapter.place_order(order)
    lookups = [
        adapter.fetch_order("x"),
        adapter.open_orders(),
        adapter.fills(),
        adapter.balances(),
        adapter.positions(),
        *(adapter.subscribe(channel, "BTCUSDT") for channel in Channel),
    ]
    for lookup in lookups:
        with pytest.raises(UnsupportedError, match="does not declare"):
            await lookup
    assert adapter.sent == []


def test_a_declared_capability_needs_its_primitive() -> None:
    with pytest.raises(TypeError, match="declares balances but does not write _fetch_balances"):

        class Boaster(MinimalAdapter):
            capabilities = frozenset({Capability.Balances})


@pytest.mark.parametrize(
    ("order", "told"),
    [
        (limit(price="100.001"), "tick size"),
        (limit(quantity="0.0001"), "lot size"),
        (limit(quantity="0.001"), "notional"),
        (Order("DOGEUSDT", Side.Buy, price=1, quantity=1), "no such symbol"),
        (limit(client_order_id="no-dashes"), "client order id"),
        (limit(client_order_id="x" * 33), "client order id"),
    ],
)
async def test_an_order_the_venue_would_refuse_is_not_sent(adapter: MinimalAdapter, order: Order, told: str) -> None:
    with pytest.raises(RejectedError, match=told):
        await adapter.place_order(order)
    assert adapter.sent == []


async def test_a_client_order_id_is_sent_once(adapter: MinimalAdapter) -> None:
    order = limit()
    outcomes = await asyncio.gather(adapter.place_order(order), adapter.place_order(order), return_exceptions=True)
    assert sorted(isinstance(outcome, DuplicateOrderError) for outcome in outcomes) == [False, True]
    assert adapter.sent == [order.client_order_id]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RejectedError("no"), OrderStatus.Rejected),
        (UnavailableError("down"), OrderStatus.Rejected),
        (AmbiguousError("timed out"), OrderStatus.Unknown),
        (asyncio.CancelledError(), OrderStatus.Unknown),
        (OSError("connection reset"), OrderStatus.Unknown),
    ],
)
async def test_what_went_wrong_decides_what_is_known_of_the_order(
    adapter: MinimalAdapter, error: BaseException, expected: OrderStatus
) -> None:
    adapter.answer = raising(error)
    order = limit()
    with pytest.raises(type(error)):
        await adapter.place_order(order)
    assert status(adapter, order) is expected


async def test_a_fast_stream_may_report_the_fill_before_the_answer(adapter: MinimalAdapter) -> None:
    def answer(order: Order) -> str:
        adapter._deliver(OrderUpdate(order.client_order_id, OrderStatus.Filled, 1, venue_order_id="v"))
        return "v"

    adapter.answer = answer
    order = limit()
    stream = adapter.events()
    assert await adapter.place_order(order) == "v"
    assert status(adapter, order) is OrderStatus.Filled
    await adapter.close()
    assert [event.status async for event in stream if isinstance(event, OrderUpdate)] == [OrderStatus.Filled]


async def test_an_order_is_cancelled_by_either_name(adapter: MinimalAdapter) -> None:
    first, second = limit(), limit()
    venue_id = await adapter.place_order(first)
    await adapter.place_order(second)
    await adapter.cancel_order(venue_id)
    await adapter.cancel_order(second.client_order_id)
    assert adapter.sent[2:] == [f"cancel {first.client_order_id}", f"cancel {second.client_order_id}"]


async def test_a_cancel_of_a_stranger_or_a_finished_order_is_not_found(adapter: MinimalAdapter) -> None:
    order = limit()
    await adapter.place_order(order)
    adapter._deliver(OrderUpdate(order.client_order_id, OrderStatus.Filled, 1))
    for name in ("stranger", order.client_order_id):
        with pytest.raises(NotFoundError):
            await adapter.cancel_order(name)


async def test_cancel_all_goes_one_by_one_without_the_capability(adapter: MinimalAdapter) -> None:
    orders = [limit(), limit()]
    for order in orders:
        await adapter.place_order(order)
    await adapter.cancel_all("ETHUSDT")
    assert len(adapter.sent) == 2
    await adapter.cancel_all()
    assert adapter.sent[2:] == [f"cancel {order.client_order_id}" for order in orders]


async def test_updates_reach_every_reader_once(adapter: MinimalAdapter) -> None:
    streams = [adapter.events(), adapter.events()]
    order = limit()
    await adapter.place_order(order)
    update = OrderUpdate(order.client_order_id, OrderStatus.Cancelled, 2)
    adapter._deliver(update)
    adapter._deliver(update)
    await adapter.close()
    for stream in streams:
        assert [event.status async for event in stream if isinstance(event, OrderUpdate)] == [
            OrderStatus.Open,
            OrderStatus.Cancelled,
        ]


async def test_a_reader_that_falls_behind_is_told() -> None:
    stream = EventStream(limit=1)
    for number in range(2):
        stream.put(Trade("BTCUSDT", number, 1.0, 1.0, buyer_is_maker=True))
    assert (await anext(stream)) is not None
    with pytest.raises(UnavailableError, match="behind"):
        await anext(stream)


async def test_nothing_works_before_connect_and_closing_twice_is_fine(instrument: Instrument) -> None:
    adapter = MinimalAdapter(instrument)
    for call in (adapter.place_order(limit()), adapter.cancel_order("x"), adapter.cancel_all(), adapter.instruments()):
        with pytest.raises(UnavailableError, match="connect"):
            await call
    await adapter.close()
    await adapter.close()
    assert adapter.closed == 2


def configured(**limits: float) -> ExchangeConfig:
    return ExchangeConfig("key", "secret", rate_limit=RateLimitConfig(**limits))


async def test_an_order_beyond_the_budget_leaves_no_trace_and_may_be_placed_again(instrument: Instrument) -> None:
    adapter = MinimalAdapter(instrument, configured(orders_per_minute=1))
    await adapter.connect()
    await adapter.place_order(limit())
    order = limit()
    with pytest.raises(RateLimitedError):
        await adapter.place_order(order)
    assert adapter.orders.get(order.client_order_id) is None
    adapter.clock.advance(adapter.clock.now() + 61_000_000_000)  # type: ignore[attr-defined]
    await adapter.place_order(order)


async def test_a_cancel_leaves_when_orders_have_used_up_their_requests(instrument: Instrument) -> None:
    adapter = MinimalAdapter(instrument, configured(requests_per_second=6, orders_per_minute=100, max_wait_ms=0))
    await adapter.connect()
    order = limit()
    await adapter.place_order(order)
    for _ in range(3):
        await adapter.place_order(limit())
    with pytest.raises(RateLimitedError):
        await adapter.place_order(limit())
    await adapter.cancel_order(order.client_order_id)
    assert adapter.sent[-1] == f"cancel {order.client_order_id}"


async def test_the_venues_retry_after_holds_the_next_request_back(instrument: Instrument) -> None:
    adapter = MinimalAdapter(instrument, configured())
    await adapter.connect()
    adapter.answer = raising(RateLimitedError("429", retry_after=7))
    with pytest.raises(RateLimitedError):
        await adapter.place_order(limit())
    with pytest.raises(RateLimitedError) as raised:
        await adapter.place_order(limit())
    assert raised.value.retry_after == 7
    assert len(adapter.sent) == 1


class Log:
    """An order log that notes what happened when."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def record(self, order: Order) -> Log:
        self.events.append("recorded")
        return self

    def wait(self, timeout: float | None = None) -> None:
        self.events.append("durable")


async def test_an_order_that_leaves_the_process_is_durable_first(instrument: Instrument) -> None:
    log = Log()
    adapter = MinimalAdapter(instrument, order_log=log)
    await adapter.connect()

    def answer(order: Order) -> str:
        log.events.append("sent")
        return "v"

    adapter.answer = answer
    await adapter.place_order(limit())
    assert log.events == ["recorded", "durable", "sent"]


# The paper adapter.


@pytest.fixture
def paper(instrument: Instrument) -> PaperAdapter:
    adapter = PaperAdapter(
        instruments=[instrument],
        balances={"USDT": Decimal(100_000), "BTC": Decimal(1)},
        latency_ns=5_000_000,
        taker_fee=Decimal("0.001"),
        clock=SimClock(0),
    )
    asyncio.run(adapter.connect())
    adapter.feed(BookSnapshot("BTCUSDT", 1_000, 1, [(50_000.0, 2.0)], [(50_001.0, 2.0)]))
    return adapter


async def test_the_documented_order_flow_runs_on_the_paper_venue(paper: PaperAdapter) -> None:
    order = Order(symbol="BTCUSDT", side=Side.Buy, order_type=OrderType.Limit, price=50000.0, quantity=0.001)
    order_id = await paper.place_order(order)
    assert isinstance(order_id, str)
    assert order_id
    assert (await paper.fetch_order(order_id)).status is OrderStatus.Open
    assert [state.order for state in await paper.open_orders()] == [order]
    await paper.cancel_order(order_id)
    assert (await paper.fetch_order(order_id)).status is OrderStatus.Cancelled
    assert await paper.open_orders() == []


async def test_latency_passes_on_a_real_clock_too(instrument: Instrument) -> None:
    adapter = PaperAdapter(instruments=[instrument], balances={"USDT": Decimal(100)}, latency_ns=1_000_000)
    await adapter.connect()
    adapter.feed(Quote("BTCUSDT", 1, 10.0, 5.0, 11.0, 5.0))
    before = adapter.clock.now()
    await adapter.place_order(Order("BTCUSDT", Side.Buy, OrderType.Market, quantity=1))
    assert adapter.clock.now() - before >= 1_000_000
    assert [fill.price for fill in await adapter.fills()] == [Decimal("11.0")]


async def test_the_paper_adapter_reports_funds_positions_and_fills(paper: PaperAdapter) -> None:
    await paper.place_order(Order("BTCUSDT", Side.Buy, OrderType.Market, quantity="0.5"))
    assert await paper.positions() == [Position("BTCUSDT", Decimal("1.500"))]
    cost = Decimal("50001.0") * Decimal("0.5") * Decimal("1.001")
    assert (await paper.balances())["USDT"].total == 100_000 - cost
    assert len(await paper.fills(since=5_000_000)) == 1


async def test_what_the_paper_venue_refuses_raises_and_is_reported(paper: PaperAdapter) -> None:
    stream = paper.events()
    order = Order("BTCUSDT", Side.Sell, price=60_000, quantity=2)
    with pytest.raises(RejectedError, match="insufficient balance"):
        await paper.place_order(order)
    await paper.close()
    assert [event.status async for event in stream if isinstance(event, OrderUpdate)] == [OrderStatus.Rejected]


async def test_a_cancel_that_crosses_its_fill_is_not_found(paper: PaperAdapter) -> None:
    order_id = await paper.place_order(limit(price=50_000, quantity="0.001"))
    cancel = asyncio.ensure_future(paper.cancel_order(order_id))
    await asyncio.sleep(0)  # the cancel is on its way
    paper.feed(Trade("BTCUSDT", 5_001_000, 49_999.0, 1.0, buyer_is_maker=True))
    with pytest.raises(ExchangeError, match="finished"):
        await cancel


async def test_fed_market_data_reaches_subscribed_readers_only(paper: PaperAdapter) -> None:
    stream = paper.events()
    await paper.subscribe(Channel.Book, "BTCUSDT")
    with pytest.raises(RejectedError, match="no such symbol"):
        await paper.subscribe(Channel.Book, "ETHUSDT")
    paper.feed(Trade("BTCUSDT", 10, 50_000.5, 1.0, buyer_is_maker=True))
    paper.feed(BookUpdate("BTCUSDT", 11, 2, 2, [(50_000.0, 3.0)], []))
    await paper.close()
    assert [type(event) async for event in stream] == [BookUpdate]
    assert paper.books["BTCUSDT"].best_bid == (50_000.0, 3.0)


def test_a_plugin_must_not_redefine_what_the_base_needs() -> None:
    with pytest.raises(TypeError, match="writes _deliver, which the base needs"):

        class Clash(MinimalAdapter):
            def _deliver(self, update: OrderUpdate) -> None:
                pass


async def test_a_plugin_must_not_replace_what_the_base_keeps(instrument: Instrument) -> None:
    adapter = MinimalAdapter(instrument)
    adapter._cases = {}
    with pytest.raises(TypeError, match="which the base needs"):
        await adapter.connect()


async def test_the_paper_venue_takes_no_stop_orders(paper: PaperAdapter) -> None:
    with pytest.raises(UnsupportedError, match="stop-orders"):
        await paper.place_order(Order("BTCUSDT", Side.Buy, OrderType.Stop, quantity=1, stop_price=60_000))
    assert "stop orders" in refused_by_the_engine(paper)


def refused_by_the_engine(paper: PaperAdapter) -> str:
    order = Order("BTCUSDT", Side.Buy, OrderType.StopLimit, 60_000, 1, stop_price=60_000)
    paper.venue.submit(order, 5_000_000)
    paper.venue.advance(20_000_000)
    state = paper.venue.order(order.client_order_id)
    assert state is not None
    return state.reason


async def test_a_market_order_is_valued_at_the_last_price_that_was_published(instrument: Instrument) -> None:
    class MarketAdapter(MinimalAdapter):
        capabilities = frozenset({Capability.MarketOrders})

    adapter = MarketAdapter(instrument)
    await adapter.connect()
    small = Order("BTCUSDT", Side.Buy, OrderType.Market, quantity="0.01")
    adapter._publish(Quote("BTCUSDT", adapter.clock.now(), 99.0, 1.0, 101.0, 1.0))
    with pytest.raises(RejectedError, match="notional"):
        await adapter.place_order(small)
    adapter.clock.advance(adapter.clock.now() + 61_000_000_000)  # type: ignore[attr-defined]
    await adapter.place_order(small)
