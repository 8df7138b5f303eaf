"""OKX's JSON of what an account holds."""

from __future__ import annotations

from collections.abc import Iterable

from axon_exchange_okx.simulator.numbers import milliseconds, number
from axon_quant.exchange.exact import ZERO, add
from axon_quant.exchange.primitives import MarginMode
from axon_quant.exchange.simulator import Account, SimulatedPosition, Swaps


def account_row(account: Account, swaps: Swaps, now: int, assets: Iterable[str] | None = None) -> dict[str, object]:
    """The account, or what it holds of some assets."""
    at = milliseconds(now)
    assets = sorted(account.totals) if assets is None else assets
    return {
        "uTime": at,
        "totalEq": "",
        "isoEq": "0",
        "adjEq": "",
        "ordFroz": "",
        "imr": "",
        "mmr": "",
        "mgnRatio": "",
        "notionalUsd": "",
        "details": [_detail(account, swaps, asset, at) for asset in assets],
    }


def _detail(account: Account, swaps: Swaps, asset: str, at: str) -> dict[str, object]:
    total, locked = account.totals.get(asset, ZERO), account.locked.get(asset, ZERO)
    held = [position for position in account.positions.values() if position.asset == asset and position.quantity]
    won = sum((swaps.unrealised(position) for position in held), ZERO)
    crossed = sum((swaps.unrealised(position) for position in held if position.mode is MarginMode.Cross), ZERO)
    isolated = [position for position in held if position.mode is MarginMode.Isolated]
    return {
        "ccy": asset,
        "eq": number(add(total, won)),
        "cashBal": number(total),
        "availBal": number(max(add(account.free(asset), crossed), ZERO)),
        "availEq": number(max(swaps.available(account, asset), ZERO)),
        "frozenBal": number(locked),
        "ordFrozen": number(sum((order.lock for order in account.open.values() if order.lock_asset == asset), ZERO)),
        "uTime": at,
        "liab": "",
        "upl": number(won),
        "interest": "",
        "isoEq": number(sum((one.margin + swaps.unrealised(one) for one in isolated), ZERO)),
        "isoUpl": number(sum((swaps.unrealised(one) for one in isolated), ZERO)),
        "imr": number(sum((one.margin for one in held), ZERO)),
        "disEq": "0",
        "eqUsd": "",
    }


def balance_and_position_row(
    account: Account,
    now: int,
    cause: str,
    assets: Iterable[str] | None = None,
    positions: Iterable[SimulatedPosition] | None = None,
) -> dict[str, object]:
    """What the channel of that name says of some assets and positions, or of all."""
    held = [one for one in account.positions.values() if one.quantity] if positions is None else positions
    at = milliseconds(now)
    return {
        "pTime": at,
        "eventType": cause,
        "balData": [
            {"ccy": asset, "cashBal": number(account.totals.get(asset, ZERO)), "uTime": at}
            for asset in (sorted(account.totals) if assets is None else assets)
        ],
        "posData": [
            {
                "posId": str(one.position_id),
                "instId": one.symbol,
                "instType": "SWAP",
                "mgnMode": one.mode.value,
                "posSide": "net",
                "pos": number(one.quantity),
                "ccy": one.asset,
                "posCcy": "",
                "avgPx": number(one.entry_price) if one.quantity else "",
                "uTime": milliseconds(one.updated),
            }
            for one in held
        ],
        "trades": [],
    }
