"""What can be asked about an account."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from axon_exchange_binance.simulator import order_messages as messages
from axon_exchange_binance.simulator.errors import NO_SUCH_ORDER, BinanceError
from axon_exchange_binance.simulator.exchange_info import rate_limit
from axon_exchange_binance.simulator.numbers import milliseconds, number
from axon_exchange_binance.simulator.parameters import Parameters
from axon_quant.exchange.exact import ZERO
from axon_quant.exchange.simulator import Account, Limit, SimulatedExchange, SimulatedFill, SimulatedOrder
from axon_quant.orders.types import Side

AccountRequest: TypeAlias = Callable[[Account, Parameters], object]
_MOST = 1_000
_NEITHER = BinanceError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")


class AccountQueries:
    """Answers as plain values. `order_counts` says how much of its limits of orders an account uses.

    Raises BinanceError.
    """

    def __init__(self, exchange: SimulatedExchange, order_counts: Callable[[Account], list[tuple[Limit, int]]]) -> None:
        self._exchange = exchange
        self._order_counts = order_counts
        self.by_name: dict[str, AccountRequest] = {
            "account.status": self._account,
            "account.commission": self._commission,
            "account.rateLimits.orders": lambda account, _: [rate_limit(*row) for row in order_counts(account)],
            "openOrders.status": self._open_orders,
            "allOrders": self._all_orders,
            "myTrades": self._trades,
            "order.status": self._order,
            "apiRestrictions": self._restrictions,
            "coins": self._coins,
            "margin.isolated": lambda _, __: [],
        }

    def _account(self, account: Account, given: Parameters) -> object:
        omit, fees = given.text("omitZeroBalances", "false").lower() == "true", self._exchange.fees
        return messages.account_status(account, fees.maker, fees.taker, self._exchange.now(), omit_zero=omit)

    def _commission(self, account: Account, given: Parameters) -> object:
        fees, none = self._exchange.fees, {name: number(ZERO) for name in ("maker", "taker", "buyer", "seller")}
        return {
            "symbol": given.instrument().symbol,
            "standardCommission": {**none, "maker": number(fees.maker), "taker": number(fees.taker)},
            "specialCommission": none,
            "taxCommission": none,
            "discount": {
                "enabledForAccount": account.fee_asset is not None,
                "enabledForSymbol": True,
                "discountAsset": "BNB",
                "discount": number(ZERO),
            },
        }

    def _open_orders(self, account: Account, given: Parameters) -> object:
        symbol = given.instrument().symbol if "symbol" in given else None
        return [self._told(one) for one in account.open_for(symbol) if self._lists(one)]

    def _all_orders(self, account: Account, given: Parameters) -> object:
        symbol, (since, until) = given.instrument().symbol, given.span()
        first, limit = given.integer("orderId"), given.integer("limit", 500, low=1, high=_MOST)
        found = [
            one
            for one in account.orders.values()
            if one.order.symbol == symbol
            and self._lists(one)
            and one.venue_order_id >= first
            and since <= milliseconds(one.created) <= until
        ]
        return [self._told(one) for one in (found[:limit] if first or since else found[-limit:])]

    def _find(self, account: Account, given: Parameters) -> SimulatedOrder:
        """The order that is meant. Raises BinanceError."""
        return find(account, given)

    def _lists(self, placed: SimulatedOrder) -> bool:
        """Whether an order is among the account's."""
        del placed
        return True

    def _told(self, placed: SimulatedOrder) -> dict[str, object]:
        """An order as this venue has it."""
        return messages.queried(placed)

    def _traded(self, fill: SimulatedFill, side: Side) -> dict[str, object]:
        """One of the account's trades, likewise."""
        return messages.traded(fill, side)

    def _span(self, given: Parameters) -> tuple[int, int]:
        """Of which time the account's trades are asked for, in milliseconds."""
        return given.span()

    def _trades(self, account: Account, given: Parameters) -> object:
        symbol, (since, until) = given.instrument().symbol, self._span(given)
        order_id, first = given.integer("orderId"), given.integer("fromId")
        limit = given.integer("limit", 500, low=1, high=_MOST)
        if "fromId" in given and ("startTime" in given or "endTime" in given):
            raise BinanceError(-1128, "Combination of optional parameters invalid.")
        found = [
            fill
            for fill in account.fills
            if fill.symbol == symbol
            and order_id in (0, fill.venue_order_id)
            and fill.trade_id >= first
            and since <= milliseconds(fill.at) <= until
        ]
        page = found[:limit] if since or "fromId" in given else found[-limit:]
        return [self._traded(fill, account.orders[fill.venue_order_id].order.side) for fill in page]

    def _order(self, account: Account, given: Parameters) -> object:
        return self._told(self._find(account, given))

    def _restrictions(self, account: Account, given: Parameters) -> object:
        del given
        return {
            "ipRestrict": True,
            "createTime": 1_600_000_000_000,
            "enableReading": True,
            "enableWithdrawals": account.may_withdraw,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": account.may_trade,
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
            "enableSpotAndMarginTrading": account.may_trade,
            "enablePortfolioMarginTrading": False,
        }

    def _coins(self, account: Account, given: Parameters) -> object:
        del given
        traded = {asset for one in self._exchange.instruments.values() for asset in (one.base, one.quote)}
        return [
            {
                "coin": asset,
                "name": asset,
                "free": number(account.free(asset)),
                "locked": number(account.locked.get(asset, ZERO)),
                "freeze": number(ZERO),
                "withdrawing": number(ZERO),
                "ipoing": number(ZERO),
                "ipoable": number(ZERO),
                "storage": number(ZERO),
                "depositAllEnable": True,
                "withdrawAllEnable": True,
                "trading": True,
                "isLegalMoney": False,
                "networkList": [],
            }
            for asset in sorted(traded | {*account.totals})
        ]


def find(account: Account, given: Parameters, *, prefix: str = "") -> SimulatedOrder:
    """The order that is meant; `prefix` is of cancel-and-replace. Raises BinanceError when there is none."""
    symbol = given.instrument().symbol
    by_id, by_name = (f"{prefix}OrderId", f"{prefix}OrigClientOrderId") if prefix else ("orderId", "origClientOrderId")
    name = given.client_id(by_name)
    if by_id in given:
        found = account.orders.get(given.integer(by_id))
        if found is not None and name and name != found.order.client_order_id:
            found = None
    elif name:
        own = [one for one in account.by_client.get(name, ()) if one.order.symbol == symbol]
        found = next((one for one in reversed(own) if one.is_open), own[-1] if own else None)
    else:
        raise _NEITHER
    if found is None or found.order.symbol != symbol:
        raise NO_SUCH_ORDER
    return found
