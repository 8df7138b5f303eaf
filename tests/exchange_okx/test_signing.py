"""Signatures, and the secrets behind them."""

from __future__ import annotations

import asyncio
import io
import logging
import pickle
import traceback

import aiohttp
import pytest
from scripted_okx import DROP, KEY, PASSPHRASE, SECRET, ScriptedOkx, configured, signature

from axon_exchange_okx import OkxAdapter
from axon_exchange_okx.signing import Signer
from axon_quant.errors import ExchangeError
from axon_quant.exchange import ExchangeConfig
from axon_quant.orders import Order, Side

NEW_YEAR = 1_609_459_200_000_000_000


def signer() -> Signer:
    return Signer(ExchangeConfig(api_key=KEY, api_secret=SECRET, passphrase=PASSPHRASE))


def test_timestamps_are_utc_to_the_millisecond():
    one = signer()
    assert one.timestamp(NEW_YEAR + 7_999_999) == "2021-01-01T00:00:00.007Z"
    assert one.timestamp(NEW_YEAR - 1) == "2020-12-31T23:59:59.999Z"
    assert one.timestamp(NEW_YEAR) == "2021-01-01T00:00:00.000Z"


def test_the_signature_covers_time_method_path_and_body():
    headers = signer().headers("POST", "/api/v5/trade/order", b'{"sz":"1"}', NEW_YEAR, NEW_YEAR + 2_000_000_000)
    assert headers["OK-ACCESS-SIGN"] == signature('2021-01-01T00:00:00.000ZPOST/api/v5/trade/order{"sz":"1"}')
    assert headers["expTime"] == "1609459202000"


def test_a_login_is_signed_in_seconds():
    login = signer().login(NEW_YEAR + 999_999_999)
    assert login["timestamp"] == "1609459200"
    assert login["sign"] == signature("1609459200GET/users/self/verify")


async def test_secrets_are_in_no_log_no_error_and_no_repr(caplog):
    """Each way an order can fail, with everything logged that can be, and tracebacks that show local variables."""
    caplog.set_level(logging.DEBUG)
    shown = io.StringIO()
    async with ScriptedOkx() as venue:
        adapter = OkxAdapter(configured(venue))
        shown.write(repr(adapter) + repr(vars(adapter)) + repr(adapter._signer) + repr(vars(adapter._signer)))
        await adapter.connect()
        for answer in (DROP, {"code": "50113", "msg": "Invalid Sign", "data": []}, lambda _: 1 / 0, None):
            venue.answers["POST /api/v5/trade/order"] = answer
            with pytest.raises(ExchangeError) as caught:
                await adapter._send_order(Order("BTC-USDT", Side.Buy, price=1, quantity=1))
            error: BaseException | None = caught.value
            while error is not None:
                shown.write("".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()))
                shown.write(repr(vars(error)))
                error = error.__cause__ or error.__context__
            shown.write(repr(pickle.dumps(str(caught.value))))
        venue.drift = 100
        with pytest.raises(ExchangeError) as caught:
            async with aiohttp.ClientSession() as session:
                await adapter._account_stream.run(session, venue.ws, lambda: adapter._signer.login(NEW_YEAR), Deaf())
        shown.write("".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()))
        await adapter.close()
    text = shown.getvalue() + caplog.text
    assert "axon_exchange_okx" in text
    for secret in (KEY, SECRET, PASSPHRASE):
        assert secret not in text


class Deaf:
    def up(self) -> None: ...

    def heard(self) -> None: ...


def test_an_adapter_cannot_be_pickled_with_its_secrets():
    config = ExchangeConfig(api_key=KEY, api_secret=SECRET, passphrase=PASSPHRASE)

    async def made() -> OkxAdapter:
        return OkxAdapter(config)

    adapter = asyncio.run(made())
    with pytest.raises(TypeError):
        pickle.dumps(adapter)
