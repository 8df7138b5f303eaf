"""Whatever is asked of the OKX simulator, it has an answer."""

from __future__ import annotations

import asyncio
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from axon_exchange_okx.simulator import OkxSimulator
from axon_exchange_okx.simulator.streams import CHANNELS, is_there
from axon_exchange_okx.simulator.table import REST, Call
from axon_exchange_okx.simulator.terms import text
from axon_quant.exchange.simulator import Asked

NAMES = [
    "instId",
    "instIdCode",
    "instType",
    "tdMode",
    "side",
    "ordType",
    "px",
    "sz",
    "tgtCcy",
    "clOrdId",
    "ordId",
    "tag",
    "stpMode",
    "attachAlgoOrds",
    "newPx",
    "newSz",
    "reqId",
    "cxlOnFail",
    "slTriggerPx",
    "slOrdPx",
    "tpTriggerPx",
    "tpOrdPx",
    "triggerPx",
    "orderPx",
    "algoId",
    "algoClOrdId",
    "newSlTriggerPx",
    "newSlOrdPx",
    "newTriggerPx",
    "timeOut",
    "after",
    "before",
    "limit",
    "begin",
    "end",
    "bar",
    "ccy",
    "state",
    "expTime",
]
LIKELY = [
    "BTC-USDT",
    "ETH-USDT",
    "1",
    "SPOT",
    "cash",
    "buy",
    "sell",
    "limit",
    "market",
    "post_only",
    "ioc",
    "fok",
    "conditional",
    "trigger",
    "50000",
    "0.01",
    "quote_ccy",
    "a1",
    "500000",
    "700001",
    "-1",
    "60",
    "1D",
    "true",
    "cancel_maker",
    "45000",
    "live",
]
VALUES = st.one_of(
    st.sampled_from(LIKELY),
    st.text(max_size=8),
    st.integers(),
    st.floats(),
    st.none(),
    st.booleans(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)
GIVEN = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=12)
USUAL = {"instId": "BTC-USDT", "instType": "SPOT", "tdMode": "cash", "side": "buy", "sz": "0.01", "px": "49000"}
BODIES = st.one_of(GIVEN, GIVEN.map(lambda given: {**USUAL, **given}), st.lists(GIVEN, max_size=3), VALUES)


def venue() -> OkxSimulator:
    made = OkxSimulator(symbols=("BTC-USDT",), history=1.0, limits=())
    made.feed.prepare()
    return made


VENUE = venue()


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(REST)), BODIES)
def test_every_request_has_an_answer(endpoint, given):
    request, account = REST[endpoint], VENUE.exchange.accounts["YOUR_API_KEY"]
    if endpoint[0] == "GET":
        plain = given if isinstance(given, dict) else {}
        given = {name: str(value) for name, value in plain.items() if not isinstance(value, (dict, list))}
    asked = Asked(
        endpoint[0], endpoint[1], "", {}, {}, json.dumps(given), request.name, data=Call(request, given, account)
    )
    VENUE.charges(asked)

    async def ask():
        answer = VENUE.answer(asked)
        for task in VENUE._deadlines.values():
            task.cancel()
        return answer

    answer = asyncio.run(ask())
    assert answer.status in (200, 400)
    assert answer.body["code"].isdigit()
    json.dumps(answer.body)
    for row in answer.body["data"]:
        if request.changes and "sCode" in row:
            assert (row["sCode"] == "0") is (row["sMsg"] == "")
    for asset in account.totals:
        assert account.free(asset) >= 0


@settings(max_examples=200)
@given(st.sampled_from(sorted(CHANNELS)), st.dictionaries(st.sampled_from(["channel", "instId", "instType"]), VALUES))
def test_every_subscription_is_judged(path, argument):
    assert is_there(path, argument, VENUE.exchange) in (True, False)


@given(GIVEN)
def test_a_parameter_is_a_text(given):
    assert all(isinstance(text(given, name), str) for name in NAMES)
