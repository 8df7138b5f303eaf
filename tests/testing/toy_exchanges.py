"""Adapters of the Example Exchange, each with one defect that the suite must find. Run by test_exchange_suites.py."""

import asyncio
import json
import logging
from decimal import Decimal

import attrs
import pytest
from axon_exchange_example.adapter import ExampleAdapter, _fill
from axon_exchange_example.plugin import axon_exchanges
from msgspec.structs import replace

from axon_quant import errors
from axon_quant.exchange.capabilities import needed_by
from axon_quant.orders import OrderStatus, OrderUpdate
from axon_quant.testing import ExchangeConformance

(EXAMPLE,) = axon_exchanges()


class Toy(ExchangeConformance):
    Adapter = ExampleAdapter

    @pytest.fixture
    def descriptor(self):
        return EXAMPLE

    @pytest.fixture
    def adapter(self):
        return self.Adapter


class TestGood(Toy):
    pass


class TestOverridesATest(Toy):
    def test_x020_a_limit_order_stands_until_cancelled(self):
        pass


class TestNamesItselfOtherwise(Toy):
    class Adapter(ExampleAdapter):
        name = "sample"


class TestRoundsItsInstruments(Toy):
    class Adapter(ExampleAdapter):
        async def _fetch_instruments(self):
            found = await super()._fetch_instruments()
            loose = {"tick_size": Decimal("1e-8"), "lot_size": Decimal("1e-8"), "min_notional": Decimal(0)}
            return [attrs.evolve(one, **loose) for one in found]


class TestClosesOnce(Toy):
    class Adapter(ExampleAdapter):
        async def _close(self):
            if hasattr(self, "_http") and self._http.closed:
                raise RuntimeError("closed already")
            await super()._close()


class TestTakesABadKeyForTrouble(Toy):
    class Adapter(ExampleAdapter):
        def _error(self, said, retry_after=0.0):
            error = super()._error(said, retry_after)
            return errors.UnavailableError("trouble") if isinstance(error, errors.AuthError) else error


class TestRaisesWhatItsLibraryRaises(Toy):
    class Adapter(ExampleAdapter):
        async def _call(self, method, path, body=None, *, changes=False):
            try:
                return await super()._call(method, path, body, changes=changes)
            except errors.UnavailableError as error:
                raise OSError(str(error)) from None


class TestLeaksItsSecret(Toy):
    class Adapter(ExampleAdapter):
        def _signed(self, body):
            logging.getLogger("toy").debug("signing with %s", self.config.api_secret.reveal())
            return super()._signed(body)


class TestSendsAnotherPrice(Toy):
    class Adapter(ExampleAdapter):
        async def _send_order(self, order):
            if order.price is not None:
                order = attrs.evolve(order, price=order.price + 1)
            return await super()._send_order(order)


class TestForgetsFees(Toy):
    class Adapter(ExampleAdapter):
        async def _run_account(self, link):
            await read(self, link, lambda update: update.fill and replace(update.fill, fee=Decimal(0)))


class TestCountsFillsTwice(Toy):
    class Adapter(ExampleAdapter):
        count = 0

        async def _run_account(self, link):
            def again(update):
                self.count += 1
                return update.fill and replace(update.fill, fill_id=f"{update.fill.fill_id}-{self.count}")

            await read(self, link, again)


class TestIgnoresTheTerms(Toy):
    class Adapter(ExampleAdapter):
        async def _send_order(self, order):
            plain = attrs.evolve(order, post_only=False, time_in_force=type(order.time_in_force).GTC)
            return await super()._send_order(plain)


class TestCancelsNothing(Toy):
    class Adapter(ExampleAdapter):
        async def _send_cancel(self, state):
            pass


class TestDoesItAllUndeclared(Toy):
    class Adapter(ExampleAdapter):
        async def place_order(self, order):
            return await super().place_order(order) if needed_by(order) <= self.capabilities else "1"

        async def subscribe(self, channel, symbol):
            if channel.capability in self.capabilities:
                await super().subscribe(channel, symbol)

        async def anything(self, *args, **kwargs):
            return []

        amend_order = replace_order = cancel_after = positions = anything
        set_leverage = set_margin_mode = funding_rate = trades = anything


class TestAsksTheVenueFirst(Toy):
    class Adapter(ExampleAdapter):
        async def place_order(self, order):
            await self._call("GET", "/instruments")
            return await super().place_order(order)


class TestForgetsTheCode(Toy):
    class Adapter(ExampleAdapter):
        def _error(self, said, retry_after=0.0):
            error = super()._error(said, retry_after)
            error.code = None
            return error


class TestResendsBlindly(Toy):
    class Adapter(ExampleAdapter):
        async def _send_order(self, order):
            try:
                return await super()._send_order(order)
            except errors.AmbiguousError:
                return await super()._send_order(order)


class TestGivesUpOnALostAnswer(Toy):
    class Adapter(ExampleAdapter):
        async def _send_order(self, order):
            try:
                return await super()._send_order(order)
            except errors.AmbiguousError as error:
                raise errors.RejectedError(str(error)) from None


class TestTakesTroubleForSuccess(Toy):
    class Adapter(ExampleAdapter):
        async def _send_order(self, order):
            try:
                return await super()._send_order(order)
            except errors.UnavailableError:
                return "1"


class TestLosesTheStreamSilently(Toy):
    class Adapter(ExampleAdapter):
        async def _run_account(self, link):
            await super()._run_account(link)
            await asyncio.Event().wait()


class TestHearsWhatIsNotSaid(Toy):
    class Adapter(ExampleAdapter):
        async def _run_account(self, link):
            async def pretend():
                while True:
                    link.heard()
                    await asyncio.sleep(0.1)

            pretending = asyncio.create_task(pretend())
            try:
                await super()._run_account(link)
            finally:
                pretending.cancel()


class TestBelievesTheLatestOnly(Toy):
    class Adapter(ExampleAdapter):
        async def _fetch_order(self, state):
            return None

        async def _fetch_fills(self, since):
            return []

        async def _fetch_open_orders(self, symbol):
            return []


class TestSubscribesOnce(Toy):
    class Adapter(ExampleAdapter):
        async def _run_market(self, link):
            wanted, self.seen = dict(self.wanted), getattr(self, "seen", 0) + 1
            if self.seen > 1:
                self.wanted.clear()
            try:
                await super()._run_market(link)
            finally:
                self.wanted.update(wanted)


class TestIgnoresRetryAfter(Toy):
    class Adapter(ExampleAdapter):
        def _error(self, said, retry_after=0.0):
            return super()._error(said)


class TestRefusesAnotherClock(Toy):
    class Adapter(ExampleAdapter):
        def _error(self, said, retry_after=0.0):
            error = super()._error(said, retry_after)
            return errors.RejectedError("late") if isinstance(error, errors.ClockError) else error


class TestRenamesOrders(Toy):
    class Adapter(ExampleAdapter):
        async def _fetch_order(self, state):
            found = await super()._fetch_order(state)
            return found and attrs.evolve(found, order=attrs.evolve(found.order, client_order_id="another"))

        async def _fetch_open_orders(self, symbol):
            found = await super()._fetch_open_orders(symbol)
            return [attrs.evolve(one, order=attrs.evolve(one.order, client_order_id="another")) for one in found]


class TestCountsWhatIsLockedAsFree(Toy):
    class Adapter(ExampleAdapter):
        async def _fetch_balances(self):
            held = await super()._fetch_balances()
            return {
                asset: attrs.evolve(one, free=one.free + one.locked, locked=Decimal(0)) for asset, one in held.items()
            }


class TestIsOneForAll(Toy):
    class Adapter(ExampleAdapter):
        def __init__(self, config):
            yours = ("YOUR_API_KEY", "YOUR_API_SECRET")
            super().__init__(attrs.evolve(config, api_key=yours[0], api_secret=yours[1]))


async def read(adapter, link, of):
    """The account's stream, with another fill in each update."""
    url = f"{adapter._roots['ws']}/account"
    async with adapter._http.ws_connect(url, headers=adapter._signed("")) as socket:
        async for message in socket:
            link.heard()
            said = json.loads(message.data)
            if said["type"] == "ready":
                link.up()
                continue
            names = (said["client_id"], OrderStatus(said["status"]), said["at"], said["symbol"], said["id"])
            fill = said["fill"] and _fill(said["fill"])
            update = OrderUpdate(*names, Decimal(said["filled"]), fill, said["reason"])
            adapter._deliver(replace(update, fill=of(update)))
