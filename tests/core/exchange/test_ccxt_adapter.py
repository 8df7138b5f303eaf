"""A venue of ccxt in a few lines: the Kraken of the documentation against a Kraken that answers as it documents."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import traceback
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

pytest.importorskip("ccxt", reason="the extra ccxt is not installed")

from axon_quant.errors import (
    AmbiguousError,
    AuthError,
    ConfigError,
    DuplicateOrderError,
    ExchangeError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from axon_quant.exchange import CcxtAdapter, ExchangeConfig, RateLimitConfig
from axon_quant.exchange.capabilities import Capability, Channel
from axon_quant.exchange.ccxt_errors import scrubbed, translated
from axon_quant.market.types import BookSnapshot, Trade
from axon_quant.orders import Order, OrderStatus, OrderType, Side, TimeInForce
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Liquidity

sys.path.insert(0, str(Path(__file__).parent))
from scripted_kraken import DROP, KEY, SECRET, ScriptedKraken, order_row, trade_row

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "exchanges.md"
BLOCK = re.search(r"<!-- kraken -->\n```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[1]
STREAMS = {Capability.AccountStream, Capability.TradeStream, Capability.BookStream}


def documented() -> type[CcxtAdapter]:
    names: dict = {"__name__": "documented"}
    exec(compile(BLOCK, str(DOCUMENT), "exec"), names)
    return names["KrakenAdapter"]


class Quiet(documented()):
    """The documented adapter on a venue without streams."""

    capabilities = documented().capabilities - STREAMS


@asynccontextmanager
async def trading(kind: type[CcxtAdapter] = Quiet, prepare=None, **changes):
    async with ScriptedKraken() as venue:
        if prepare is not None:
            prepare(venue)
        given = {
            "api_key": KEY,
            "api_secret": SECRET,
            "testnet": False,
            "rate_limit": RateLimitConfig(1000, 10_000),
            "base_urls": {"rest": f"http://127.0.0.1:{venue.port}", "ws": f"ws://127.0.0.1:{venue.port}"},
        }
        adapter = kind(ExchangeConfig(**{**given, **changes}))
        try:
            await adapter.connect()
            yield venue, adapter
        finally:
            await adapter.close()


def run(test):
    """Run a coroutine function as a test."""

    def wrapped():
        asyncio.run(test())

    wrapped.__name__ = test.__name__
    return wrapped


def order(**changes) -> Order:
    given = {"symbol": "XXBTZUSD", "side": Side.Buy, "price": "30010.1", "quantity": "1.25", **changes}
    return Order(**given)


def test_the_documented_adapter_has_at_most_forty_lines():
    assert len(BLOCK.splitlines()) <= 40


@run
async def test_instruments_are_exact_and_under_the_venues_names():
    async with trading() as (_, adapter):
        instrument = (await adapter.instruments())["XXBTZUSD"]
        assert (instrument.venue, instrument.base, instrument.quote) == ("kraken", "BTC", "USD")
        assert (instrument.tick_size, instrument.lot_size) == (Decimal("0.1"), Decimal("0.00000001"))
        assert (instrument.min_quantity, instrument.min_notional) == (Decimal("0.00005"), Decimal("0.5"))


@run
async def test_an_order_is_sent_once_with_our_name_and_all_its_terms():
    async with trading() as (venue, adapter):
        placed = order(post_only=True)
        assert await adapter.place_order(placed) == "OUF4EM-FRGI2-MQMWZD"
        (sent,) = venue.asked("AddOrder")
        assert (sent["pair"], sent["type"], sent["ordertype"]) == ("XXBTZUSD", "buy", "limit")
        assert (sent["price"], sent["volume"], sent["oflags"]) == ("30010.1", "1.25", "post")
        assert re.fullmatch("[0-9a-f]{32}", sent["cl_ord_id"])
        assert adapter.orders.get(placed.client_order_id).status is OrderStatus.Open
        await adapter.place_order(order(time_in_force=TimeInForce.IOC))
        assert venue.asked("AddOrder")[1]["timeinforce"] == "IOC"
        await adapter.place_order(order(order_type=OrderType.Market, price=None))
        assert venue.asked("AddOrder")[2]["ordertype"] == "market"


@run
async def test_a_cancel_names_the_order():
    async with trading() as (venue, adapter):
        order_id = await adapter.place_order(order())
        await adapter.cancel_order(order_id)
        assert venue.asked("CancelOrder")[0]["txid"] == order_id
        await adapter.cancel_all()
        assert len(venue.asked("CancelAll")) == 1


@run
async def test_an_order_whose_answer_was_lost_is_found_among_the_open_and_the_closed_ones():
    async with trading() as (venue, adapter):
        lost = order()
        wire_id = adapter._wire_id(lost.client_order_id)
        state = OrderState(lost, created_at=1616666559_000_000_000)
        assert await adapter._fetch_order(state) is None
        venue.answers["ClosedOrders"] = {
            "closed": {"OUF4EM-FRGI2-MQMWZD": order_row(wire_id, status="closed", vol_exec="1.25000000")},
            "count": 1,
        }
        found = await adapter._fetch_order(state)
        assert (found.status, found.filled_quantity) == (OrderStatus.Filled, Decimal("1.25"))
        venue.answers["OpenOrders"] = {"open": {"OUF4EM-FRGI2-MQMWZD": order_row(wire_id)}}
        found = await adapter._fetch_order(state)
        assert (found.venue_order_id, found.order.client_order_id) == ("OUF4EM-FRGI2-MQMWZD", lost.client_order_id)
        assert (found.status, found.filled_quantity) == (OrderStatus.PartiallyFilled, Decimal("0.375"))


@run
async def test_open_orders_of_others_keep_the_venues_name():
    async with trading() as (venue, adapter):
        venue.answers["OpenOrders"] = {"open": {"OTHER": order_row("foreign-1"), "OLDER": order_row(None)}}
        states = await adapter.open_orders()
        assert [state.order.client_order_id for state in states] == ["foreign-1", "OLDER"]
        assert states[0].order.price == Decimal("30010.1")


@run
async def test_fills_and_balances_keep_every_digit():
    async with trading() as (_, adapter):
        (fill,) = await adapter.fills()
        assert (fill.fill_id, fill.client_order_id) == ("XXBTZUSD:THVRQM-33VKH-UCI7BS", "OQCLML-BW3P3-BUCMWZ")
        assert (fill.price, fill.quantity) == (Decimal("30010.00000"), Decimal("0.02000001"))
        assert (fill.fee, fill.fee_asset, fill.liquidity) == (
            Decimal("0.00000000012345678"),
            "USD",
            Liquidity.Maker,
        )
        balances = await adapter.balances()
        assert (balances["BTC"].free, balances["BTC"].locked) == (Decimal("1.0000000001"), Decimal("0.1"))


@run
async def test_fills_are_asked_for_page_by_page_until_none_is_new():
    async with trading() as (venue, adapter):
        pages = [
            {f"T{number}": trade_row(time=1616667796 + number) for number in range(first, first + 3)}
            for first in (0, 2, 4)
        ]

        original = adapter.client.fetch_my_trades
        calls = []

        async def fetch(symbol=None, since=None, *more):
            venue.answers["TradesHistory"] = {"trades": pages[min(len(calls), 2)], "count": 3}
            calls.append(since)
            return await original(symbol, since, *more)

        adapter.client.fetch_my_trades = fetch
        fills = await adapter.fills(since=1616667796_000_000_000)
        assert sorted(fill.fill_id for fill in fills) == [f"XXBTZUSD:T{number}" for number in range(7)]
        assert calls[0] == 1616667796_000
        assert calls == sorted(calls)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("EOrder:Insufficient funds", RejectedError),
        ("EGeneral:Invalid arguments:volume minimum not met", RejectedError),
        ("EAPI:Invalid key", AuthError),
        ("EGeneral:Permission denied", AuthError),
        ("EOrder:Rate limit exceeded", RateLimitedError),
        ("EAPI:Rate limit exceeded", RateLimitedError),
        ("EService:Unavailable", AmbiguousError),
        (502, AmbiguousError),
        (DROP, AmbiguousError),
    ],
)
def test_what_became_of_an_order(answer, kind):
    async def test():
        async with trading() as (venue, adapter):
            venue.answers["AddOrder"] = answer
            with pytest.raises(kind) as caught:
                await adapter._send_order(order())
            assert type(caught.value) is kind
            assert caught.value.venue == "kraken"
            if isinstance(answer, str):
                assert caught.value.text == answer
            assert len(venue.asked("AddOrder")) == 1, "an order must never be sent twice"
            assert caught.value.__context__ is None

    asyncio.run(test())


@run
async def test_a_question_that_gets_no_answer_leaves_nothing_ambiguous():
    async with trading() as (venue, adapter):
        venue.answers["OpenOrders"] = DROP
        with pytest.raises(UnavailableError):
            await adapter.open_orders()
        venue.answers["CancelOrder"] = "EOrder:Unknown order"
        with pytest.raises(NotFoundError):
            await adapter._send_cancel(OrderState(order(), venue_order_id="OUF4EM-FRGI2-MQMWZD"))


@run
async def test_a_wrong_key_no_network_and_a_wrong_symbol_say_so():
    async with trading(api_key="another-key") as (_, adapter):
        with pytest.raises(AuthError, match="check the key"):
            await adapter.balances()
        with pytest.raises(RejectedError, match="no such symbol"):
            await adapter.place_order(order(symbol="XXBTZEUR"))
    with pytest.raises(UnavailableError, match="check the network"):
        async with trading(base_urls={"rest": "http://127.0.0.1:9"}):
            pass


@run
async def test_a_number_with_more_digits_than_ccxt_can_carry_is_refused_before_it_is_sent():
    async with trading() as (venue, adapter):
        with pytest.raises(RejectedError, match="more digits"):
            await adapter._send_order(order(quantity="123456789.12345678901"))
        assert not venue.asked("AddOrder")


@run
async def test_secrets_and_signatures_stand_nowhere():
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        async with trading() as (venue, adapter):
            adapter.client.verbose = True
            texts = [repr(adapter), str(vars(adapter))]
            for answer in ("EAPI:Invalid nonce", 502, DROP, "EOrder:Insufficient funds"):
                venue.answers["AddOrder"] = answer
                with pytest.raises(ExchangeError) as caught:
                    await adapter._send_order(order())
                texts += [str(caught.value), repr(caught.value), "".join(traceback.format_exception(caught.value))]
            signatures = [parameters["nonce"] for _, parameters in venue.requests if "nonce" in parameters]
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    texts += [record.getMessage() for record in records]
    assert signatures
    for text in texts:
        for secret in (KEY, SECRET, *signatures):
            assert secret not in text


class Link:
    """Collects what a stream says of itself."""

    def __init__(self) -> None:
        self.is_up = asyncio.Event()
        self.messages = 0

    def up(self) -> None:
        self.is_up.set()

    def heard(self) -> None:
        self.messages += 1


def execution(**changes) -> dict:
    given = {
        "order_id": "OUF4EM-FRGI2-MQMWZD",
        "symbol": "BTC/USD",
        "side": "buy",
        "order_type": "limit",
        "order_qty": 1.25,
        "limit_price": 30010.1,
        "timestamp": "2023-09-22T10:33:05.709950Z",
    }
    return {"channel": "executions", "type": "update", "data": [{**given, **changes}], "sequence": 8}


@run
async def test_orders_and_fills_come_by_themselves_under_our_name():
    async with trading(Quiet) as (venue, adapter):
        placed = order()
        await adapter.place_order(placed)
        wire_id = adapter._wire_id(placed.client_order_id)
        updates = []
        adapter._deliver = updates.append
        await adapter.client.close()
        adapter._client = adapter._make_client(streams=True, exact=True)
        await adapter.client.load_markets()
        link = Link()
        running = asyncio.create_task(adapter._run_account(link))
        await asyncio.wait_for(link.is_up.wait(), 10)
        assert venue.subscriptions[0]["channel"] in ("executions", "balances")
        await venue.say(execution(exec_type="new", order_status="new", cl_ord_id=wire_id, order_userref=0))
        trade = {
            "exec_type": "trade",
            "exec_id": "T5DIUI-5N4KO-Z5BPXK",
            "last_qty": 0.2,
            "last_price": 30010.1,
            "liquidity_ind": "m",
            "order_status": "partially_filled",
            "fees": [{"asset": "USD", "qty": 0.345678901234}],
        }
        await venue.say(execution(**trade))
        async with asyncio.timeout(5):
            while len(updates) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert updates[0].client_order_id == placed.client_order_id
        assert updates[0].venue_order_id == "OUF4EM-FRGI2-MQMWZD"
        fills = [update.fill for update in updates if update.fill is not None]
        assert [(fill.fill_id, fill.price, fill.quantity) for fill in fills] == [
            ("XXBTZUSD:T5DIUI-5N4KO-Z5BPXK", Decimal("30010.1"), Decimal("0.2"))
        ]
        assert (fills[0].fee, fills[0].fee_asset) == (Decimal("0.345678901234"), "USD")
        assert link.messages >= 2
        await venue.hang_up()
        with pytest.raises(UnavailableError):
            await asyncio.wait_for(running, 5)


@run
async def test_market_data_is_watched_and_a_lost_connection_ends_the_watch():
    async with trading(Quiet) as (venue, adapter):
        adapter.wanted[Channel.Trades, "XXBTZUSD"] = None
        events = []
        adapter._publish = events.append
        link = Link()
        running = asyncio.create_task(adapter._run_market(link))
        await asyncio.wait_for(link.is_up.wait(), 10)
        await adapter._subscribe(Channel.Book, "XXBTZUSD")
        async with asyncio.timeout(5):
            while {entry["channel"] for entry in venue.subscriptions} != {"trade", "book"}:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        trade = {"symbol": "BTC/USD", "side": "sell", "price": 30010.5, "qty": 0.25, "ord_type": "limit", "trade_id": 7}
        trade["timestamp"] = "2023-09-25T07:49:37.708706Z"
        await venue.say({"channel": "trade", "type": "update", "data": [trade]})
        level = {"bids": [{"price": 30000.1, "qty": 1.5}], "asks": [{"price": 30000.2, "qty": 2}]}
        book = {"symbol": "BTC/USD", **level, "checksum": 0, "timestamp": "2023-09-25T07:49:37.708706Z"}
        await venue.say({"channel": "book", "type": "snapshot", "data": [book]})
        async with asyncio.timeout(5):
            while len(events) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        seen = next(event for event in events if isinstance(event, Trade))
        assert (seen.symbol, seen.price, seen.quantity, seen.buyer_is_maker) == ("XXBTZUSD", 30010.5, 0.25, True)
        whole = next(event for event in events if isinstance(event, BookSnapshot))
        assert (whole.bids, whole.asks) == ([(30000.1, 1.5)], [(30000.2, 2.0)])
        await venue.hang_up()
        with pytest.raises(UnavailableError):
            await asyncio.wait_for(running, 5)


def test_a_venue_that_ccxt_does_not_know_or_that_has_no_test_system_is_a_configuration_error():
    class Nowhere(CcxtAdapter):
        name = exchange_id = "nowhere"

    with pytest.raises(ConfigError, match="knows no venue 'nowhere'"):
        Nowhere(ExchangeConfig(KEY, SECRET)).client  # noqa: B018
    with pytest.raises(ConfigError, match=r"kraken has no test system \(testnet=False trades for real\)"):
        Quiet(ExchangeConfig(KEY, SECRET, testnet=True)).client  # noqa: B018


def test_urls_lose_their_queries_and_texts_their_secrets():
    text = scrubbed("binance GET https://a.b/c?x=1&signature=abc failed for KEY1", ["KEY1"])
    assert text == "binance GET https://a.b/c failed for ***"
    assert len(scrubbed("x" * 5_000)) < 400


def test_venues_that_ccxt_sorts_wrongly_are_put_right():
    import ccxt

    duplicate = translated(
        ccxt.InvalidOrder('binance {"code":-2010,"msg":"Duplicate order sent."}'),
        venue="binance",
        symbol=None,
        changes=True,
    )
    assert type(duplicate) is DuplicateOrderError
    assert (duplicate.code, duplicate.text) == ("-2010", "Duplicate order sent.")
    known = translated(
        ccxt.ExchangeError('okx {"code":"1","data":[{"sCode":"51603","sMsg":"Order does not exist"}],"msg":""}'),
        venue="okx",
        symbol=None,
        changes=False,
        codes={"51603": NotFoundError},
    )
    assert type(known) is NotFoundError
    limited = translated(ccxt.DDoSProtection("binance 429"), venue="x", symbol=None, changes=True, retry_after=7.0)
    assert limited.retry_after == 7.0
