"""Keys change while a run goes on: from the next request on everything is signed with the new ones."""

from __future__ import annotations

import asyncio
import copy
import os
from pathlib import Path

import attrs
import pytest

from axon_quant import Order, Side
from axon_quant.config import RateLimitEntry
from axon_quant.control import ask
from axon_quant.errors import AccountLockedError, ControlError, UnsupportedError
from axon_quant.events import OperatorActed
from axon_quant.exchange import ExchangeConfig, RateLimitConfig, StreamState
from axon_quant.journal import read
from axon_quant.orders import OrderStatus
from axon_quant.plugins import load_exchange, load_simulator
from axon_quant.runtime.account_lock import lock_account
from axon_quant.runtime.live import Live, build_adapter
from axon_quant.secrets import Secret

VENUES = {"binance": "BTCUSDT", "okx": "BTC-USDT"}


def keys(key, roots):
    limits = RateLimitConfig(requests_per_second=200, orders_per_minute=5_000)
    return ExchangeConfig(key, "YOUR_API_SECRET", "YOUR_PASSPHRASE", base_urls=roots, rate_limit=limits)


def give_another_key(simulator):
    accounts = simulator.exchange.accounts
    accounts["NEW_API_KEY"] = accounts["YOUR_API_KEY"]


def revoke_the_first_key(simulator):
    accounts = simulator.exchange.accounts
    accounts["YOUR_API_KEY"] = copy.copy(accounts["YOUR_API_KEY"])
    accounts["YOUR_API_KEY"].secret = "revoked"


async def until(condition, seconds=15.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the ledger has no event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", VENUES)
async def test_an_adapter_goes_on_with_other_keys_and_its_stream_comes_back(name):
    pytest.importorskip(f"axon_exchange_{name}")
    simulator = load_simulator(name)(symbols=(VENUES[name],))
    roots = await simulator.start()
    adapter = load_exchange(name)(keys("YOUR_API_KEY", roots))
    stream = adapter.events()
    await adapter.connect()
    try:
        first = Order(VENUES[name], Side.Buy, price="40000", quantity="0.001")
        await adapter.place_order(first)
        give_another_key(simulator)
        stream.take()
        adapter.use_keys(keys("NEW_API_KEY", roots))
        revoke_the_first_key(simulator)
        second = Order(VENUES[name], Side.Buy, price="40001", quantity="0.001")
        await adapter.place_order(second)
        states = []

        def came_back():
            states.extend(event.up for event in stream.take() if isinstance(event, StreamState))
            return states[-1:] == [True]

        await until(came_back)
        assert states == [False, True]
        for order in (first, second):
            await adapter.cancel_order(order.client_order_id)
        await until(lambda: not adapter.orders.open)
        assert adapter.orders.get(first.client_order_id).status is OrderStatus.Cancelled
        assert (await adapter.balances())["USDT"].locked == 0
        assert "API_KEY" not in repr(adapter.config)
    finally:
        await adapter.close()
        await simulator.stop()


async def test_a_plugin_that_cannot_change_its_keys_says_so():
    from axon_quant.exchange import PaperAdapter

    with pytest.raises(UnsupportedError, match="cannot change its keys"):
        PaperAdapter.use_keys(object.__new__(PaperAdapter), keys("a", {}))


def test_two_runs_cannot_hold_one_key_but_two_keys_they_can(state_folder):
    adapters = [load_exchange("binance")(keys(key, {"rest": "http://127.0.0.1:1"})) for key in ("a", "a", "b")]
    said = rf"another process \(pid {os.getpid()}\) trades on this binance account"
    with lock_account(adapters[0]), lock_account(adapters[2]), pytest.raises(AccountLockedError, match=said):
        lock_account(adapters[1])
    with lock_account(adapters[1]):
        pass
    (first, *_) = locks = sorted((state_folder / "axon" / "accounts").iterdir())
    assert len(locks) >= 2
    assert (first.stat().st_mode & 0o777, first.parent.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_a_run_changes_its_keys_when_it_is_told_to(btcusdt, tmp_path, monkeypatch):
    pytest.importorskip("axon_exchange_binance")
    simulator = load_simulator("binance")(symbols=("BTCUSDT",))
    roots = await simulator.start()
    monkeypatch.setenv("AXON_BINANCE_REST_URL", roots["rest"])
    monkeypatch.setenv("AXON_BINANCE_WS_URL", roots["ws"])
    file = Path(tmp_path / "key")

    def write(key):
        file.touch(0o600)
        file.write_text(key + "\n")

    def read_config():
        entry = attrs.evolve(
            btcusdt.exchange,
            name="binance",
            api_key=Secret.from_source(f"file:{file}"),
            api_secret=Secret("YOUR_API_SECRET"),
            testnet=False,
            rate_limit=RateLimitEntry(requests_per_second=200, orders_per_minute=5_000),
        )
        return attrs.evolve(btcusdt, exchange=entry)

    write("YOUR_API_KEY")
    config = read_config()
    live = Live(config, build_adapter(config), read_config=read_config)
    task = asyncio.create_task(live.run())

    def rotate():
        return asyncio.to_thread(ask, config.control.socket, "rotate-keys", timeout=30.0, reason="a year is over")

    try:
        await until(lambda: live.operations is not None and config.control.socket.exists())
        with pytest.raises(ControlError, match="the keys are the same"):
            await rotate()
        write("UNKNOWN_API_KEY")
        with pytest.raises(ControlError, match="rotate-keys was refused"):
            await rotate()
        assert live.adapter.config.api_key.reveal() == "YOUR_API_KEY", "it goes on with what works"
        give_another_key(simulator)
        write("NEW_API_KEY")
        assert await rotate() == {"venue": "binance"}
        revoke_the_first_key(simulator)
        await live.adapter.balances()
        with pytest.raises(AccountLockedError):
            lock_account(load_exchange("binance")(attrs.evolve(live.adapter.config)))
    finally:
        live.stop()
        await task
        await simulator.stop()
    events = [event for _, event in read(config.journal.path, kinds=[OperatorActed])]
    assert [(event.action, event.reason) for event in events] == [("rotate-keys", "a year is over")]
    assert b"API_KEY" not in config.journal.path.read_bytes()
