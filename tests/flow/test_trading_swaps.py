"""`axon run` on perpetual swaps: the journal, the summary and the portfolio agree with the venue's own ledger."""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from axon_quant.config import load_config
from axon_quant.errors import ConfigError
from axon_quant.events import AccountReconciled, BalanceDifference, OrderPlaced
from axon_quant.exchange import Capability
from axon_quant.journal import read, verify
from axon_quant.orders import Order, OrderType, Side
from axon_quant.plugins import load_simulator
from axon_quant.runtime.live import Live, build_adapter

sys.path.insert(0, str(Path(__file__).parent))
from venue_process import SWAPS, Venue, standing

pytest.importorskip("axon_exchange_binance")
pytest.importorskip("axon_exchange_okx")
GRIDS = {"binance-futures": ("0.1", "0.001", "50"), "okx": ("0.1", "0.01", "5")}  # OKX's lots are contracts
REACHING = '''
from decimal import Decimal

from axon_quant import Order, Side, Strategy
from axon_quant.orders import TimeInForce


class Reaching(Strategy):
    """Two bids far below the market, then one position after the other, in base units."""

    def __init__(self, positions: list) -> None:
        self.positions = [Decimal(one) for one in positions]

    def on_decision(self, ctx, action):
        symbol, quote = ctx.symbol, ctx.quote(ctx.symbol)
        instrument, working = ctx.instrument(symbol), ctx.open_orders(symbol)
        if quote is None or any(state.order.time_in_force is TimeInForce.IOC for state in working):
            return
        if len(working) < 2:
            price = instrument.round_price(quote.bid * (0.96 + 0.001 * len(working)))
            yield Order(symbol, Side.Buy, price=price, quantity=Decimal("0.002") / instrument.contract_size)
            return
        missing = self.positions[0] - ctx.position(symbol)
        if not missing:
            if len(self.positions) > 1:
                self.positions.pop(0)
            return
        side, touch = (Side.Buy, quote.ask * 1.001) if missing > 0 else (Side.Sell, quote.bid * 0.999)
        quantity = instrument.round_quantity(abs(missing) / instrument.contract_size)
        price = instrument.round_price(touch)
        yield Order(symbol, side, price=price, quantity=quantity, time_in_force=TimeInForce.IOC)
'''


class SwapVenue(Venue):
    """A venue of swaps in a process of its own; `aim` says what positions the next run is to reach."""

    def __init__(self, name: str, folder: Path, root: Path) -> None:
        super().__init__(name, folder, root, SWAPS)
        write_config(self.config, name)

    def aim(self, *positions: str) -> None:
        aim(self.config, positions)

    @property
    def held(self) -> Decimal:
        """The position at the venue, in base units."""
        return base_units(self.truth())


def write_config(path: Path, name: str) -> None:
    """Turn the configuration of a spot run into one of the swap, with the strategy above."""
    (path.parent / "reaching.py").write_text(REACHING)
    text = re.sub(
        r"(?s)\[strategy\].*?\[risk\]",
        '[strategy]\nname = "reaching.py:Reaching"\noptions = { positions = [] }\n\n[risk]',
        path.read_text(),
    )
    for what, value in zip(("tick_size", "lot_size", "min_notional"), GRIDS[name], strict=True):
        text = re.sub(rf'{what} = ".*"', f'{what} = "{value}"', text)
    path.write_text(text)


def aim(path: Path, positions: tuple[str, ...]) -> None:
    listed = ", ".join(f'"{one}"' for one in positions)
    path.write_text(re.sub(r"positions = \[.*?\]", f"positions = [{listed}]", path.read_text()))


def base_units(truth: dict) -> Decimal:
    return sum((Decimal(one["quantity"]) * Decimal(one["contract_size"]) for one in truth["positions"]), Decimal(0))


def wallet(truth: dict) -> Decimal:
    balance = truth["balances"]["USDT"]
    return Decimal(balance["free"]) + Decimal(balance["locked"])


@pytest.fixture(params=sorted(SWAPS))
def venue(request, root, tmp_path):
    venue = SwapVenue(request.param, tmp_path, root)
    yield venue
    venue.close()


def test_a_run_goes_long_is_killed_and_the_next_one_goes_short_from_there(venue):
    venue.aim("0.002", "0.004")
    process = venue.run()
    try:
        venue.wait_for(lambda: venue.held == Decimal("0.004") and len(standing(venue)) == 2, process)
    finally:
        process.kill()
        process.communicate()
    (left,) = (one for one in venue.truth()["positions"] if Decimal(one["quantity"]))
    orders = len(venue.truth()["orders"])

    venue.aim("0.001", "-0.003")  # from what the venue holds, through a part of it, to the other side
    process = venue.run()
    try:
        venue.wait_for(lambda: venue.held == Decimal("-0.003"), process)
        summary = venue.stop(process)
    finally:
        process.kill()
    truth = venue.truth()
    assert not standing(venue)
    assert summary["outcome"] == "interrupted"
    assert not summary["rejects"]
    assert len(truth["orders"]) == orders + summary["orders"]
    assert Decimal(summary["positions"][venue.symbol]) == base_units(truth) == Decimal("-0.003")
    assert Decimal(summary["cash"]) == wallet(truth)
    assert Decimal(summary["equity"]) == wallet(truth) + Decimal(summary["unrealised"])

    (found,) = [event for _, event in read(venue.journal, run=2, kinds=(AccountReconciled,))]
    (held,) = found.positions
    assert held.quantity == Decimal("0.004")
    assert held.entry_price == Decimal(left["entry_price"])
    assert found.differences == (), "the venue holds something else than the journal leads to"
    assert any("were open in the journal" in notice for notice in summary["notices"])
    placed = {event.order.client_order_id for run in (1, 2) for event in venue.recorded(OrderPlaced, run=run)}
    assert {order["client_order_id"] for order in truth["orders"]} == placed
    assert [report.outcome for report in verify(venue.journal)] == [None, "interrupted"]


@pytest.fixture(params=sorted(SWAPS))
def desk(request, root, tmp_path, monkeypatch):
    """A venue and runs on one loop: `async with desk("0.004") as (live, simulator, task)`."""
    name, symbol = request.param, SWAPS[request.param][0]
    for secret, value in (("KEY", "YOUR_API_KEY"), ("SECRET", "YOUR_API_SECRET"), ("PASSPHRASE", "YOUR_PASSPHRASE")):
        monkeypatch.setenv(f"AXON_TEST_{secret}", value)

    @asynccontextmanager
    async def start(*positions):
        simulator = load_simulator(name)(symbols=(symbol,), history=3.0)
        roots = await simulator.start()
        path = tmp_path / "run.toml"
        text = (root / "examples" / "btcusdt.toml").read_text().replace("BTCUSDT", symbol)
        text = text.replace("interval_ms = 100", "interval_ms = 20\nbackfill = true")
        keys = 'api_key = "env:AXON_TEST_KEY"\napi_secret = "env:AXON_TEST_SECRET"\ntestnet = false\n'
        exchange = f'[exchange]\nname = "{name}"\n{keys}{SWAPS[name][1]}\n[journal]'
        path.write_text(re.sub(r"(?s)\[exchange\].*?\[journal\]", exchange, text))
        write_config(path, name)
        aim(path, positions)
        prefix = f"AXON_{name.upper().replace('-', '_')}"
        monkeypatch.setenv(f"{prefix}_REST_URL", roots["rest"])
        monkeypatch.setenv(f"{prefix}_WS_URL", roots["ws"])
        config = load_config(path)
        live = Live(config, build_adapter(config))
        task = asyncio.create_task(live.run())
        try:
            yield live, simulator, task
        finally:
            live.stop()
            await asyncio.wait([task])
            await simulator.stop()

    return start


async def until(condition, task, seconds=20.0):
    async with asyncio.timeout(seconds):
        while not condition():
            assert not task.done() or task.result() is None
            await asyncio.sleep(0.005)


async def test_a_short_position_is_worth_what_the_venue_says_and_a_halt_cancels_everything(desk):
    async with desk("0.004", "0.002", "-0.002", "-0.004", "-0.001") as (live, simulator, task):

        def truth():
            return simulator.truth()["accounts"]["main"]

        def ours():
            return live.built.portfolio.position(symbol)

        await until(lambda: live.operations is not None and live.built is not None, task)
        (symbol,) = live.built.engine.lanes
        await until(lambda: base_units(truth()) == ours() == Decimal("-0.001"), task)
        portfolio, swaps = live.built.portfolio, simulator.exchange.swaps
        account = next(iter(simulator.exchange.accounts.values()))
        (position,) = (one for one in account.positions.values() if one.quantity)
        mark = swaps.mark(symbol)
        portfolio.mark(symbol, float(mark))
        assert portfolio.cash("USDT") == wallet(truth())
        assert portfolio.unrealised == position.unrealised(mark)
        assert portfolio.equity == wallet(truth()) + position.unrealised(mark)
        swaps.set_mark(symbol, mark * Decimal("1.1"))
        portfolio.mark(symbol, float(mark) * 1.1)
        assert portfolio.equity < wallet(truth()), "a short that rises loses"

        answer = await live.operations.halt("now", "a test")
        assert (answer["orders"], answer["left"]) == (2, 0)
        assert not [order for order in truth()["orders"] if order["status"] in ("open", "partially-filled")]
        assert base_units(truth()) == ours(), "a halt cancels, and closes nothing"
    assert Decimal(task.result().positions[symbol]) == Decimal("-0.001")


@pytest.mark.parametrize("desk", ["okx"], indirect=True)
async def test_a_position_that_somebody_else_has_changed_is_told_and_gone_on_from(desk):
    async with desk("0.004") as (live, simulator, task):

        def truth():
            return simulator.truth()["accounts"]["main"]

        await until(lambda: live.built is not None and base_units(truth()) == Decimal("0.004"), task)
        live.stop()
        await task
        config = live.built.config
        (instrument,) = (lane.instrument for lane in live.built.engine.lanes.values())
        symbol, size = instrument.symbol, instrument.contract_size
        somebody = build_adapter(config)
        await somebody.connect()
        await somebody.place_order(Order(symbol, Side.Sell, OrderType.Market, quantity=Decimal("0.006") / size))
        await somebody.close()
        assert base_units(truth()) == Decimal("-0.002")

        again = Live(config, build_adapter(config))
        task = asyncio.create_task(again.run())
        await until(lambda: again.built is not None and base_units(truth()) == Decimal("0.004"), task)
        again.stop()
        summary = await task
    assert any(notice.startswith(f"{symbol}: the journal leads to 0.004") for notice in summary.notices)
    (found,) = [event for _, event in read(config.journal.path, run=2, kinds=(AccountReconciled,))]
    assert found.differences == (BalanceDifference(symbol, Decimal("0.004"), Decimal("-0.002")),)
    assert Decimal(summary.positions[symbol]) == Decimal("0.004")
    assert Decimal(summary.cash) == wallet(truth())


async def test_a_swap_where_positions_are_not_told_is_refused_before_anything_is_sent(desk):
    async with desk("0.004") as (live, simulator, task):
        live.adapter.capabilities = live.adapter.capabilities - {Capability.Positions}
        await asyncio.wait([task], timeout=20.0)
        assert not simulator.truth()["accounts"]["main"]["orders"]
    with pytest.raises(ConfigError, match="has to know its position"):
        task.result()
