"""What can be asked about an account of futures."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import chain

from axon_exchange_binance.simulator.account_queries import AccountQueries, AccountRequest
from axon_exchange_binance.simulator.errors import NO_SUCH_ORDER, BinanceError
from axon_exchange_binance.simulator.futures import order_messages as messages
from axon_exchange_binance.simulator.futures.stops import find_order, is_order
from axon_exchange_binance.simulator.futures.wallet import Wallet
from axon_exchange_binance.simulator.numbers import milliseconds, number
from axon_exchange_binance.simulator.parameters import Parameters
from axon_quant.exchange.simulator import Account, Limit, SimulatedExchange, SimulatedFill, SimulatedOrder
from axon_quant.orders.types import Side

_WEEK_MS = 7 * 86_400_000


class FuturesAccountQueries(AccountQueries):
    """Answers as plain values. Raises BinanceError. `hedged` are the names of accounts in hedge mode."""

    def __init__(
        self,
        exchange: SimulatedExchange,
        order_counts: Callable[[Account], list[tuple[Limit, int]]],
        hedged: Collection[str],
    ) -> None:
        super().__init__(exchange, order_counts)
        self._hedged = hedged
        both: dict[str, AccountRequest] = {
            "balance": self._balances,
            "status": lambda account, _: Wallet(exchange, account).status(),
        }
        self.by_name |= {
            **{f"account.{name}.{version}": one for name, one in both.items() for version in (2, 3)},
            "account.positions.2": self._all_positions,
            "account.positions.3": self._positions,
            "account.config": self._config,
            "account.commission": self._commission,
            "account.income": self._income,
            "openOrder.status": self._open_order,
            "userTrades": self._trades,
            "symbolConfig": self._symbol_config,
            "leverageBracket": self._brackets,
            "positionSide.status": lambda account, _: {"dualSidePosition": account.name in hedged},
            "multiAssetsMargin.status": lambda _, __: {"multiAssetsMargin": False},
        }

    def _find(self, account: Account, given: Parameters) -> SimulatedOrder:
        return find_order(account, given)

    def _lists(self, placed: SimulatedOrder) -> bool:
        return is_order(placed)

    def _told(self, placed: SimulatedOrder) -> dict[str, object]:
        return messages.told(placed)

    def _traded(self, fill: SimulatedFill, side: Side) -> dict[str, object]:
        return messages.traded(fill, side, self._exchange.instruments[fill.symbol].quote)

    def _span(self, given: Parameters) -> tuple[int, int]:
        """A week at most; the last one unless told, or unless trades are named."""
        since, until = given.span()
        if "startTime" in given and "endTime" in given and until - since > _WEEK_MS:
            raise BinanceError(-4165, "The time interval between startTime and endTime must be less than 7 days.")
        if "startTime" in given and "endTime" not in given:
            return since, since + _WEEK_MS
        if "startTime" not in given and "fromId" not in given:
            return milliseconds(self._exchange.now()) - _WEEK_MS, until
        return since, until

    def _open_order(self, account: Account, given: Parameters) -> object:
        placed = find_order(account, given)
        if not placed.is_open:
            raise NO_SUCH_ORDER
        return messages.told(placed)

    def _balances(self, account: Account, given: Parameters) -> object:
        del given
        wallet = Wallet(self._exchange, account)
        return [wallet.balance_row(asset) for asset in wallet.assets]

    def _positions(self, account: Account, given: Parameters) -> object:
        """Those that are there."""
        wallet = Wallet(self._exchange, account)
        found = wallet.positions()
        if "symbol" in given:
            symbol = given.instrument().symbol
            found = [one for one in found if one.symbol == symbol]
        return [wallet.position_row(one) for one in found]

    def _all_positions(self, account: Account, given: Parameters) -> object:
        """One of every symbol, whether it is there or not."""
        wallet = Wallet(self._exchange, account)
        symbols = [given.instrument().symbol] if "symbol" in given else list(self._exchange.instruments)
        return [wallet.position_row(one) for symbol in symbols for one in wallet.positions(symbol)]

    def _config(self, account: Account, given: Parameters) -> object:
        del given
        return {
            "feeTier": 0,
            "canTrade": account.may_trade,
            "canDeposit": True,
            "canWithdraw": True,
            "dualSidePosition": account.name in self._hedged,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def _commission(self, account: Account, given: Parameters) -> object:
        del account
        fees = self._exchange.fees
        return {
            "symbol": given.instrument().symbol,
            "makerCommissionRate": number(fees.maker),
            "takerCommissionRate": number(fees.taker),
        }

    def _symbol_config(self, account: Account, given: Parameters) -> object:
        wallet = Wallet(self._exchange, account)
        symbols = [given.instrument().symbol] if "symbol" in given else list(self._exchange.instruments)
        return [
            {
                "symbol": one.symbol,
                "marginType": "ISOLATED" if one.mode.value == "isolated" else "CROSSED",
                "isAutoAddMargin": False,
                "leverage": one.leverage,
                "maxNotionalValue": "1000000000",
            }
            for symbol in symbols
            for one in wallet.positions(symbol)
        ]

    def _brackets(self, account: Account, given: Parameters) -> object:
        del account
        terms = self._exchange.swaps.terms
        symbols = [given.instrument().symbol] if "symbol" in given else list(self._exchange.instruments)
        bracket = {
            "bracket": 1,
            "initialLeverage": terms.max_leverage,
            "notionalCap": 1_000_000_000,
            "notionalFloor": 0,
            "maintMarginRatio": float(terms.maintenance),
            "cum": 0.0,
        }
        return [{"symbol": symbol, "brackets": [bracket]} for symbol in symbols]

    def _income(self, account: Account, given: Parameters) -> object:
        """Funding, what closing realised, and fees; the oldest first."""
        since, until = given.span()
        kind, symbol = given.text("incomeType"), given.text("symbol")
        funding = (
            ("FUNDING_FEE", one.position.symbol, one.amount, one.asset, one.at, one.sequence, "")
            for one in account.funding
        )
        of_fills = (
            (name, fill.symbol, part, asset, fill.at, fill.trade_id, str(fill.trade_id))
            for fill in account.fills
            for name, part, asset in (
                ("REALIZED_PNL", fill.realised, self._exchange.instruments[fill.symbol].quote),
                ("COMMISSION", -fill.fee, fill.fee_asset),
            )
            if part
        )
        found = [
            {
                "symbol": of,
                "incomeType": name,
                "income": number(part),
                "asset": asset,
                "info": name,
                "time": milliseconds(at),
                "tranId": number_,
                "tradeId": trade,
            }
            for name, of, part, asset, at, number_, trade in sorted(chain(funding, of_fills), key=lambda row: row[4])
            if kind in ("", name) and symbol in ("", of) and since <= milliseconds(at) <= until
        ]
        return found[-given.integer("limit", 100, low=1, high=1_000) :]
