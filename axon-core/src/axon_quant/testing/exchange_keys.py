"""Exchanges: connecting, keys that do not fit, and that secrets stay secret."""

from __future__ import annotations

import asyncio
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pprint import pformat
from typing import Any

import pytest

from axon_quant.errors import AuthError, ExchangeError, UnavailableError
from axon_quant.exchange import ExchangeConfig
from axon_quant.plugins import Capability
from axon_quant.secrets import Secret
from axon_quant.testing.cases import case
from axon_quant.testing.venue import Desk, Venue

_ANOTHER = "not the one"
_CLOSED = {"rest": "http://127.0.0.1:9", "ws": "ws://127.0.0.1:9"}
"""Where nobody listens."""


class Keys:
    """Of the suite of exchanges."""

    @case("X-010")
    def test_x010_it_connects_and_closes_any_number_of_times(self, venue: Venue) -> None:
        """Connect, close, close again, connect again: then it trades; nothing works while it is not connected."""

        async def body(desk: Desk) -> None:
            adapter = desk.adapter
            await adapter.close()
            with pytest.raises(UnavailableError):
                await adapter.place_order(desk.order())
            await adapter.connect()
            await adapter.close()
            await adapter.close()
            with pytest.raises(UnavailableError):
                await adapter.instruments()
            await adapter.connect()
            assert await adapter.place_order(desk.order())

        venue.run(body, connect=False)

    @case("X-011")
    def test_x011_a_key_that_is_not_known_is_an_auth_error(self, venue: Venue) -> None:
        """`connect` raises AuthError, naming the venue and holding its code, for a key nobody has."""
        _assert_refused(venue, api_key="no such key")

    @case("X-012")
    def test_x012_a_wrong_secret_is_an_auth_error(self, venue: Venue) -> None:
        """`connect` raises AuthError, naming the venue and holding its code, for the wrong secret."""
        _assert_refused(venue, api_secret=_ANOTHER)

    @case("X-013", skip_when="the venue asks for no passphrase")
    def test_x013_a_wrong_passphrase_is_an_auth_error(self, venue: Venue) -> None:
        """`connect` raises AuthError, naming the venue, for the wrong passphrase and for none."""
        if not venue.options.get("passphrase"):
            pytest.skip("the venue asks for no passphrase")
        _assert_refused(venue, passphrase=_ANOTHER)
        _assert_refused(venue, has_code=False, passphrase=None)

    @case("X-014")
    def test_x014_no_network_is_unavailable(self, venue: Venue) -> None:
        """`connect` raises UnavailableError within seconds, naming the venue, where nobody listens."""

        async def body(desk: Desk) -> None:
            adapter = venue.adapter(venue.config(desk.simulator, base_urls=_CLOSED))
            with pytest.raises(UnavailableError) as caught:
                async with asyncio.timeout(15):
                    await adapter.connect()
            await adapter.close()
            assert caught.value.venue == venue.descriptor.name

        venue.run(body, connect=False)

    @case("X-015", capability=Capability.KeyPermissions)
    def test_x015_a_key_that_may_withdraw_is_refused(self, venue: Venue) -> None:
        """`connect` raises AuthError with a hint for a key that may withdraw, unless the configuration allows it."""

        async def body(desk: Desk) -> None:
            desk.account.may_withdraw = True
            if not desk.declares(Capability.KeyPermissions):
                await desk.adapter.connect()  # nobody can tell
                return
            with pytest.raises(AuthError) as caught:
                await desk.adapter.connect()
            assert caught.value.hint
            await _connect_once(venue, venue.config(desk.simulator, allow_withdrawals=True))
            desk.account.may_withdraw, desk.account.may_trade = False, False
            with pytest.raises(AuthError):
                await desk.adapter.connect()

        venue.run(body, connect=False)

    @case("X-016")
    def test_x016_secrets_stand_nowhere(self, venue: Venue) -> None:
        """No secret stands in a log at DEBUG, an error with its locals, a repr or a pickle."""
        texts: list[str] = []

        async def body(desk: Desk) -> None:
            asyncio.get_running_loop().set_debug(True)
            adapter = desk.adapter
            with _everything_logged(texts.append):
                try:
                    await adapter.connect()
                    await adapter.place_order(desk.order())
                    for kind in ("lose-response", "refuse", "unknown-accepted"):
                        desk.arm(kind)
                        await _told(lambda: adapter.place_order(desk.order()), texts)
                    desk.arm("lose-request", "request:*", limit=3)
                    await _told(lambda: adapter.repair(), texts)
                    texts.extend((repr(adapter), str(adapter), pformat(vars(adapter)), repr(adapter.config)))
                    texts.extend(pformat(vars(each)) for each in vars(adapter).values() if hasattr(each, "__dict__"))
                    texts.append(_pickled(adapter))
                finally:
                    await adapter.close()
                wrong = venue.adapter(_wrong(venue, desk))
                await _told(wrong.connect, texts)
                await wrong.close()

        venue.run(body, connect=False)
        assert len(texts) > 10
        for what in ("YOUR_API_SECRET", "YOUR_PASSPHRASE", "wrong-and-secret"):
            leaks = [text for text in texts if what in text]
            if leaks:
                at = leaks[0].index(what)
                pytest.fail(f"a secret stands in …{leaks[0][max(0, at - 300) : at + 60]}…", pytrace=False)


def _wrong(venue: Venue, desk: Desk) -> ExchangeConfig:
    return venue.config(desk.simulator, api_secret=Secret("wrong-and-secret"))


async def _told(call: Callable[[], object], texts: list[str]) -> None:
    """Collect what an error shows to whoever prints it with the locals of every frame in the plugin or below."""
    try:
        await call()  # type: ignore[misc]
    except ExchangeError as error:
        trace = error.__traceback__.tb_next if error.__traceback__ is not None else None
        whole = traceback.TracebackException(type(error), error, trace, capture_locals=True)
        texts.extend((str(error), repr(error), pformat(vars(error)), "".join(whole.format())))


def _pickled(thing: object) -> str:
    try:
        return pickle.dumps(thing).decode("latin-1")
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        return str(error)


@contextmanager
def _everything_logged(put: Callable[[str], None]) -> Iterator[None]:
    handler = logging.Handler()
    handler.emit = lambda record: put(handler.format(record))  # type: ignore[method-assign]
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


async def _connect_once(venue: Venue, config: ExchangeConfig) -> None:
    adapter = venue.adapter(config)
    try:
        await adapter.connect()
    finally:
        await adapter.close()


def _assert_refused(venue: Venue, *, has_code: bool = True, **changes: Any) -> None:
    async def body(desk: Desk) -> None:
        with pytest.raises(AuthError) as caught:
            await _connect_once(venue, venue.config(desk.simulator, **changes))
        error: Mapping[str, object] = vars(caught.value)
        assert error["venue"] == venue.descriptor.name
        assert error["code"] or not has_code, "the venue's code is lost"

    venue.run(body, connect=False)
