"""What OKX says by itself: the account's stream and the market's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import aiohttp
import pytest
from scripted_okx import ScriptedOkx, configured, order_row, stop_row

from axon_exchange_okx import reports
from axon_exchange_okx.account_stream import AccountStream
from axon_exchange_okx.market_stream import MarketStream
from axon_exchange_okx.signing import Signer
from axon_quant.clock import LiveClock
from axon_quant.errors import AuthError, ClockError, ExchangeError, RejectedError, UnavailableError
from axon_quant.exchange import BalanceUpdate, Channel
from axon_quant.exchange.expected import ExpectedReports
from axon_quant.market import Bar, BookSnapshot, BookUpdate, OrderBook, Quote, Trade
from axon_quant.orders import Liquidity, OrderStatus, Side

MS = 1_000_000
ORDERS, ACCOUNT, ALGOS = ({"channel": name} for name in ("orders", "account", "orders-algo"))


class Heard:
    """The base's side of a connection."""

    def __init__(self) -> None:
        self.ups = 0
        self.messages = 0
        self._changed = asyncio.Event()

    def up(self) -> None:
        self.ups += 1
        self._changed.set()

    def heard(self) -> None:
        self.messages += 1

    async def until_up(self) -> None:
        await asyncio.wait_for(self._changed.wait(), 5)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


class Account:
    def __init__(self, venue: ScriptedOkx, **changes: object) -> None:
        self.said: list[object] = []
        self.link = Heard()
        signer, clock = Signer(configured(venue, **changes)), LiveClock()
        self.login = lambda: signer.login(clock.now())
        self.stream = AccountStream(self.said.append, self.said.append, self.said.append)
        self.root = venue.ws

    async def run(self) -> None:
        async with aiohttp.ClientSession() as session:
            await self.stream.run(session, self.root, self.login, self.link)


@asynccontextmanager
async def account() -> AsyncIterator[tuple[ScriptedOkx, Account, asyncio.Task[None]]]:
    async with ScriptedOkx() as venue:
        desk = Account(venue)
        task = asyncio.create_task(desk.run())
        try:
            await desk.link.until_up()
            yield venue, desk, task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_the_account_stream_logs_in_and_asks_for_orders_stops_and_balances():
    async with account() as (venue, desk, _):
        said = [(name, op["op"], [arg.get("channel") for arg in op["args"]]) for name, op in venue.operations]
        assert sorted(said[:2], key=str) == [("business", "login", [None]), ("private", "login", [None])]
        assert sorted(said[2:], key=str) == [
            ("business", "subscribe", ["orders-algo"]),
            ("private", "subscribe", ["orders", "account"]),
        ]
        assert desk.link.ups == 1
        assert desk.link.messages >= 5


async def test_a_fill_arrives_whole():
    row = order_row(
        state="partially_filled",
        accFillSz="0.0015",
        fillSz="0.0005",
        fillPx="50000.1",
        fillFee="-0.0000005",
        fillFeeCcy="BTC",
        fillTime="1700000000005",
        tradeId="42",
        execType="T",
        uTime="1700000000006",
    )
    async with account() as (venue, desk, _):
        await venue.push("private", ORDERS, row)
        await until(lambda: desk.said)
    update = reports.order_update(desk.said[0])
    assert (update.client_order_id, update.status, update.at) == (
        "b15",
        OrderStatus.PartiallyFilled,
        1_700_000_000_006 * MS,
    )
    assert (update.filled_quantity, update.venue_order_id) == (Decimal("0.0015"), "312269865356374016")
    fill = update.fill
    assert (fill.fill_id, fill.quantity, fill.price) == ("BTC-USDT:42", Decimal("0.0005"), Decimal("50000.1"))
    assert (fill.fee, fill.fee_asset, fill.liquidity) == (Decimal("0.0000005"), "BTC", Liquidity.Taker)
    assert (fill.at, fill.side) == (1_700_000_000_005 * MS, Side.Buy)


async def test_an_order_that_a_stop_placed_goes_by_the_stops_names():
    placed = order_row(ordId="99", clOrdId="", algoClOrdId="s1", algoId="555", px="", ordType="market")
    async with account() as (venue, desk, _):
        await venue.push("business", ALGOS, stop_row(state="effective", ordIdList=["99"]))
        await venue.push("private", ORDERS, placed)
        await until(lambda: len(desk.said) == 2)
    stop, order = sorted(desk.said, key=lambda row: type(row).__name__)
    assert stop.placed == "99"
    for update in (reports.stop_update(stop), reports.order_update(order)):
        assert (update.client_order_id, update.venue_order_id, update.status) == ("s1", "555", OrderStatus.Open)


async def test_balances_arrive_one_by_one():
    details = [
        {"ccy": "BTC", "availBal": "1.5", "frozenBal": "0.5", "uTime": "1700000000001"},
        {"ccy": "USDT", "availBal": "", "availEq": "7", "frozenBal": "", "uTime": ""},
    ]
    async with account() as (venue, desk, _):
        await venue.push("private", ACCOUNT, {"uTime": "1700000000002", "details": details})
        await until(lambda: len(desk.said) == 2)
    assert desk.said == [
        BalanceUpdate("BTC", Decimal("1.5"), Decimal("0.5"), 1_700_000_000_001 * MS),
        BalanceUpdate("USDT", Decimal(7), Decimal(0), 1_700_000_000_002 * MS),
    ]


@pytest.mark.parametrize("lost", ["private", "business"])
async def test_when_one_connection_is_lost_both_end(lost):
    async with account() as (venue, _, task):
        await venue.drop(lost)
        with pytest.raises(UnavailableError, match="closed"):
            await asyncio.wait_for(task, 5)
        await until(lambda: not any(venue.sockets.values()))


async def test_a_notice_of_a_service_upgrade_ends_the_connection():
    async with account() as (venue, _, task):
        await venue.notify("private", {"event": "notice", "code": "64008", "msg": "The connection will soon be closed"})
        with pytest.raises(UnavailableError, match="soon be closed"):
            await asyncio.wait_for(task, 5)


async def test_a_stream_that_does_not_report_what_was_acknowledged_is_given_up(monkeypatch):
    monkeypatch.setattr(ExpectedReports, "within", 0.2)
    async with account() as (_, desk, task):
        desk.stream.expected.expect("a")
        desk.stream.expected.expect("b")
        desk.stream.expected.reported("a")
        desk.stream.expected.reported("b")
        await asyncio.sleep(0.8)
        assert not task.done()
        desk.stream.expected.expect("c")
        with pytest.raises(UnavailableError, match="does not report"):
            await asyncio.wait_for(task, 5)


async def test_what_cannot_be_read_ends_the_connection():
    async with account() as (venue, _, task):
        await venue.sockets["private"][0].send_str('{"arg": 5}')
        with pytest.raises(UnavailableError, match="cannot be read"):
            await asyncio.wait_for(task, 5)


@pytest.mark.parametrize(
    ("changes", "kind", "code"),
    [
        ({"passphrase": "WRONG"}, AuthError, "60024"),
        ({"api_key": "WRONG"}, AuthError, "60005"),
        ({"api_secret": "WRONG"}, AuthError, "60007"),
    ],
)
async def test_a_login_that_is_refused_says_why(changes, kind, code):
    async with ScriptedOkx() as venue:
        desk = Account(venue, **changes)
        with pytest.raises(kind) as caught:
            await asyncio.wait_for(desk.run(), 5)
        assert caught.value.code == code
        assert not desk.link.ups


async def test_a_login_with_a_wrong_clock_is_a_clock_error():
    async with ScriptedOkx() as venue:
        venue.drift = -100
        with pytest.raises(ClockError):
            await asyncio.wait_for(Account(venue).run(), 5)


async def test_a_host_that_is_not_there_is_unavailable():
    async with ScriptedOkx() as venue:
        desk = Account(venue)
        desk.root = "ws://127.0.0.1:1"
        with pytest.raises(UnavailableError, match="cannot connect"):
            await desk.run()


async def test_a_quiet_connection_is_kept_awake_and_outlives_a_requests_timeout(monkeypatch):
    monkeypatch.setattr("axon_exchange_okx.socket.PING_EVERY", 0.02)
    async with ScriptedOkx() as venue:
        desk = Account(venue)

        async def run() -> None:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.2)) as session:
                await desk.stream.run(session, desk.root, desk.login, desk.link)

        task = asyncio.create_task(run())
        await desk.link.until_up()
        await asyncio.sleep(0.4)
        assert not task.done()
        assert desk.link.messages > 10, "every ping is answered"
        venue.silent = True
        before = desk.link.messages
        await asyncio.sleep(0.1)
        assert desk.link.messages <= before + 4, "and a dead connection is silent"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Market:
    def __init__(self, venue: ScriptedOkx) -> None:
        self.events: list[object] = []
        self.link = Heard()
        self.stream = MarketStream(lambda: 5, self.events.append)
        self.root = venue.ws

    async def run(self, wanted: list[tuple[Channel, str]]) -> None:
        async with aiohttp.ClientSession() as session:
            await self.stream.run(session, self.root, wanted, self.link)


@asynccontextmanager
async def market(
    *wanted: tuple[Channel, str], on_subscribe: Callable[[str, dict], list[dict]] | None = None
) -> AsyncIterator[tuple[ScriptedOkx, Market, asyncio.Task[None]]]:
    async with ScriptedOkx() as venue:
        if on_subscribe is not None:
            venue.on_subscribe = on_subscribe
        desk = Market(venue)
        task = asyncio.create_task(desk.run(list(wanted)))
        try:
            await desk.link.until_up()
            yield venue, desk, task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_trades_quotes_and_closed_bars_arrive_as_events():
    symbol = "BTC-USDT"
    async with market((Channel.Trades, symbol), (Channel.Quotes, symbol), (Channel.Bars, symbol)) as (venue, desk, _):
        await venue.push(
            "public",
            {"channel": "trades", "instId": symbol},
            {"instId": symbol, "tradeId": "7", "px": "42219.9", "sz": "0.12", "side": "sell", "ts": "1630048897897"},
        )
        await venue.push(
            "public",
            {"channel": "bbo-tbt", "instId": symbol},
            {"asks": [["2.5", "1", "0", "3"]], "bids": [["2.4", "9", "0", "1"]], "ts": "1630048897898", "seqId": 8},
        )
        await venue.push(
            "public",
            {"channel": "bbo-tbt", "instId": symbol},
            {"asks": [], "bids": [["2.4", "9", "0", "1"]], "ts": "1630048897899", "seqId": 9},
        )
        bar = ["1629993600000", "42500", "48199.9", "41006.1", "41006.2", "3587.4", "166741046.2", "1667", "0"]
        arg = {"channel": "candle1m", "instId": symbol}
        await venue.push("business", arg, bar)
        await venue.push("business", arg, [*bar[:-1], "1"])
        await until(lambda: len(desk.events) == 3)
    assert sorted(desk.events, key=lambda event: type(event).__name__) == [
        Bar(symbol, (1_629_993_600_000 + 60_000) * MS, 42500.0, 48199.9, 41006.1, 41006.2, 3587.4),
        Quote(symbol, 5, 2.4, 9.0, 2.5, 1.0, 8, 1_630_048_897_898 * MS),
        Trade(symbol, 5, 42219.9, 0.12, True, 7, 1_630_048_897_897 * MS),
    ]


def book(sequence: int, previous: int, *, bid: str = "1", size: str = "1") -> dict:
    return {
        "asks": [["2", "1", "0", "1"]],
        "bids": [[bid, size, "0", "1"]],
        "ts": "1597026383085",
        "checksum": 1,
        "seqId": sequence,
        "prevSeqId": previous,
    }


async def test_a_book_that_misses_a_message_is_asked_for_again():
    arg = {"channel": "books", "instId": "BTC-USDT"}
    snapshots = iter([book(10, -1), book(30, -1)])

    def on_subscribe(name, wanted):
        return [{"arg": wanted, "action": "snapshot", "data": [next(snapshots)]}]

    async with market((Channel.Book, "BTC-USDT"), on_subscribe=on_subscribe) as (venue, desk, _):
        await venue.push("public", arg, book(12, 10), action="update")
        await until(lambda: len(desk.events) == 2)
        await venue.push("public", arg, book(20, 15), action="update")
        await until(lambda: desk.events[2:] and isinstance(desk.events[-1], BookSnapshot))
        await venue.push("public", arg, book(31, 30, size="4"), action="update")
        await until(lambda: isinstance(desk.events[-1], BookUpdate))
        operations = [op["op"] for _, op in venue.operations]
    assert operations == ["subscribe", "unsubscribe", "subscribe"]
    whole = OrderBook("BTC-USDT")
    for event in desk.events:
        if isinstance(event, BookSnapshot):
            whole.restore(event)
        else:
            whole.apply(event)
    assert whole.whole
    assert whole.best_bid == (1.0, 4.0)
    first, second, *_, last = desk.events
    assert isinstance(first, BookSnapshot)
    assert second.first_sequence == first.sequence + 1
    assert (last.bids, last.asks) == ([(1.0, 4.0)], [(2.0, 1.0)])


async def test_a_channel_is_added_to_the_running_connection():
    async with market((Channel.Trades, "BTC-USDT")) as (venue, desk, task):
        await desk.stream.subscribe(Channel.Quotes, "BTC-USDT")
        assert not venue.sockets["business"]
        await desk.stream.subscribe(Channel.Bars, "BTC-USDT")
        assert len(venue.sockets["public"]) == len(venue.sockets["business"]) == 1
        venue.refused_channels.add("NO-SUCH")
        with pytest.raises(RejectedError, match="doesn't exist"):
            await desk.stream.subscribe(Channel.Trades, "NO-SUCH")
        assert not task.done(), "a channel that does not exist costs the others nothing"
        await venue.drop("business")
        await asyncio.wait_for(task, 5)


async def test_without_a_connection_subscribing_does_nothing():
    async with ScriptedOkx() as venue:
        await Market(venue).stream.subscribe(Channel.Trades, "BTC-USDT")
        assert not venue.operations


async def test_a_connection_lost_while_subscribing_ends_the_wait():
    async with market((Channel.Trades, "BTC-USDT")) as (venue, desk, task):
        venue.silent = True
        waiting = asyncio.create_task(desk.stream.subscribe(Channel.Quotes, "BTC-USDT"))
        await asyncio.sleep(0.05)
        await venue.drop("public")
        with pytest.raises(ExchangeError):
            await asyncio.wait_for(waiting, 5)
        await asyncio.wait_for(task, 5)


async def test_a_connection_given_up_while_subscribing_is_an_error_and_no_cancellation():
    async with market((Channel.Trades, "BTC-USDT")) as (venue, desk, task):
        venue.silent = True
        waiting = asyncio.create_task(desk.stream.subscribe(Channel.Quotes, "BTC-USDT"))
        await asyncio.sleep(0.05)
        task.cancel()  # as the base does when nothing is heard any more
        await asyncio.wait({task, waiting}, timeout=5)
        assert not waiting.cancelled()
        assert isinstance(waiting.exception(), UnavailableError)
