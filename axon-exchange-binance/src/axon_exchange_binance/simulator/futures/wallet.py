"""What an account of futures has: its wallet, margins and positions, as Binance counts them."""

from __future__ import annotations

from decimal import Decimal

from axon_exchange_binance.simulator.numbers import exact, milliseconds, number
from axon_quant.exchange.exact import ZERO, add, multiply, subtract
from axon_quant.exchange.primitives import MarginMode
from axon_quant.exchange.simulator import Account, SimulatedExchange
from axon_quant.exchange.simulator.positions import SimulatedPosition


class Wallet:
    """Of one account, now."""

    def __init__(self, exchange: SimulatedExchange, account: Account) -> None:
        self._swaps = exchange.swaps
        self._at = milliseconds(exchange.now())
        self.account = account

    @property
    def assets(self) -> list[str]:
        """Those that there is something of, or was."""
        return sorted(self.account.totals)

    def unrealised(self, asset: str, mode: MarginMode | None = None) -> Decimal:
        """What positions of a mode, None: of both, have won or lost by the mark."""
        return sum(
            (
                self._swaps.unrealised(one)
                for one in self.account.positions.values()
                if one.asset == asset and mode in (None, one.mode)
            ),
            ZERO,
        )

    def isolated(self, asset: str) -> Decimal:
        """What isolated positions hold of the wallet."""
        held = (one for one in self.account.positions.values() if one.asset == asset)
        return sum((one.margin for one in held if one.mode is MarginMode.Isolated), ZERO)

    def available(self, asset: str) -> Decimal:
        """What is left beside all margins, with what cross positions have won or lost."""
        return max(ZERO, add(self.account.free(asset), self.unrealised(asset, MarginMode.Cross)))

    def balance_row(self, asset: str) -> dict[str, object]:
        """Of `/balance`."""
        total = self.account.totals.get(asset, ZERO)
        available = exact(self.available(asset))
        return {
            "accountAlias": "SgsR",
            "asset": asset,
            "balance": exact(total),
            "crossWalletBalance": exact(subtract(total, self.isolated(asset))),
            "crossUnPnl": exact(self.unrealised(asset, MarginMode.Cross)),
            "availableBalance": available,
            "maxWithdrawAmount": available,
            "marginAvailable": True,
            "updateTime": self._at,
        }

    def asset_row(self, asset: str) -> dict[str, object]:
        """Of `/account`."""
        total, unrealised = self.account.totals.get(asset, ZERO), self.unrealised(asset)
        held = self.account.locked.get(asset, ZERO)
        of_positions = sum((one.margin for one in self.account.positions.values() if one.asset == asset), ZERO)
        row = self.balance_row(asset)
        return {
            "asset": asset,
            "walletBalance": row["balance"],
            "unrealizedProfit": exact(unrealised),
            "marginBalance": exact(add(total, unrealised)),
            "maintMargin": exact(self._maintenance(asset)),
            "initialMargin": exact(held),
            "positionInitialMargin": exact(of_positions),
            "openOrderInitialMargin": exact(subtract(held, of_positions)),
            "crossWalletBalance": row["crossWalletBalance"],
            "crossUnPnl": row["crossUnPnl"],
            "availableBalance": row["availableBalance"],
            "maxWithdrawAmount": row["maxWithdrawAmount"],
            "marginAvailable": True,
            "updateTime": self._at,
        }

    def status(self) -> dict[str, object]:
        """`/account`."""
        rows = [self.asset_row(asset) for asset in self.assets]
        parts = {
            "totalInitialMargin": "initialMargin",
            "totalMaintMargin": "maintMargin",
            "totalWalletBalance": "walletBalance",
            "totalUnrealizedProfit": "unrealizedProfit",
            "totalMarginBalance": "marginBalance",
            "totalPositionInitialMargin": "positionInitialMargin",
            "totalOpenOrderInitialMargin": "openOrderInitialMargin",
            "totalCrossWalletBalance": "crossWalletBalance",
            "totalCrossUnPnl": "crossUnPnl",
            "availableBalance": "availableBalance",
            "maxWithdrawAmount": "maxWithdrawAmount",
        }
        of_dollars = [row for row in rows if row["asset"] == "USDT"]
        sums = {
            name: number(sum((Decimal(str(row[part])) for row in of_dollars), ZERO)) for name, part in parts.items()
        }
        return {
            "feeTier": 0,
            "canTrade": self.account.may_trade,
            "canDeposit": True,
            "canWithdraw": True,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
            "updateTime": self._at,
            **sums,
            "assets": rows,
            "positions": [self.position_row(one) for one in self.positions()],
        }

    def positions(self, symbol: str | None = None) -> list[SimulatedPosition]:
        """Those that are not zero; of a symbol the one that its orders trade in, whether it is or not."""
        if symbol is not None:
            position = self._swaps.position(self.account, symbol)
            return [] if position is None else [position]
        return [one for one in self.account.positions.values() if one.quantity]

    def position_row(self, position: SimulatedPosition) -> dict[str, object]:
        """Of `/positionRisk` and `/account`."""
        mark, alone = self._swaps.mark(position.symbol) or ZERO, position.mode is MarginMode.Isolated
        unrealised = number(self._swaps.unrealised(position))
        notional = position.worth(mark, position.quantity)
        return {
            "symbol": position.symbol,
            "positionSide": "BOTH",
            "positionAmt": number(position.quantity),
            "entryPrice": number(position.entry_price),
            "breakEvenPrice": number(position.entry_price),
            "markPrice": number(mark),
            "unRealizedProfit": unrealised,
            "unrealizedProfit": unrealised,
            "liquidationPrice": "0",
            "isolatedMargin": number(position.margin if alone else ZERO),
            "isolatedWallet": number(position.margin if alone else ZERO),
            "isolated": alone,
            "marginType": position.mode.value,
            "leverage": str(position.leverage),
            "maxNotionalValue": "1000000000",
            "isAutoAddMargin": "false",
            "notional": number(notional),
            "marginAsset": position.asset,
            "initialMargin": number(position.margin),
            "positionInitialMargin": number(position.margin),
            "openOrderInitialMargin": number(ZERO),
            "maintMargin": number(multiply(abs(notional), self._swaps.terms.maintenance)),
            "adl": 0,
            "bidNotional": number(ZERO),
            "askNotional": number(ZERO),
            "updateTime": milliseconds(position.updated),
        }

    def _maintenance(self, asset: str) -> Decimal:
        total = ZERO
        for one in self.account.positions.values():
            mark = self._swaps.mark(one.symbol)
            if one.asset == asset and mark is not None:
                total = add(total, abs(multiply(one.worth(mark, one.quantity), self._swaps.terms.maintenance)))
        return total
