"""Everything that can go wrong at the OKX simulator, as a client sees it, beside what really happened."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random

import aiohttp
import pytest
from simulated_okx import BUSINESS, LIMIT, LOST, MARKET, PRIVATE, PUBLIC, SYMBOL, simulated

from axon_exchange_okx.simulator import OkxSimulator
from axon_exchange_okx.simulator.table import REST, Call
from axon_quant.exchange.simulator import Asked
from axon_quant.exchange.simulator.faults import KINDS

ONE_ORDER = {"where": "request:order.place", "every": 1, "limit": 1}
ORDERS = {"channel": "orders", "instType": "ANY"}
BOOKS = {"channel": "books", "instId": SYMBOL}


def orders(client) -> list[dict]:
    return client.truth()["orders"]


class TestRequests:
    async def test_a_lost_response_hides_an_order_that_was_accepted(self):
        async with simulated({"kind": "lose-response", **ONE_ORDER}) as client:
            with pytest.raises(LOST):
                await client.place(MARKET, clOrdId="mine")
            assert [order["status"] for order in orders(client)] == ["filled"]
            assert (await client.get("trade/order", instId=SYMBOL, clOrdId="mine")).row["state"] == "filled"
            assert client.venue.truth()["faults"] == {"lose-response": 1}

    async def test_a_lost_request_is_never_seen(self):
        async with simulated({"kind": "lose-request", **ONE_ORDER}) as client:
            with pytest.raises(LOST):
                await client.place(MARKET, clOrdId="mine")
            assert orders(client) == []
            assert (await client.place(MARKET, clOrdId="mine")).s_code == "0"

    async def test_an_overloaded_venue_has_not_carried_it_out(self):
        async with simulated({"kind": "refuse", **ONE_ORDER}) as client:
            said = await client.place(MARKET)
            assert (said.status, said["code"], orders(client)) == (503, "50001", [])

    @pytest.mark.parametrize(("kind", "accepted"), [("unknown-accepted", 1), ("unknown-refused", 0)])
    async def test_an_unknown_outcome_is_either(self, kind, accepted):
        async with simulated({"kind": kind, **ONE_ORDER}) as client:
            said = await client.place(MARKET)
            assert (said.status, said["code"], len(orders(client))) == (400, "50004", accepted)

    async def test_a_slow_request_may_outlive_its_time(self):
        async with simulated({"kind": "slow", "seconds": 0.5, **ONE_ORDER}) as client:
            client.changed = {"expTime": str(client.now() + 300)}
            began = time.monotonic()
            assert (await client.place(MARKET))["code"] == "50036"
            assert time.monotonic() - began >= 0.5
            assert orders(client) == []

    @pytest.mark.parametrize(("kind", "counted"), [("rate-limit", "during_wait"), ("ban", "during_ban")])
    async def test_a_closed_endpoint_answers_nothing_and_counts_who_asks(self, kind, counted):
        async with simulated({"kind": kind, "seconds": 0.8, **ONE_ORDER}) as client:
            said = await client.place(MARKET)
            assert (said.status, said["code"], said.headers["Retry-After"]) == (429, "50011", "1")
            assert (await client.place(MARKET))["code"] == "50011"  # it may have been on its way
            assert client.venue.truth()[counted] == 0
            await asyncio.sleep(0.4)
            assert (await client.place(MARKET))["code"] == "50011"
            assert (await client.get("account/balance"))["code"] == "0"
            await asyncio.sleep(0.5)
            assert (await client.place(MARKET))["code"] == "0"
            assert (client.venue.truth()[counted], len(orders(client))) == (1, 1)

    async def test_the_clock_drifts(self):
        async with simulated({"kind": "drift", "milliseconds": -40_000, **ONE_ORDER}) as client:
            assert (await client.place(MARKET))["code"] == "50102"
            assert client.venue.drift_ms == -40_000
            assert (await client.place(MARKET)).s_code == "0"  # by the venue's time

    async def test_a_socket_request_may_be_lost_too(self):
        fault = {"kind": "lose-response", **ONE_ORDER}
        async with simulated(fault) as client, client.socket(PRIVATE) as socket:
            with pytest.raises(ConnectionError):
                await socket.call("order", MARKET)
            assert len(orders(client)) == 1

    async def test_logins_and_subscriptions_go_wrong(self):
        plan = [
            {"kind": "rate-limit", "where": "request:login", "every": 1, "limit": 1, "seconds": 0.1},
            {"kind": "refuse", "where": "request:subscribe", "every": 1, "limit": 1},
            {"kind": "lose-request", "where": "request:unsubscribe", "every": 1, "limit": 1},
        ]
        async with simulated(*plan) as client, client.socket(PUBLIC) as socket:
            said = await socket.call("login", client.login())
            assert (said["event"], said["code"]) == ("error", "60014")
            await asyncio.sleep(0.2)
            assert (await socket.call("subscribe", BOOKS))["code"] == "64007"
            assert (await socket.call("subscribe", BOOKS))["event"] == "subscribe"
            with pytest.raises(ConnectionError):
                await socket.call("unsubscribe", BOOKS)


class TestStreams:
    async def test_a_connection_breaks_in_the_middle_of_the_fills(self):
        fault = {"kind": "disconnect", "where": "stream:account:trade", "every": 2, "limit": 1}
        async with simulated(fault) as client, client.socket(PRIVATE, ORDERS) as socket:
            await client.place(MARKET, sz="6")
            assert len(client.truth()["fills"]) > 2
            assert [(await socket.row("orders"))["state"] for _ in range(2)] == ["live", "partially_filled"]
            with pytest.raises(ConnectionError):
                await socket.row("orders")

    async def test_a_subscription_that_is_ended_takes_the_connection_with_it(self):
        fault = {"kind": "terminate", "where": "stream:account:trade", "every": 1, "limit": 1}
        async with simulated(fault) as client, client.socket(PRIVATE, ORDERS) as socket:
            await client.place(MARKET)
            assert (await socket.row("orders"))["state"] == "live"
            with pytest.raises(ConnectionError):
                await socket.row("orders")

    @pytest.mark.parametrize(("kind", "answers"), [("stall", True), ("freeze", False)])
    async def test_a_stalled_stream_answers_pings_and_a_frozen_one_does_not(self, kind, answers):
        fault = {"kind": kind, "where": "stream:account:trade", "every": 1, "limit": 1}
        async with simulated(fault) as client, client.socket(PRIVATE, ORDERS) as socket:
            await client.place(MARKET)
            assert (await socket.row("orders"))["state"] == "live"
            await client.place(MARKET)  # of which nothing is told
            await socket.send("ping")
            if answers:
                assert await socket.next() == "pong"
            else:
                with pytest.raises(TimeoutError):
                    await socket.next(within=0.3)

    async def test_reports_come_twice_and_out_of_order(self):
        twice = {"kind": "duplicate", "where": "stream:account:new", "every": 1, "limit": 1}
        late = {"kind": "reorder", "where": "stream:account:trade", "every": 1, "limit": 1}
        async with simulated(twice, late) as client, client.socket(PRIVATE, ORDERS) as socket:
            await client.place(MARKET, sz="6")
            assert await socket.row("orders") == await socket.row("orders")
            ids = [str(fill["trade_id"]) for fill in client.truth()["fills"]]
            told = [(await socket.row("orders"))["tradeId"] for _ in ids]
            assert told == [ids[1], ids[0], *ids[2:]]

    async def test_a_dropped_message_leaves_a_gap_in_the_book(self):
        fault = {"kind": "drop", "where": "stream:market:books", "every": 1, "after": 3, "limit": 1}
        async with simulated(fault) as client, client.socket(PUBLIC, BOOKS) as socket:
            rows = [await socket.row("books") for _ in range(6)]
            breaks = [late["prevSeqId"] != early["seqId"] for early, late in pairwise(rows)]
            assert breaks == [False, False, True, False, False]
            await socket.call("unsubscribe", BOOKS)
            await socket.call("subscribe", BOOKS)
            assert (await socket.push("books"))["action"] == "snapshot"

    async def test_a_venue_that_goes_down_says_so_and_ends_every_connection(self):
        fault = {"kind": "shutdown", "where": "stream:market:books", "every": 5, "limit": 1, "seconds": 0.2}
        async with (
            simulated(fault) as client,
            client.socket(PRIVATE, ORDERS) as private,
            client.socket(BUSINESS) as business,
            client.socket(PUBLIC, BOOKS) as public,
        ):
            for socket in (public, private):
                notice = await socket.next(lambda said: said.get("event") == "notice")
                assert (notice["code"], notice["connId"] != "") == ("64008", True)
            for socket in (public, private, business):
                with pytest.raises(ConnectionError):
                    await socket.next(lambda said: said.get("event") == "notice", within=3)

    async def test_a_connection_is_slow_to_start_or_refused(self):
        slow = {"kind": "slow-start", "where": "connect", "every": 1, "limit": 1, "seconds": 0.4}
        refused = {"kind": "refuse-connection", "where": "connect", "every": 1, "limit": 1}
        async with simulated(slow, refused) as client:
            began = time.monotonic()
            async with client.socket(PUBLIC):
                assert time.monotonic() - began >= 0.4
            with pytest.raises(aiohttp.WSServerHandshakeError):
                async with client.socket(PUBLIC):
                    pass


def test_every_kind_of_fault_is_tried_here():
    tried = {"late-accept"}  # with the orders, where expTime is
    source = Path(__file__).read_text()
    assert {kind for kind in KINDS if f'"{kind}"' in source} | tried == KINDS


async def test_orders_and_money_outlive_the_server():
    async with simulated() as client:
        order = (await client.place(px="45000", clOrdId="mine")).row["ordId"]
        port = client.venue.port
        async with client.socket(PRIVATE, ORDERS) as socket:
            await client.venue.stop()
            with pytest.raises(ConnectionError):
                await socket.next()
        with pytest.raises(LOST):
            await client.get("account/balance")
        await client.venue.start(port)
        found = (await client.get("trade/order", instId=SYMBOL, clOrdId="mine")).row
        assert (found["ordId"], found["state"]) == (order, "live")
        assert (await client.place(MARKET)).s_code == "0"


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
                await client.place(MARKET, clOrdId=f"n{number}")
            except LOST:
                continue
        main = client.truth()
        rows = [(row["client_order_id"], row["status"], row["value"]) for row in main["orders"]]
        return {"orders": rows, "balances": main["balances"], "faults": client.venue.truth()["faults"]}


async def test_the_same_seed_is_the_same_run():
    first, same, other = [await scripted_run(seed) for seed in (5, 5, 6)]
    assert first == same != other
    assert len(first["faults"]) == 3


async def test_the_same_orders_under_faults_add_up_exactly():
    """Balances are the first ones, plus what was filled, less the fees; and what is locked is what open orders need."""
    dice = Random(7)
    plan = [
        {"kind": "lose-response", "where": "request:*", "probability": 0.1},
        {"kind": "unknown-accepted", "where": "request:order.*", "probability": 0.1},
        {"kind": "late-accept", "where": "request:order.place", "probability": 0.1, "seconds": 0.05},
    ]
    async with simulated(*plan, seed=7, speed=3.0, limits=()) as client:

        async def act(number: int) -> None:
            part = f"{dice.uniform(0.9995, 1.0005):.5f}"
            terms = MARKET if number % 3 == 0 else {**LIMIT, "px": client.price(part)}
            side, size = dice.choice(["buy", "sell"]), str(Decimal(dice.randrange(1, 9_999)).scaleb(-5))
            kind = dice.choice(["limit", "post_only", "ioc", "fok"]) if "px" in terms else "market"
            try:
                await client.place({**terms, "side": side, "sz": size, "ordType": kind, "clOrdId": f"n{number}"})
                name = {"instId": SYMBOL, "clOrdId": f"n{dice.randrange(number + 1)}"}
                if number % 4 == 1:
                    await client.post("trade/amend-order", {**name, "newSz": "0.05"})
                elif number % 4 == 2:
                    await client.post("trade/cancel-order", name)
            except LOST:
                pass

        for start in range(0, 200, 10):
            await asyncio.gather(*(act(number) for number in range(start, start + 10)))
        await asyncio.sleep(0.2)
        truth = client.truth()
        opened = [one for one in truth["orders"] if one["status"] in ("open", "partially_filled")]
        totals = {"USDT": Decimal(1_000_000), "BTC": Decimal(20)}
        sides = {one["venue_order_id"]: 1 if one["side"] == "buy" else -1 for one in truth["orders"]}
        filled = dict.fromkeys(sides, Decimal(0))
        for fill in truth["fills"]:
            sign, quantity = sides[fill["venue_order_id"]], Decimal(fill["quantity"])
            filled[fill["venue_order_id"]] += quantity
            totals["BTC"] += sign * quantity
            totals["USDT"] -= sign * quantity * Decimal(fill["price"])
            totals[fill["fee_asset"]] -= Decimal(fill["fee"])
        assert len(truth["fills"]) > 50
        assert len({(fill["symbol"], fill["trade_id"]) for fill in truth["fills"]}) == len(truth["fills"])
        assert len({one["client_order_id"] for one in truth["orders"]}) == len(truth["orders"])
        assert {one["venue_order_id"]: Decimal(one["filled"]) for one in truth["orders"]} == filled
        held = {"USDT": Decimal(0), "BTC": Decimal(0)}
        for one in opened:
            left = Decimal(one["quantity"]) - Decimal(one["filled"])
            if one["side"] == "buy":
                held["USDT"] += left * Decimal(one["price"])
            else:
                held["BTC"] += left
        for asset, total in totals.items():
            there = truth["balances"][asset]
            assert (Decimal(there["free"]) + Decimal(there["locked"]), Decimal(there["locked"])) == (total, held[asset])


async def test_ten_thousand_orders_pass():
    """Through the protocol, though not through a socket: what a campaign asks of one venue."""
    venue = OkxSimulator(symbols=("BTC-USDT",), limits=())
    venue.feed.prepare()
    account, request = venue.exchange.accounts["YOUR_API_KEY"], REST["POST", "/api/v5/trade/order"]
    began = time.monotonic()
    for number in range(10_000):
        given = {**MARKET, "sz": "0.0002", "side": "buy" if number % 2 else "sell", "clOrdId": f"n{number}"}
        asked = Asked("POST", "/", "", {}, {}, "", "order.place", data=Call(request, given, account))
        answer = await venue.respond(asked)
        assert answer.body["code"] == "0"
        if number % 20 == 0:
            venue.feed.advance(0.1)
    assert len(account.orders) == 10_000
    assert time.monotonic() - began < 60
