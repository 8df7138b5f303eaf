"""Keys, secrets and signatures stand nowhere: not in logs, errors, representations or pickles."""

from __future__ import annotations

import asyncio
import logging
import pickle
import traceback
from pprint import pformat

import pytest
from scripted_binance import DROP, KEY, SECRET, Refuse

from axon_quant.errors import AxonError
from axon_quant.exchange import Channel
from axon_quant.orders import Order, Side
from axon_quant.orders.tracker import OrderState


@pytest.fixture
def records():
    found: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append(handler.format(record))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield found
    root.removeHandler(handler)
    root.setLevel(before)


def told(error: BaseException | None) -> list[str]:
    """Everything that an error shows, and those behind it, hidden ones too."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error), pformat(vars(error)), "".join(traceback.format_exception(error))]
        error = error.__cause__ or error.__context__
    return texts


async def test_secrets_stand_nowhere(trading, records):
    asyncio.get_running_loop().set_debug(True)
    texts: list[str] = []
    order = Order("BTCUSDT", Side.Buy, price="50000.1", quantity="0.002")
    state = OrderState(order, venue_order_id="28")
    async with trading() as (venue, adapter):
        await adapter.subscribe(Channel.Trades, "BTCUSDT")
        answers = [DROP, Refuse(401, -2015, "no"), Refuse(400, -1021, "late"), Refuse(503, 0, ""), {"odd": 1}]
        for answer in answers:
            for path in ("POST /api/v3/order", "DELETE /api/v3/order", "GET /api/v3/order", "GET /api/v3/account"):
                venue.answers[path] = answer
            for call in (
                adapter._send_order(order),
                adapter._send_cancel(state),
                adapter._fetch_order(state),
                adapter._fetch_balances(),
            ):
                try:
                    await call
                except AxonError as error:
                    texts += told(error)
        await venue.hang_up()
        await asyncio.sleep(0.2)
        texts += [repr(adapter), pformat(vars(adapter)), pformat(vars(adapter._rest))]
        texts += [repr(adapter.config), repr(adapter.client)]
        adapter.client.verbose = True
        venue.answers["GET /api/v3/account"] = Refuse(400, -1022, "Signature for this request is not valid.")
        try:
            await adapter._asked(None, adapter.client.private_get_account)
        except AxonError as error:
            texts += told(error)
        with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
            pickle.dumps(adapter.config)
        signatures = {parameters["signature"] for _, parameters in venue.requests if "signature" in parameters}
    assert len(signatures) > 10
    texts += records
    assert len(texts) > 40
    for text in texts:
        for secret in (KEY, SECRET, *signatures):
            assert secret not in text


async def test_no_network_and_a_lost_connection_show_no_urls(trading):
    async with trading() as (venue, adapter):
        venue.answers["GET /api/v3/account"] = DROP
        with pytest.raises(AxonError) as caught:
            await adapter._fetch_balances()
        for text in told(caught.value):
            assert "signature" not in text
            assert "/api/v3/account?" not in text
