"""OKX's JSON of positions, leverage and funding."""

from __future__ import annotations

from axon_exchange_okx.simulator.numbers import milliseconds, number
from axon_quant.clock import NANOSECONDS
from axon_quant.exchange.exact import ZERO, add, multiply
from axon_quant.exchange.primitives import MarginMode
from axon_quant.exchange.simulator import Account, SimulatedExchange, SimulatedPosition


def position_row(exchange: SimulatedExchange, account: Account, position: SimulatedPosition) -> dict[str, object]:
    """One of `/account/positions`, or of the channel `positions`, which tells of one that is closed, too."""
    symbol, held = position.symbol, bool(position.quantity)
    mark = exchange.swaps.mark(symbol)
    won = exchange.swaps.unrealised(position)
    value = ZERO if mark is None else abs(position.worth(mark, position.quantity))
    trades = [fill for fill in account.fills if fill.symbol == symbol]
    isolated = position.mode is MarginMode.Isolated
    return {
        "instType": "SWAP",
        "instId": symbol,
        "mgnMode": position.mode.value,
        "posId": str(position.position_id),
        "posSide": "net",
        "pos": number(position.quantity),
        "posCcy": "",
        "availPos": "",
        "ccy": position.asset,
        "avgPx": number(position.entry_price) if held else "",
        "markPx": number(mark),
        "last": number(exchange.price(symbol)),
        "upl": number(won) if held else "",
        "uplRatio": number(round(won / position.margin, 8)) if position.margin else "",
        "uplLastPx": "",
        "lever": str(position.leverage),
        "liqPx": "",
        "imr": "" if isolated or not held else number(position.margin),
        "mmr": number(multiply(value, exchange.swaps.terms.maintenance)) if held else "",
        "margin": number(position.margin) if isolated else "",
        "mgnRatio": "",
        "interest": "",
        "notionalUsd": number(value) if held else "",
        "adl": "1" if held else "",
        "tradeId": str(trades[-1].trade_id) if trades else "",
        "realizedPnl": number(add(add(position.realised, position.fees), position.funding)),
        "pnl": number(position.realised),
        "fee": number(position.fees),
        "fundingFee": number(position.funding),
        "liqPenalty": "0",
        "closeOrderAlgo": [],
        "cTime": milliseconds(position.opened),
        "uTime": milliseconds(position.updated),
        "pTime": milliseconds(exchange.now()),
    }


def leverage_row(position: SimulatedPosition) -> dict[str, object]:
    """The answer to `/account/set-leverage`, and one of `/account/leverage-info`."""
    return {
        "instId": position.symbol,
        "lever": str(position.leverage),
        "mgnMode": position.mode.value,
        "posSide": "net",
    }


def funding_row(exchange: SimulatedExchange, symbol: str) -> dict[str, object]:
    """`/public/funding-rate`, and the channel of that name."""
    funding, now = exchange.swaps.funding(symbol), exchange.now()
    after = funding.next_at + round(exchange.swaps.terms.funding_every * NANOSECONDS)
    return {
        "instType": "SWAP",
        "instId": symbol,
        "method": "current_period",
        "formulaType": "noRate",
        "fundingRate": number(funding.rate),
        "fundingTime": milliseconds(funding.next_at),
        "nextFundingRate": "",
        "nextFundingTime": milliseconds(after),
        "minFundingRate": "-0.00375",
        "maxFundingRate": "0.00375",
        "interestRate": "",
        "impactValue": "",
        "premium": "",
        "settState": "settled",
        "settFundingRate": number(funding.rate),
        "ts": milliseconds(now),
    }


def mark_row(exchange: SimulatedExchange, symbol: str) -> dict[str, object]:
    """`/public/mark-price`, and the channel of that name."""
    mark = exchange.swaps.mark(symbol)
    return {"instType": "SWAP", "instId": symbol, "markPx": number(mark), "ts": milliseconds(exchange.now())}
