"""Orders of an earlier run, settled before a live run trades."""

from decimal import Decimal

import attrs
import pytest

from axon_quant.clock import NEVER
from axon_quant.config import load_config
from axon_quant.events import AccountReconciled, OrderAdopted, OrderUpdated
from axon_quant.exchange.config import ForeignOrders
from axon_quant.journal import read
from axon_quant.orders import Fill, Liquidity, Order, OrderState, OrderStatus, OrderType, OrderUpdate, Side
from axon_quant.runtime.past import Past
from axon_quant.runtime.reconciliation import Account, adopt, settle
from axon_quant.runtime.wiring import pipeline


class Nowhere:
    next_due = NEVER

    def bind(self, engine):
        pass

    def handlers(self, symbol):
        return {}


@pytest.fixture
def built(root, tmp_path):
    config = load_config(root / "examples" / "btcusdt.toml")
    config = attrs.evolve(config, journal=attrs.evolve(config.journal, path=tmp_path / "live.db"))
    balances = {"USDT": Decimal(100_000)}
    with pipeline(config, lambda _: Nowhere(), mode="live", balances=balances) as built:
        yield built


def limit(name, quantity="0.01"):
    return Order("BTCUSDT", Side.Buy, price=50_000, quantity=quantity, client_order_id=name)


def filled(order, quantity):
    part = Decimal(quantity)
    fill = Fill(
        order.client_order_id, "BTCUSDT", Side.Buy, Decimal(50_000), part, Decimal(0), "USDT", Liquidity.Taker, "f1", 5
    )
    status = OrderStatus.Filled if part == order.quantity else OrderStatus.PartiallyFilled
    return OrderUpdate(order.client_order_id, status, 5, "BTCUSDT", "v1", part, fill)


def account(*updates, adopted=(), foreign=()):
    return Account(updates, {"USDT": Decimal(100_000)}, adopted, foreign, frozenset(), ())


def settled(built, past, found, policy=ForeignOrders.Ignore):
    settle(built, past, found, policy)
    built.journal.flush()
    kinds = (OrderAdopted, OrderUpdated, AccountReconciled)
    return [event for _, event in read(built.config.journal.path, kinds=kinds)]


def test_an_order_that_is_still_open_holds_its_share_of_the_limits_less_what_has_filled(built):
    order = limit("a")
    events = settled(built, Past({"a": OrderState(order, OrderStatus.Submitted)}), account(filled(order, "0.004")))
    assert [type(event) for event in events] == [OrderAdopted, OrderUpdated, AccountReconciled]
    assert built.engine.tracker.open["a"].filled_quantity == Decimal("0.004")
    assert built.risk.open_quantity("BTCUSDT") == (Decimal("0.006"), Decimal(0))
    assert (events[-1].settled, events[-1].fills) == (0, 1)
    assert built.portfolio.position("BTCUSDT") == 0, "the balances contain the fill"


def test_a_market_order_that_filled_meanwhile_needs_no_price_to_be_settled(built):
    order = Order("BTCUSDT", Side.Buy, OrderType.Market, quantity="0.01", client_order_id="a")
    events = settled(built, Past({"a": OrderState(order, OrderStatus.Submitted)}), account(filled(order, "0.01")))
    assert events[-1].settled == 1
    assert not built.engine.tracker.open
    assert built.risk.open_quantity("BTCUSDT") == (Decimal(0), Decimal(0))


def test_a_fill_that_a_killed_run_did_not_learn_of_is_journaled_though_its_order_was_over(built):
    over = {name: OrderState(limit(name), OrderStatus.Cancelled, "v" + name) for name in ("a", "b")}
    events = settled(built, Past(ended=over), account(filled(over["a"].order, "0.004")))
    assert [type(event) for event in events] == [OrderAdopted, OrderUpdated, AccountReconciled]
    assert (events[0].order.client_order_id, events[-1].fills) == ("a", 1)
    assert built.engine.tracker.get("a").filled_quantity == Decimal("0.004")
    assert built.engine.tracker.get("b") is None
    assert not built.engine.tracker.open


def test_an_order_of_somebody_else_that_is_over_when_it_is_adopted_is_not_open(built):
    adopt(built, OrderState(limit("theirs"), OrderStatus.Cancelled, "v9"))
    assert built.engine.tracker.get("theirs").status is OrderStatus.Cancelled
    assert not built.engine.tracker.open
    assert built.risk.open_quantity("BTCUSDT") == (Decimal(0), Decimal(0))


def test_foreign_orders_halt_where_the_policy_says_so(built):
    theirs = OrderState(limit("theirs"), OrderStatus.Open, "v9")
    events = settled(built, Past(), account(foreign=(theirs,)), ForeignOrders.Halt)
    assert events[-1].foreign == ("theirs",)
    assert "not ours" in built.risk.reason
