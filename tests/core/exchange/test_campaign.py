"""Whatever goes wrong, in whatever order: in the end the adapter and its readers know exactly what the ledger knows."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter, deque
from decimal import Decimal
from pathlib import Path

import attrs
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from axon_quant.errors import AmbiguousError, ExchangeError
from axon_quant.exchange import BalanceUpdate, Capability
from axon_quant.market import Instrument
from axon_quant.orders import Order, OrderStatus, OrderType, OrderUpdate, Side

sys.path.insert(0, str(Path(__file__).parent))
from scripted_venue import Fault, ScriptedAdapter, ScriptedVenue, limit
from virtual_time import LoopClock, run

BTCUSDT = Instrument(
    venue="scripted", symbol="BTCUSDT", base="BTC", quote="USDT", tick_size=Decimal("0.01"), lot_size=Decimal("0.001")
)
SENDING = ["_send_order", "_send_cancel", "_send_amend", "_send_replace"]
ASKING = ["_fetch_order", "_fetch_open_orders", "_fetch_fills", "_fetch_balances", "_run_account", "_fetch_time"]
CHANGES = [
    Fault.RequestLost,
    Fault.ResponseLost,
    Fault.Late,
    Fault.Silent,
    Fault.Hangs,
    Fault.Unavailable,
    Fault.RateLimited,
    Fault.Rejected,
    Fault.WrongTime,
]
QUESTIONS = [Fault.Unavailable, Fault.RateLimited, Fault.Hangs]
SIZES = st.sampled_from([Decimal("0.25"), Decimal("0.5"), Decimal(1)])
PICK = st.integers(0, 30)

STEPS = st.one_of(
    st.tuples(st.just("place"), st.booleans(), st.sampled_from(Side)),
    st.tuples(st.just("cancel"), PICK),
    st.tuples(st.just("amend"), PICK, st.sampled_from([Decimal("0.5"), Decimal(1), Decimal(2)])),
    st.tuples(st.just("replace"), PICK),
    st.tuples(st.just("fill"), PICK, SIZES),
    st.tuples(st.just("fill"), PICK, SIZES),
    st.tuples(st.just("venue cancels"), PICK),
    st.tuples(st.just("repeat"), PICK),
    st.tuples(st.just("shuffle")),
    st.tuples(st.just("disconnect")),
    st.tuples(st.just("stall"), st.booleans()),
    st.tuples(st.just("down"), st.booleans()),
    st.tuples(st.just("drift"), st.sampled_from([-30, -3, 0, 3, 30])),
    st.tuples(st.just("sleep"), st.sampled_from([0.0, 0.001, 0.01, 0.1, 1.0, 3.0, 25.0])),
    st.tuples(st.just("fault"), st.sampled_from(SENDING), st.sampled_from([*CHANGES, Fault.Duplicate])),
    st.tuples(st.just("fault"), st.sampled_from(ASKING), st.sampled_from(QUESTIONS)),
)


class SearchingAdapter(ScriptedAdapter):
    """Open orders and fills are all the evidence there is."""

    capabilities = ScriptedAdapter.capabilities - {Capability.FetchOrder}


@attrs.define
class Campaign:
    """Drives an adapter and its venue through steps and keeps what the readers were told."""

    adapter: ScriptedAdapter
    told: list[object] = attrs.field(factory=list)
    orders: list[Order] = attrs.field(factory=list)
    work: list[asyncio.Future[object]] = attrs.field(factory=list)
    accepted: set[str] = attrs.field(factory=set)
    refused: set[str] = attrs.field(factory=set)
    steady_from: int = 0

    @property
    def may_not_tell(self) -> bool:
        """Without a look-up by name, an order that came and went without a fill leaves no trace."""
        return Capability.FetchOrder not in self.adapter.capabilities

    async def read(self) -> None:
        async for report in self.adapter.events():
            self.told.append(report)

    async def step(self, step: tuple) -> None:
        venue = self.adapter.venue
        match step:
            case ("place", is_market, side):
                kind = OrderType.Market if is_market else OrderType.Limit
                order = Order("BTCUSDT", side, kind, None if is_market else 100, 1)
                self._begin(order, self.adapter.place_order(order))
            case ("cancel", pick) if self.orders:
                self.work.append(asyncio.ensure_future(self.adapter.cancel_order(self._name(pick))))
            case ("amend", pick, quantity) if self.orders:
                amending = self.adapter.amend_order(self._name(pick), quantity=quantity)
                self.work.append(asyncio.ensure_future(amending))
            case ("replace", pick) if self.orders:
                order = limit(price=101)
                self._begin(order, self.adapter.replace_order(self._name(pick), order))
            case ("fill", pick, quantity) if self.orders:
                venue.fill(self._name(pick), quantity)
            case ("venue cancels", pick) if self._name(pick) in venue.ledger.orders:
                if not venue.ledger.orders[self._name(pick)].status.is_terminal:
                    venue.cancel(self._name(pick))
            case ("repeat", pick) if self.told:
                report = self.told[pick % len(self.told)]
                if isinstance(report, OrderUpdate):
                    venue.repeat(report)
            case ("shuffle",):
                venue.shuffle()
            case ("disconnect",):
                venue.disconnect()
            case ("stall", stalled):
                if venue.stalled and not stalled:
                    venue.disconnect()  # a stall ends with a new connection: what was withheld is gone
                venue.stalled = stalled
            case ("down", down):
                venue.down = down
            case ("drift", seconds) if venue.now() >= self.steady_from:
                # A clock that is set to and fro within the life of one request proves nothing to anybody.
                venue.drift = seconds * 1_000_000_000
                self.steady_from = venue.now() + 10_000_000_000
            case ("sleep", seconds):
                await asyncio.sleep(seconds)
            case ("fault", primitive, fault):
                venue.faults.setdefault(primitive, deque()).append(fault)

    def _begin(self, order: Order, placing) -> None:
        self.orders.append(order)

        async def place() -> None:
            try:
                await placing
            except AmbiguousError:
                return
            except ExchangeError:
                self.refused.add(order.client_order_id)
            else:
                self.accepted.add(order.client_order_id)

        self.work.append(asyncio.ensure_future(place()))

    def _name(self, pick: int) -> str:
        return self.orders[pick % len(self.orders)].client_order_id if self.orders else ""

    async def settle(self) -> None:
        """The venue behaves from now on; everything has the time it needs."""
        venue = self.adapter.venue
        venue.faults.clear()
        venue.down = venue.stalled = False
        venue.disconnect()
        await asyncio.wait(self.work) if self.work else None
        for done in self.work:
            if not done.cancelled() and (error := done.exception()) is not None:
                assert isinstance(error, ExchangeError), repr(error)
        await asyncio.sleep(100)

    def check(self) -> None:
        """Nothing lost, nothing twice, nothing that is not there."""
        ledger, tracker = self.adapter.venue.ledger, self.adapter.orders
        ours = {order.client_order_id for order in self.orders}
        assert ledger.orders.keys() <= ours
        assert max(Counter(ledger.received).values(), default=0) <= 1, "an order was sent twice"
        for name in ours:
            known, true = tracker.get(name), ledger.orders.get(name)
            if true is None:
                assert known is None or known.status is OrderStatus.Rejected, f"{name} is a phantom: {known}"
                assert name not in self.accepted
                continue
            assert known is not None
            if self.may_not_tell and true.status is OrderStatus.Cancelled and not true.filled_quantity:
                assert known.status in (OrderStatus.Cancelled, OrderStatus.Rejected)
                continue
            assert name not in self.refused, f"{name} lives, and the caller was told otherwise"
            fills = {fill.fill_id for fill in ledger.fills if fill.client_order_id == name}
            assert (known.status, known.filled_quantity) == (true.status, true.filled_quantity)
            assert known.fill_ids == fills
            if not known.status.is_terminal:
                assert known.order.quantity == true.order.quantity
        told = Counter(update.fill.fill_id for update in self.told if isinstance(update, OrderUpdate) and update.fill)
        assert told == Counter(fill.fill_id for fill in ledger.fills)
        balances = [report for report in self.told if isinstance(report, BalanceUpdate)]
        assert balances[-1].free == ledger.quantity()
        assert self.adapter.venue.asked_while_banned == 0


async def campaign(steps: list[tuple], searching: bool, venue_names: bool) -> Counter[Fault]:
    clock = LoopClock()
    made = SearchingAdapter if searching else ScriptedAdapter
    adapter = made(ScriptedVenue(clock), BTCUSDT, clock)
    adapter.names_fills_like_the_venue = venue_names and not searching
    await adapter.connect()
    run = Campaign(adapter)
    reading = asyncio.ensure_future(run.read())
    await asyncio.sleep(0)
    await adapter.repair()
    for step in steps:
        await run.step(step)
    await run.settle()
    run.told.extend([] if any(isinstance(t, BalanceUpdate) for t in run.told) else [first_balance(adapter)])
    run.check()
    await adapter.close()
    await reading
    return Counter(adapter.venue.fired)


def first_balance(adapter: ScriptedAdapter) -> BalanceUpdate:
    return adapter._balances["BTC"].update


@given(st.lists(STEPS, max_size=60), st.booleans(), st.booleans())
@settings(max_examples=150)
def test_the_adapter_ends_with_the_truth(steps: list[tuple], searching: bool, venue_names: bool) -> None:
    for fault in run(campaign(steps, searching, venue_names)):
        event(fault.value)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_long_campaigns_end_with_the_truth(seed: int) -> None:
    random.seed(seed)  # the waits between connections, too
    generator = random.Random(seed)
    steps: list[tuple] = []
    for _ in range(2_000):
        pick = generator.randrange(1_000_000)
        chosen = generator.random()
        if chosen < 0.35:
            steps.append(("place", generator.random() < 0.2, generator.choice(list(Side))))
        elif chosen < 0.55:
            steps.append(("fill", pick, generator.choice([Decimal("0.25"), Decimal("0.5"), Decimal(1)])))
        elif chosen < 0.65:
            steps.append(("cancel", pick))
        elif chosen < 0.68:
            steps.append(generator.choice([("amend", pick, Decimal(2)), ("replace", pick)]))
        elif chosen < 0.78:
            steps.append(("sleep", generator.choice([0.001, 0.01, 0.1, 1.0])))
        elif chosen < 0.90:
            steps.append(("fault", generator.choice(SENDING), generator.choice(CHANGES)))
        elif chosen < 0.93:
            steps.append(("fault", generator.choice(ASKING), generator.choice(QUESTIONS)))
        else:
            steps.append(
                generator.choice(
                    [
                        ("shuffle",),
                        ("repeat", pick),
                        ("disconnect",),
                        ("venue cancels", pick),
                        ("drift", generator.choice([-3, 0, 3])),
                        ("stall", generator.random() < 0.5),
                    ]
                )
            )
    fired = run(campaign(steps, searching=seed % 2 == 0, venue_names=seed % 3 == 0))
    assert set(CHANGES) <= set(fired), "every fault must have fired"
