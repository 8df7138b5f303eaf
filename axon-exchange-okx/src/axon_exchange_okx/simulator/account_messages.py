"""OKX's JSON of what an account holds."""

from __future__ import annotations

from collections.abc import Iterable

from axon_exchange_okx.simulator.numbers import milliseconds, number
from axon_quant.exchange.exact import ZERO
from axon_quant.exchange.simulator import Account


def account_row(account: Account, now: int, assets: Iterable[str] | None = None) -> dict[str, object]:
    """The account, or what it holds of some assets."""
    at = milliseconds(now)
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
        "details": [
            {
                "ccy": asset,
                "eq": number(account.totals.get(asset, ZERO)),
                "cashBal": number(account.totals.get(asset, ZERO)),
                "availBal": number(account.free(asset)),
                "availEq": number(account.free(asset)),
                "frozenBal": number(account.locked.get(asset, ZERO)),
                "ordFrozen": number(account.locked.get(asset, ZERO)),
                "uTime": at,
                "liab": "",
                "upl": "0",
                "interest": "",
                "isoEq": "0",
                "disEq": "0",
                "eqUsd": "",
            }
            for asset in (sorted(account.totals) if assets is None else assets)
        ],
    }


def balance_and_position_row(
    account: Account, now: int, cause: str, assets: Iterable[str] | None = None
) -> dict[str, object]:
    """What the channel of that name says; spot has no positions."""
    at = milliseconds(now)
    return {
        "pTime": at,
        "eventType": cause,
        "balData": [
            {"ccy": asset, "cashBal": number(account.totals.get(asset, ZERO)), "uTime": at}
            for asset in (sorted(account.totals) if assets is None else assets)
        ],
        "posData": [],
        "trades": [],
    }
