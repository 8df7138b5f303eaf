"""A venue on loopback and a trader at it: what the suite of exchanges works with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar, cast

import attrs
import pytest

from axon_quant.errors import AmbiguousError, ExchangeError, UnsupportedError
from axon_quant.exchange import Channel, EventStream, ExchangeAdapter, ExchangeConfig, RateLimitConfig, ReconnectConfig
from axon_quant.exchange.capabilities import needed_by
from axon_quant.exchange.simulator import Account, FaultPlan, FaultRule, Simulator
from axon_quant.market.instrument import Instrument, InstrumentKind
from axon_quant.orders import Fill, Order, OrderState, OrderStatus, OrderType, OrderUpdate, Side
from axon_quant.plugins import Capability, ExchangeDescriptor

AdapterMaker = Callable[[ExchangeConfig], ExchangeAdapter]
_T = TypeVar("_T")
_E = TypeVar("_E")
_PATIENCE = 45.0
"""Seconds that one test may take."""
_PACE = RateLimitConfig(1_000, 60_000, max_wait_ms=10_000)
_RECONNECT = ReconnectConfig(max_retries=1_000, initial_backoff_ms=20, max_backoff_ms=200)


class Balances(NamedTuple):
    """Of one asset."""

    free: Decimal
    locked: Decimal


@attrs.frozen(eq=False)
class Venue:
    """What the author supplied. `options`:

    - `symbol`: what is traded, the first one with a market unless given;
    - `passphrase`: True where the venue asks for one;
    - `place`: the simulator's name of the request that places a limit order, `order.place` unless given;
    - `shortest_deadline`: seconds, the shortest that the dead-man switch takes, 1 unless given.
    """

    descriptor: ExchangeDescriptor
    adapter: AdapterMaker
    simulator: Callable[..., Simulator]
    options: Mapping[str, object]

    @property
    def place(self) -> str:
        """Where the simulator's faults meet an order on its way in."""
        return f"request:{self.options.get('place', 'order.place')}"

    def config(self, simulator: Simulator, prefix: str = "YOUR", **changes: Any) -> ExchangeConfig:
        """For the account with that prefix on a running simulator; `changes` replace fields."""
        account = account_of(simulator, prefix)
        given: dict[str, Any] = {"base_urls": simulator.roots, "rate_limit": _PACE, "reconnect": _RECONNECT}
        given["testnet"] = False  # a test network may tell less than the venue itself
        if account.passphrase:
            given["passphrase"] = account.passphrase
        given |= {"api_key": account.key, "api_secret": account.secret}
        return ExchangeConfig(**(given | changes))

    def run(self, body: Callable[[Desk], Awaitable[object]], *, connect: bool = True, **options: Any) -> None:
        """Run a test at a desk, connected unless told otherwise; `options` are the simulator's."""

        async def whole() -> None:
            async with asyncio.timeout(_PATIENCE):
                simulator = self.simulator(**options)
                await simulator.start()
                try:
                    async with self.desk(simulator, connect=connect) as desk:
                        await body(desk)
                finally:
                    await simulator.stop()

        asyncio.run(whole())

    @asynccontextmanager
    async def desk(self, simulator: Simulator, prefix: str = "YOUR", *, connect: bool = True) -> AsyncIterator[Desk]:
        """A desk at a simulator that runs."""
        adapter = self.adapter(self.config(simulator, prefix))
        desk = Desk(self, simulator, adapter, account_of(simulator, prefix))
        reading = asyncio.create_task(desk.read(adapter.events()))
        try:
            if connect:
                await adapter.connect()
            yield desk
        finally:
            await adapter.close()
            reading.cancel()
            await asyncio.wait([reading])


class Desk:
    """One adapter at one account, the simulator behind it, and everything that was reported."""

    def __init__(self, venue: Venue, simulator: Simulator, adapter: ExchangeAdapter, account: Account) -> None:
        self.venue = venue
        self.simulator = simulator
        self.adapter = adapter
        self.account = account
        self.events: list[object] = []
        self.symbol = str(venue.options.get("symbol", next(iter(simulator.feed.symbols))))

    async def read(self, stream: EventStream) -> None:
        """Keep what is reported."""
        async for event in stream:
            self.events.append(event)

    # The market.

    @property
    def instrument(self) -> Instrument:
        """Of the symbol, as the simulator trades it."""
        return self.simulator.exchange.instruments[self.symbol]

    def price(self, times: str) -> Decimal:
        """So many times the market's price, on the grid."""
        now = self.simulator.exchange.price(self.symbol)
        assert now is not None, f"the simulator has no market for {self.symbol}"
        return self.instrument.round_price(now * Decimal(times))

    def quantity(self, times: int = 1) -> Decimal:
        """A quantity that no filter minds."""
        least = max(self.instrument.min_notional, Decimal(1)) * 20 / self.price("1")
        return (self.instrument.round_quantity(least) + self.instrument.lot_size) * times

    def affordable(self, side: Side) -> Decimal:
        """No order can have more than this quantity: the account lacks the funds."""
        instrument = self.instrument
        if instrument.kind is InstrumentKind.Spot and side is Side.Sell:
            return self.account.free(instrument.base)
        money = self.account.free(instrument.quote)
        if instrument.kind is InstrumentKind.Swap:
            money *= self.simulator.exchange.swaps.terms.max_leverage
        return money / (self.price("1") * instrument.contract_size)

    def order(
        self, times: str | None = "0.9", side: Side = Side.Buy, *, quantity: Decimal | None = None, **more: Any
    ) -> Order:
        """A limit order at so many times the market's price; a market order for None."""
        more = {"order_type": OrderType.Limit if times else OrderType.Market, **more}
        price = self.price(times) if times else None
        return Order(self.symbol, side, price=price, quantity=quantity or self.quantity(), **more)

    # The venue.

    def declares(self, *capabilities: Capability) -> bool:
        """Whether the plugin does."""
        return self.venue.descriptor.capabilities.issuperset(capabilities)

    def arm(self, kind: str, where: str = "", **more: Any) -> None:
        """From now on this goes wrong, once unless told otherwise; at the next order unless told where."""
        rule = FaultRule(kind, where or self.venue.place, **{"every": 1, "limit": 1, **more})
        plan = FaultPlan([rule], seed=1)
        plan.take_over(self.simulator.faults)
        self.simulator.faults = plan

    def fired(self, kind: str) -> int:
        """How often a fault did."""
        return self.simulator.faults.fired[kind]

    def sent(self, place: str = "request:*") -> int:
        """Requests that reached the venue: of one place, or all of them."""
        counts = self.simulator.faults.places
        if place != "request:*":
            return counts[place]
        return sum(count for name, count in counts.items() if name.startswith("request:"))

    def at_venue(self, order: Order) -> list[Any]:
        """The orders that the venue's ledger has under the client order id of ours."""
        return list(self.account.by_client.get(order.client_order_id, ()))

    # Our view.

    def of(self, kind: type[_E]) -> list[_E]:
        """What was reported of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def state(self, order: Order) -> OrderState:
        """As the adapter has it."""
        found = self.adapter.orders.get(order.client_order_id)
        assert found is not None, f"the adapter has no order {order.client_order_id}"
        return found

    def status(self, order: Order) -> OrderStatus:
        """As the adapter has it."""
        return self.state(order).status

    def fills(self, order: Order | None = None) -> list[Fill]:
        """What was reported, of one order or of all."""
        found = [update.fill for update in self.of(OrderUpdate) if update.fill is not None]
        return [fill for fill in found if order is None or fill.client_order_id == order.client_order_id]

    async def until(self, condition: Callable[[], object], what: str, within: float = 5.0) -> None:
        """Wait for something; fail when it does not come."""
        try:
            async with asyncio.timeout(within):
                while not condition():  # noqa: ASYNC110 - what is waited for has no event
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(f"within {within:g} s it did not happen that {what}", pytrace=False)

    async def until_status(self, order: Order, *wanted: OrderStatus, within: float = 5.0) -> None:
        """Wait for one of these statuses, here and in what was reported."""
        await self.until(
            lambda: (
                self.status(order) in wanted
                and any(
                    update.status in wanted
                    for update in self.of(OrderUpdate)
                    if update.client_order_id == order.client_order_id
                )
            ),
            f"a {order.order_type.value} order becomes {' or '.join(status.value for status in wanted)}",
            within,
        )

    async def ask(self, capability: Capability, call: Callable[[], Awaitable[_T]]) -> _T | None:
        """What a call returns if the capability is declared; None if it is not, and the call rightly refuses."""
        if self.declares(capability):
            return await call()
        await self.must_be_unsupported(capability.value, call)
        return None

    async def must_refuse(
        self, capability: Capability, kind: type[Exception], call: Callable[[], Awaitable[object]]
    ) -> None:
        """Fail unless a call raises an error of that kind or, where the capability is not declared, is unsupported."""
        if not self.declares(capability):
            await self.must_be_unsupported(capability.value, call)
            return
        with pytest.raises(kind):
            await call()

    async def place(self, order: Order) -> bool:
        """Place an order of a kind that is declared; False when it is not, and was rightly refused."""
        missing = needed_by(order) - self.venue.descriptor.capabilities
        if not missing:
            await self.adapter.place_order(order)
            return True
        names = ", ".join(sorted(capability.value for capability in missing))
        await self.must_be_unsupported(names, lambda: self.adapter.place_order(order))
        return False

    async def must_be_unsupported(self, what: str, call: Callable[[], Awaitable[object]]) -> None:
        """Fail unless a call raises UnsupportedError, with nothing sent."""
        before = self.sent()
        try:
            found = await call()
        except UnsupportedError:
            assert self.sent() == before, f"{what} is not declared, and something was sent all the same"
            return
        pytest.fail(
            f"{what} is not declared, so asking for it must raise UnsupportedError; it returned {found!r}",
            pytrace=False,
        )

    async def outcome(self, order: Order) -> ExchangeError | None:
        """Place an order; the error, if there was one. That the outcome stays unknown is a failure."""
        try:
            await self.adapter.place_order(order)
        except AmbiguousError as error:
            pytest.fail(f"the venue could be asked, and the order stayed unknown: {error}", pytrace=False)
        except ExchangeError as error:
            return error
        return None

    async def agrees(self, *orders: Order, within: float = 5.0) -> None:
        """Wait until orders, fills, fees and balances are the venue's, and fail where they are not."""
        await self.until(lambda: all(self._agrees_on(order) for order in orders), "the orders agree", within)
        await asyncio.sleep(0.1)  # what comes twice comes now
        for order in orders:
            assert len(self.at_venue(order)) <= 1, f"the venue has {order.client_order_id} more than once"
            assert self._agrees_on(order)
        names = [fill.fill_id for fill in self.fills()]
        assert len(names) == len(set(names)), "a fill was reported twice"
        if self.declares(Capability.Balances):
            held = await self.adapter.balances()
            for asset in self.account.totals:
                wanted = Balances(self.account.free(asset), self.account.locked.get(asset, Decimal(0)))
                if asset in held or any(wanted):
                    assert Balances(held[asset].free, held[asset].locked) == wanted, f"{asset}: not the venue's"

    def _agrees_on(self, order: Order) -> bool:
        state = self.state(order)
        there = self.at_venue(order)
        if not there:
            return state.status is OrderStatus.Rejected
        (placed,) = there[-1:]
        ours, theirs = self.fills(order), placed.fills
        return (
            (state.status, state.filled_quantity) == (placed.status, placed.filled)
            and sum(fill.quantity for fill in ours) == placed.filled
            and _fees(ours) == _fees(theirs)
        )


def _fees(fills: list[Any]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for fill in fills:
        found[fill.fee_asset] = found.get(fill.fee_asset, Decimal(0)) + fill.fee
    return found


def account_of(simulator: Simulator, prefix: str) -> Account:
    """The account whose key begins so."""
    return next(account for key, account in simulator.exchange.accounts.items() if key.startswith(prefix))


def subscribed(desk: Desk, channel: Channel) -> Awaitable[object]:
    """Ask for a channel of the desk's symbol."""
    return cast("Awaitable[object]", desk.adapter.subscribe(channel, desk.symbol))
