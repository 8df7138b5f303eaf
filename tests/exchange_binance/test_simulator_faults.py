"""Everything that can go wrong at the Binance simulator, as a client sees it, beside what really happened."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import aiohttp
import pytest
from simulated import MARKET, simulated

from axon_exchange_binance.simulator import BinanceSimulator
from axon_quant.exchange.simulator import FaultPlan

ONE_ORDER = {"where": "request:order.place", "every": 1, "limit": 1}
LOST = (aiohttp.ClientError, ConnectionError)


def orders(client) -> list[dict]:
    return client.venue.truth()["accounts"]["main"]["orders"]


class TestRequests:
    async def test_a_lost_response_hides_an_order_that_was_accepted(self):
        async with simulated({"kind": "lose-response", **ONE_ORDER}) as client:
            with pytest.raises(LOST):
                await client.place(MARKET, newClientOrderId="mine")
            assert [order["status"] for order in orders(client)] == ["filled"]
            found = await client.ask("GET", "order", symbol="BTCUSDT", origClientOrderId="mine")
            assert found["status"] == "FILLED"
            assert client.venue.truth()["faults"] == {"lose-response": 1}

    async def test_a_lost_request_is_never_seen(self):
        async with simulated({"kind": "lose-request", **ONE_ORDER}) as client:
            with pytest.raises(LOST):
                await client.place(MARKET)
            assert orders(client) == []
            assert (await client.place(MARKET)).status == 200

    async def test_an_overloaded_venue_has_not_carried_it_out(self):
        async with simulated({"kind": "refuse", **ONE_ORDER}) as client:
            said = await client.place(MARKET)
            assert (said.status, said["code"], orders(client)) == (503, -1008, [])

    @pytest.mark.parametrize(("kind", "accepted"), [("unknown-accepted", 1), ("unknown-refused", 0)])
    async def test_an_unknown_outcome_is_either(self, kind, accepted):
        async with simulated({"kind": kind, "where": "request:order.place", "every": 1, "limit": 3}) as client:
            said = [await client.place(MARKET) for _ in range(3)]
            assert {each["code"] for each in said} == {-1000, -1006, -1007}
            assert {each.status for each in said} <= {503, 504}
            assert len(orders(client)) == 3 * accepted

    async def test_a_late_acceptance_comes_after_the_answer_and_before_the_evidence_is_due(self):
        async with simulated({"kind": "late-accept", "seconds": 0.6, **ONE_ORDER}, engine_timeout=0.3) as client:
            sent = client.now()
            said = await client.place(MARKET, recvWindow=1_000, newClientOrderId="late")
            assert said["code"] in (-1000, -1006, -1007)
            look = {"symbol": "BTCUSDT", "origClientOrderId": "late"}
            assert (await client.ask("GET", "order", **look))["code"] == -2013
            await asyncio.sleep(0.8)
            found = await client.ask("GET", "order", **look)
            assert found["status"] == "FILLED"
            assert found["time"] <= sent + 1_000 + 300

    async def test_what_is_too_late_for_its_window_is_never_accepted(self):
        """The window is checked again before the engine, where a request may wait `engine_timeout`, and no longer."""
        async with simulated({"kind": "late-accept", "seconds": 0.9, **ONE_ORDER}, engine_timeout=0.3) as client:
            await client.place(MARKET, recvWindow=400)
            await asyncio.sleep(1.2)
            assert orders(client) == []

    async def test_a_slow_request_may_outlive_its_window(self):
        async with simulated({"kind": "slow", "seconds": 0.5, **ONE_ORDER}) as client:
            began = time.monotonic()
            said = await client.place(MARKET, recvWindow=300)
            assert said["code"] == -1021
            assert time.monotonic() - began >= 0.5

    @pytest.mark.parametrize(
        ("kind", "status", "counted"), [("rate-limit", 429, "during_wait"), ("ban", 418, "during_ban")]
    )
    async def test_a_closed_venue_answers_nothing_and_counts_who_asks(self, kind, status, counted):
        async with simulated({"kind": kind, "seconds": 0.5, **ONE_ORDER}) as client:
            said = await client.place(MARKET)
            assert (said.status, said["code"], said.headers["Retry-After"]) == (status, -1003, "1")
            assert (await client.get("ping")).status == status  # which may have been on its way
            await asyncio.sleep(0.3)
            assert (await client.get("ping")).status == status
            await asyncio.sleep(0.4)
            assert (await client.get("ping")).status == 200
            assert client.venue.truth()[counted] == 1
            assert orders(client) == []

    async def test_the_clock_drifts(self):
        async with simulated({"kind": "drift", "milliseconds": -2_500, **ONE_ORDER}) as client:
            stamp = client.now()
            said = await client.ask("POST", "order", **MARKET, timestamp=stamp)
            assert said["code"] == -1021
            assert client.venue.drift_ms == -2_500
            assert (await client.place(MARKET)).status == 200  # by the venue's time

    async def test_a_socket_request_may_be_lost_too(self):
        async with simulated({"kind": "lose-response", **ONE_ORDER}) as client, client.socket("/ws-api/v3") as socket:
            with pytest.raises(ConnectionError):
                await socket.call("order.place", **client.signed(**MARKET))
            assert len(orders(client)) == 1


class TestStreams:
    async def test_a_connection_breaks_in_the_middle_of_the_fills(self):
        fault = {"kind": "disconnect", "where": "stream:account:trade", "every": 2, "limit": 1}
        async with simulated(fault) as client, client.events() as events:
            bought = await client.place(MARKET, quantity="6")
            assert len(bought["fills"]) > 2
            await events.report("TRADE")
            with pytest.raises(ConnectionError):
                await events.report("TRADE")

    @pytest.mark.parametrize(("kind", "answers"), [("stall", True), ("freeze", False)])
    async def test_a_stalled_stream_answers_pings_and_a_frozen_one_does_not(self, kind, answers):
        fault = {"kind": kind, "where": "stream:account:trade", "every": 1, "limit": 1}
        async with simulated(fault) as client, client.events() as events:
            await client.place(MARKET)
            assert (await events.report())["x"] == "NEW"
            await events.event("outboundAccountPosition")
            await client.place(MARKET)  # of which nothing is told
            await events.connection.ping(b"here")
            if answers:
                assert (await events.connection.receive()).type is aiohttp.WSMsgType.PONG
                assert (await events.call("ping"))["status"] == 200
            else:
                with pytest.raises(TimeoutError):
                    await events.next(within=0.3)

    async def test_events_come_twice_and_out_of_order(self):
        twice = {"kind": "duplicate", "where": "stream:account:new", "every": 1, "limit": 1}
        late = {"kind": "reorder", "where": "stream:account:trade", "every": 1, "limit": 1}
        async with simulated(twice, late) as client, client.events() as events:
            bought = await client.place(MARKET, quantity="6")
            ids = [fill["tradeId"] for fill in bought["fills"]]
            first, second = await events.report(), await events.report()
            assert first == second
            # What was held back comes after the next message of the stream, which is a balance.
            told = await events.next(lambda said: said["event"]["e"] == "outboundAccountPosition")
            assert told["event"]["B"]
            reports = [await events.report("TRADE") for _ in ids]
            assert sorted(report["t"] for report in reports) == ids

    async def test_what_waits_for_a_message_that_does_not_come_is_sent_after_all(self):
        late = {"kind": "reorder", "where": "stream:account:balances", "every": 1}
        async with simulated(late) as client, client.events() as events:
            await client.place(price="45000")
            assert await events.event("outboundAccountPosition", within=2)

    async def test_a_book_has_a_gap(self):
        fault = {"kind": "drop", "where": "stream:market:depth@100ms", "every": 3, "limit": 1}
        async with simulated(fault) as client, client.socket("/ws/btcusdt@depth@100ms") as socket:
            updates = [await socket.next() for _ in range(5)]
            gaps = [late["U"] - early["u"] for early, late in pairwise(updates)]
            assert sum(gap > 1 for gap in gaps) == 1

    async def test_a_venue_that_goes_down_says_so_and_ends_every_connection(self):
        fault = {"kind": "shutdown", "where": "stream:market:trade", "every": 1, "limit": 1, "seconds": 0.2}
        async with (
            simulated(fault) as client,
            client.events() as events,
            client.socket("/ws/btcusdt@trade") as socket,
        ):
            assert (await socket.next())["e"] == "serverShutdown"
            assert (await events.next(lambda said: "event" in said))["event"]["e"] == "serverShutdown"
            for each in (socket, events):
                with pytest.raises(ConnectionError):
                    await each.next(lambda _: False, within=3)

    async def test_a_subscription_is_ended_and_its_connection_is_not(self):
        fault = {"kind": "terminate", "where": "stream:account:trade", "every": 1, "limit": 1}
        async with simulated(fault) as client, client.events() as events:
            await client.place(MARKET)
            await events.event("eventStreamTerminated")
            assert (await events.call("session.subscriptions"))["result"] == []

    async def test_a_connection_is_slow_to_start_or_refused(self):
        slow = {"kind": "slow-start", "where": "connect", "every": 1, "limit": 1, "seconds": 0.4}
        refused = {"kind": "refuse-connection", "where": "connect", "every": 1, "limit": 1}
        async with simulated(slow, refused) as client:
            began = time.monotonic()
            async with client.socket("/ws"):
                assert time.monotonic() - began >= 0.4
            with pytest.raises(aiohttp.WSServerHandshakeError):
                async with client.socket("/ws"):
                    pass

    async def test_a_client_that_does_not_wait_for_its_connection_is_no_error(self, caplog):
        slow = {"kind": "slow-start", "where": "connect", "every": 1, "limit": 1, "seconds": 0.3}
        async with simulated(slow) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1), client.socket("/ws"):
                    pass
            await asyncio.sleep(0.4)
        assert not caplog.records

    async def test_a_venue_is_slow_to_start(self):
        async with simulated({"kind": "slow-start", "where": "start", "every": 1, "seconds": 0.5}) as client:
            began = time.monotonic()
            assert (await client.get("ping")).status == 200
            assert time.monotonic() - began >= 0.3


async def test_orders_and_money_outlive_the_server():
    """The venue is down for a while: connections break, nothing is forgotten, and it comes back where it was."""
    async with simulated() as client:
        placed = await client.place(price="45000", newClientOrderId="mine")
        port = client.venue.port
        async with client.events() as events:
            await client.venue.stop()
            with pytest.raises(ConnectionError):
                await events.report()
        with pytest.raises(LOST):
            await client.get("ping")
        await client.venue.start(port)
        found = await client.ask("GET", "order", symbol="BTCUSDT", origClientOrderId="mine")
        assert (found["orderId"], found["status"]) == (placed["orderId"], "NEW")
        assert (await client.place(MARKET))["status"] == "FILLED"


async def test_plans_are_replaced_while_it_runs():
    async with simulated() as client:
        url = client.venue.roots["rest"] + "/simulator/faults?seed=1"
        async with client._session.post(url, json=[{"kind": "refuse", "where": "request:ping", "every": 1}]) as it:
            assert await it.json() == {"rules": 1}
        assert (await client.get("ping")).status == 503
        async with client._session.post(url, json=[{"kind": "nonsense"}]) as it:
            assert it.status == 400
            assert "nonsense" in (await it.json())["error"]
        assert (await client.get("/simulator/truth"))["faults"] == {"refuse": 1}
        given = {"account": "main", "asset": "EUR", "amount": "5"}
        async with client._session.post(client.venue.roots["rest"] + "/simulator/transfer", json=given) as it:
            assert await it.json() == {"free": "100005"}


async def scripted_run(seed: int) -> dict:
    """The same requests under the same plan; the market stands still, so that only the plan can differ."""
    plan = [
        {"kind": "lose-response", "where": "request:order.place", "probability": 0.2},
        {"kind": "refuse", "where": "request:order.place", "probability": 0.2},
        {"kind": "unknown-accepted", "where": "request:order.*", "probability": 0.1},
    ]
    async with simulated(*plan, seed=seed, speed=1e-9) as client:
        for number in range(40):
            try:
                await client.place(MARKET, newClientOrderId=f"n{number}")
            except LOST:
                continue
        truth = client.venue.truth()
        main = truth["accounts"]["main"]
        rows = [(row["client_order_id"], row["status"], row["value"]) for row in main["orders"]]
        return {"orders": rows, "balances": main["balances"], "faults": truth["faults"]}


async def test_the_same_seed_is_the_same_run():
    first, same, other = [await scripted_run(seed) for seed in (5, 5, 6)]
    assert first == same != other
    assert len(first["faults"]) == 3


async def test_ten_thousand_orders_pass():
    """Through the protocol, though not through a socket: what a campaign asks of one venue."""
    venue = BinanceSimulator(symbols=("BTCUSDT",), limits=(), faults=FaultPlan())
    venue.feed.prepare()
    requests, parameters = venue._account_requests["order.place"], {**MARKET, "newOrderRespType": "ACK"}
    from axon_exchange_binance.simulator.parameters import Parameters

    account = venue.exchange.accounts["YOUR_API_KEY"]
    began = time.monotonic()
    for number in range(10_000):
        side = "BUY" if number % 2 else "SELL"
        given = Parameters({**parameters, "quantity": "0.0002", "side": side}, venue.exchange.instruments)
        requests(account, given)
        if number % 20 == 0:
            venue.feed.advance(0.1)
    assert len(account.orders) == 10_000
    assert time.monotonic() - began < 60
