"""Keys, secrets, signatures and listen keys of futures stand nowhere: not in logs, errors or representations."""

from __future__ import annotations

import asyncio
import logging
import traceback
from contextlib import suppress
from pprint import pformat

import pytest
from simulated_futures import SECRET, configured, started, until

from axon_exchange_binance import BinanceFuturesAdapter
from axon_quant.errors import AxonError, ExchangeError
from axon_quant.exchange import Channel, StreamState
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


@pytest.mark.parametrize("kind", ["lose-response", "lose-request", "refuse", "unknown-accepted", "rate-limit"])
async def test_secrets_stand_nowhere_when_requests_fail(records, kind):
    asyncio.get_running_loop().set_debug(True)
    texts: list[str] = []
    order = Order("BTCUSDT", Side.Buy, price="49000.1", quantity="0.002")
    state = OrderState(order, venue_order_id="28")
    async with started() as venue:
        adapter = BinanceFuturesAdapter(configured(venue))
        await adapter.connect()
        venue.faults = type(venue.faults).of([{"kind": kind, "where": "request:*", "every": 1, "seconds": 0.01}])
        for call in (
            adapter._send_order(order),
            adapter._send_cancel(state),
            adapter._send_amend(state, None, order.quantity),
            adapter._fetch_order(state),
            adapter._fetch_balances(),
            adapter._send_leverage("BTCUSDT", 3),
            adapter._make_listen_key(),
        ):
            try:
                await call
            except AxonError as error:
                texts += told(error)
        texts += [repr(adapter), str(adapter), repr(adapter.config), repr(adapter._user_stream)]
        await adapter.close()
    assert texts
    for text in [*texts, *records]:
        assert SECRET not in text
        assert "signature=" not in text


async def test_a_listen_key_stands_nowhere_when_streams_fail(records):
    asyncio.get_running_loop().set_debug(True)
    async with started() as venue:
        adapter = BinanceFuturesAdapter(configured(venue))
        events = adapter.events()
        await adapter.connect()
        await adapter.subscribe(Channel.Trades, "BTCUSDT")
        key = next(iter(venue._user_streams._keys))
        venue.faults = type(venue.faults).of(
            [{"kind": "refuse-connection", "where": "connect", "every": 1, "limit": 4}]
        )
        for socket in list(venue.sockets):
            socket.close()
        seen: list[StreamState] = []
        await until(
            lambda: seen.extend(e for e in events.take() if isinstance(e, StreamState)) or any(s.up for s in seen)
        )
        with suppress(ExchangeError):
            await adapter._make_listen_key()
        await adapter.close()
    assert records
    shown = [*records, *map(repr, seen)]
    assert not [text for text in shown if key in text]
