"""A simulated venue's ledger as plain values: what tests compare a client's view with."""

from __future__ import annotations

from collections.abc import Iterable

from axon_quant.exchange.exact import ZERO
from axon_quant.exchange.simulator.account import Account, SimulatedFill, SimulatedOrder
from axon_quant.exchange.simulator.positions import PositionEvent, SimulatedPosition


def ledger(accounts: Iterable[Account]) -> dict[str, object]:
    """By the account's name: every order, fill, balance, position and funding there ever was. Decimals are texts, times
    UTC ns; quantities of swaps are contracts."""
    return {
        account.name: {
            "orders": [_order(order) for order in account.orders.values()],
            "fills": [_fill(fill) for fill in account.fills],
            "balances": {
                asset: {"free": f"{account.free(asset):f}", "locked": f"{account.locked.get(asset, ZERO):f}"}
                for asset in sorted(account.totals)
            },
            "positions": [_position(position) for position in account.positions.values()],
            "funding": [_funding(payment) for payment in account.funding],
        }
        for account in accounts
    }


def _order(placed: SimulatedOrder) -> dict[str, object]:
    order = placed.order
    return {
        "venue_order_id": placed.venue_order_id,
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.order_type.value,
        "price": None if order.price is None else f"{order.price:f}",
        "stop_price": None if order.stop_price is None else f"{order.stop_price:f}",
        "quantity": f"{order.quantity:f}",
        "filled": f"{placed.filled:f}",
        "value": f"{placed.value:f}",
        "status": placed.status.value,
        "reason": placed.reason,
        "created": placed.created,
        "updated": placed.updated,
        **({} if placed.position is None else {"mode": placed.position.mode.value, "reduce_only": order.reduce_only}),
    }


def _fill(fill: SimulatedFill) -> dict[str, object]:
    return {
        "trade_id": fill.trade_id,
        "venue_order_id": fill.venue_order_id,
        "client_order_id": fill.client_order_id,
        "symbol": fill.symbol,
        "price": f"{fill.price:f}",
        "quantity": f"{fill.quantity:f}",
        "fee": f"{fill.fee:f}",
        "fee_asset": fill.fee_asset,
        "liquidity": fill.liquidity.value,
        "at": fill.at,
        "realised": f"{fill.realised:f}",
    }


def _position(position: SimulatedPosition) -> dict[str, object]:
    return {
        "symbol": position.symbol,
        "asset": position.asset,
        "mode": position.mode.value,
        "contract_size": f"{position.contract_size:f}",
        "quantity": f"{position.quantity:f}",
        "cost": f"{position.cost:f}",
        "entry_price": f"{position.entry_price:f}",
        "leverage": position.leverage,
        "margin": f"{position.margin:f}",
        "realised": f"{position.realised:f}",
        "funding": f"{position.funding:f}",
        "fees": f"{position.fees:f}",
    }


def _funding(payment: PositionEvent) -> dict[str, object]:
    return {
        "symbol": payment.position.symbol,
        "mode": payment.position.mode.value,
        "asset": payment.asset,
        "amount": f"{payment.amount:f}",
        "rate": f"{payment.rate:f}",
        "at": payment.at,
    }
