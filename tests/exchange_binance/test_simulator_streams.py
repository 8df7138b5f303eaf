"""What the Binance simulator says by itself."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from simulated import LIMIT, MARKET, OTHER_KEY, OTHER_SECRET, Client, simulated

from axon_quant.market import BookSnapshot, BookStatus, BookUpdate, OrderBook


def floats(side) -> list[tuple[float, float]]:
    return [(float(price), float(quantity)) for price, quantity in side]


class TestMarketStreams:
    @pytest.mark.parametrize(
        ("channel", "kind"),
        [
            ("trade", "trade"),
            ("aggTrade", "aggTrade"),
            ("depth@100ms", "depthUpdate"),
            ("depth", "depthUpdate"),
            ("miniTicker", "24hrMiniTicker"),
            ("ticker", "24hrTicker"),
            ("kline_1m", "kline"),
            ("avgPrice", "avgPrice"),
        ],
    )
    async def test_each_channel_says_what_it_is_called(self, channel, kind):
        async with simulated() as client, client.socket(f"/ws/btcusdt@{channel}") as socket:
            said = await socket.next()
            assert (said["e"], said["s"]) == (kind, "BTCUSDT")

    async def test_the_best_prices_and_the_top_of_the_book_have_no_name(self):
        async with simulated() as client, client.socket("/stream") as socket:
            await socket.send({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker", "btcusdt@depth20"], "id": 1})
            quote = (await socket.next(lambda said: said.get("stream") == "btcusdt@bookTicker"))["data"]
            top = (await socket.next(lambda said: said.get("stream") == "btcusdt@depth20"))["data"]
            assert float(quote["b"]) < float(quote["a"])
            assert len(top["bids"]) == len(top["asks"]) == 20

    async def test_all_of_the_market(self):
        async with simulated() as client, client.socket("/ws/!miniTicker@arr") as socket:
            assert {row["s"] for row in await socket.next()} == {"BTCUSDT", "ETHUSDT"}

    async def test_requests_about_subscriptions(self):
        async with simulated() as client, client.socket("/stream?streams=btcusdt@trade/ethusdt@trade") as socket:

            async def ask(method: str, params: object = None, id_: object = 7):
                said = {"method": method, "id": id_} | ({} if params is None else {"params": params})
                await socket.send(said)
                return await socket.next(lambda message: "stream" not in message and "e" not in message)

            assert await ask("LIST_SUBSCRIPTIONS") == {"result": ["btcusdt@trade", "ethusdt@trade"], "id": 7}
            assert await ask("UNSUBSCRIBE", ["ethusdt@trade"]) == {"result": None, "id": 7}
            assert await ask("LIST_SUBSCRIPTIONS") == {"result": ["btcusdt@trade"], "id": 7}
            await asyncio.sleep(1)
            assert (await ask("SUBSCRIBE", ["btcusdt@nonsense"]))["error"]["code"] == 2
            assert (await ask("SHOUT", ["btcusdt@trade"]))["error"]["code"] == 2
            assert await ask("SET_PROPERTY", ["combined", False]) == {"result": None, "id": 7}
            assert (await socket.next())["e"] == "trade"

    async def test_who_says_too_much_is_cut_off(self):
        async with simulated() as client, client.socket("/ws") as socket:
            for number in range(30):
                await socket.send({"method": "LIST_SUBSCRIPTIONS", "id": number})
            with pytest.raises(ConnectionError):
                await socket.next(lambda _: False)

    async def test_a_book_is_kept_as_binance_says(self):
        """A snapshot, then every update that goes on from it; the best prices lie within what updates cover."""
        async with simulated() as client, client.socket("/ws/btcusdt@depth@100ms/btcusdt@bookTicker") as socket:
            first = await socket.next(lambda said: "U" in said)
            raw = await client.get("depth", symbol="BTCUSDT", limit=1000)
            book = OrderBook("BTCUSDT")
            snapshot = BookSnapshot("BTCUSDT", 1, raw["lastUpdateId"], floats(raw["bids"]), floats(raw["asks"]))
            said, previous, quoted = first, None, 0
            book.apply(BookUpdate("BTCUSDT", 1, said["U"], said["u"], floats(said["b"]), floats(said["a"])))
            assert book.restore(snapshot) in (BookStatus.APPLIED, BookStatus.STALE)
            for _ in range(60):
                said = await socket.next()
                if "U" not in said:
                    assert said["u"] > quoted
                    quoted = said["u"]
                    continue
                assert previous is None or said["U"] == previous + 1
                previous = said["u"]
                assert said["U"] <= quoted <= said["u"] or quoted == 0
                book.apply(BookUpdate("BTCUSDT", 1, said["U"], said["u"], floats(said["b"]), floats(said["a"])))
            assert book.whole
            assert book.gaps == book.crossings == 0

    async def test_a_recording_is_the_market(self, btcusdt_session: Path):
        async with simulated(recording=btcusdt_session, symbols=("BTCUSDT",), speed=4.0) as client:
            async with client.socket("/ws/btcusdt@depth@100ms/btcusdt@trade") as socket:
                book = OrderBook("BTCUSDT")
                raw = await client.get("depth", symbol="BTCUSDT", limit=5000)
                restored = BookSnapshot("BTCUSDT", 1, raw["lastUpdateId"], floats(raw["bids"]), floats(raw["asks"]))
                assert book.restore(restored) is BookStatus.APPLIED
                for _ in range(40):
                    said = await socket.next(lambda message: message["e"] == "depthUpdate")
                    book.apply(BookUpdate("BTCUSDT", 1, said["U"], said["u"], floats(said["b"]), floats(said["a"])))
                assert book.gaps == 0
            bought = await client.place(MARKET, quantity="0.1")
            assert bought["status"] == "FILLED"
            assert abs(float(bought["fills"][0]["price"]) / float(client.price()) - 1) < 0.001


class TestAccountStream:
    async def test_an_order_s_life_and_its_balances_are_told_in_order(self):
        async with simulated() as client, client.events() as events:
            placed = await client.place(price="45000", newClientOrderId="mine")
            new = await events.report()
            assert (new["x"], new["X"], new["c"], new["i"]) == ("NEW", "NEW", "mine", placed["orderId"])
            position = await events.event("outboundAccountPosition")
            assert position["B"] == [{"a": "USDT", "f": "999550.00000000", "l": "450.00000000"}]
            await client.ask("DELETE", "order", symbol="BTCUSDT", orderId=placed["orderId"], newClientOrderId="away")
            gone = await events.report()
            assert (gone["x"], gone["X"], gone["c"], gone["C"]) == ("CANCELED", "CANCELED", "away", "mine")
            assert (await events.event("outboundAccountPosition"))["B"][0]["l"] == "0.00000000"

    async def test_fills_are_told_one_by_one_and_add_up(self):
        async with simulated() as client, client.events() as events:
            bought = await client.place(MARKET, quantity="3")
            assert (await events.report())["x"] == "NEW"
            filled = Decimal(0)
            for fill in bought["fills"]:
                report = await events.report("TRADE")
                filled += Decimal(report["l"])
                assert (report["t"], Decimal(report["z"])) == (fill["tradeId"], filled)
                assert (report["n"], report["N"], report["m"]) == (fill["commission"], "BTC", False)
            assert report["X"] == "FILLED"

    async def test_a_maker_is_filled_by_the_market_and_pays_as_one(self):
        async with simulated() as client, client.events() as events:
            best = Decimal((await client.get("ticker/bookTicker", symbol="BTCUSDT"))["bidPrice"])
            await client.place({**LIMIT, "quantity": "0.001"}, price=f"{best}")
            report = await events.report("TRADE", within=20)
            assert (report["m"], report["L"]) == (True, f"{best:.8f}")

    async def test_a_transfer_is_a_balance_update(self):
        async with simulated() as client, client.events() as events:
            client.venue.exchange.transfer(client.venue.exchange.accounts[client.key], "EUR", Decimal(5))
            update = await events.event("balanceUpdate")
            assert (update["a"], update["d"]) == ("EUR", "5.00000000")
            assert (await events.event("outboundAccountPosition"))["B"][0]["f"] == "100005.00000000"

    async def test_accounts_hear_of_their_own_orders_only(self):
        async with simulated() as client, client.events() as events:
            other = Client(client.venue, OTHER_KEY, OTHER_SECRET)
            try:
                await other.place(MARKET)
                await client.place(MARKET, newClientOrderId="mine")
                assert (await events.report())["c"] == "mine"
            finally:
                await other.close()

    async def test_a_subscription_is_signed_and_there_is_one_per_account(self):
        async with simulated() as client, client.events() as events:
            again = await events.call("userDataStream.subscribe.signature", **client.signed())
            assert (again["status"], again["error"]["code"]) == (400, -2035)
            client.secret = "WRONG"
            wrong = await events.call("userDataStream.subscribe.signature", **client.signed())
            assert wrong["error"]["code"] == -1022
            other = Client(client.venue, OTHER_KEY, OTHER_SECRET)
            second = await events.call("userDataStream.subscribe.signature", **other.signed())
            await other.close()
            assert second["result"] == {"subscriptionId": 1}
            assert (await events.call("session.subscriptions"))["result"] == [
                {"subscriptionId": 0},
                {"subscriptionId": 1},
            ]

    async def test_the_end_of_a_subscription_is_said(self):
        async with simulated() as client, client.events() as events:
            await events.send({"id": 9, "method": "userDataStream.unsubscribe", "params": {"subscriptionId": 0}})
            await events.event("eventStreamTerminated")
            await client.place(MARKET)
            with pytest.raises(TimeoutError):
                await events.report(within=0.3)
        async with simulated() as client, client.events() as events:
            client.venue.terminate(client.venue.exchange.accounts[client.key])
            await events.event("eventStreamTerminated")


class TestConnections:
    async def test_the_venue_pings_and_ends_what_does_not_answer(self):
        async with simulated() as client:
            client.venue.ping_every, client.venue.silence_limit = 0.1, 0.5
            async with client.socket("/ws/btcusdt@trade") as socket:
                kinds = {(await socket.connection.receive()).type for _ in range(12)}
                assert aiohttp.WSMsgType.PING in kinds
                with pytest.raises(ConnectionError):
                    await socket.next(lambda _: False, within=3)

    async def test_a_pong_keeps_a_connection_alive(self):
        async with simulated() as client:
            client.venue.ping_every, client.venue.silence_limit = 0.1, 0.5
            session = client._session
            async with session.ws_connect(client.venue.roots["ws"] + "/ws-api/v3") as connection:  # answers pings
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(connection.receive(), 1.5)
                assert not connection.closed

    async def test_no_connection_lives_longer_than_a_day(self):
        async with simulated() as client:
            client.venue.life = 0.3
            async with client.socket("/ws/btcusdt@trade") as socket:
                with pytest.raises(ConnectionError):
                    await socket.next(lambda _: False, within=3)

    async def test_a_client_s_ping_is_answered(self):
        async with simulated() as client, client.socket("/ws") as socket:
            await socket.connection.ping(b"here")
            message = await asyncio.wait_for(socket.connection.receive(), 3)
            assert (message.type, message.data) == (aiohttp.WSMsgType.PONG, b"here")

    async def test_an_address_may_connect_so_often_only(self):
        async with simulated() as client:
            client.venue.meter("connections").close(client.venue.now(), 60.0, banned=False)
            async with client.socket("/ws/btcusdt@trade") as socket:
                with pytest.raises(ConnectionError):
                    await socket.next(lambda _: False, within=3)
