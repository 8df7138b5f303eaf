"""What an account may ask about itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from axon_exchange_okx.simulator import errors
from axon_exchange_okx.simulator.account_messages import account_row
from axon_exchange_okx.simulator.errors import OkxError
from axon_exchange_okx.simulator.instruments import inst_type
from axon_exchange_okx.simulator.numbers import milliseconds, negative, number
from axon_exchange_okx.simulator.order_messages import STATES, fill_row, given_name, order_row, order_type, stop_row
from axon_exchange_okx.simulator.positions import leverage_row, position_row
from axon_exchange_okx.simulator.stops import ALGO_TYPES, Stops
from axon_exchange_okx.simulator.terms import Given, Terms, text, whole
from axon_quant.clock import MILLISECOND
from axon_quant.exchange.primitives import MarginMode
from axon_quant.exchange.simulator import Account, Refusal, RefusedError, SimulatedExchange, SimulatedOrder

_MOST = 100
_DAY = 86_400_000
_HISTORY = {"fills": 3, "fills.history": 90, "orders.history": 7, "orders.archive": 90}
"""How many days back OKX remembers."""


class AccountQueries:
    """Answers by the request's name: lists for `data`. Raises OkxError for the whole request."""

    def __init__(self, exchange: SimulatedExchange, stops: Stops, terms: Terms) -> None:
        self._exchange = exchange
        self._stops = stops
        self._terms = terms
        self.by_name: dict[str, Callable[[Account, Given], list[Any]]] = {
            "config": self._config,
            "balance": self._balance,
            "positions": self._positions,
            "leverage": self._leverage,
            "leverage.set": self._set_leverage,
            "position-mode.set": self._set_position_mode,
            "bills": self._bills,
            "bills.archive": self._bills,
            "fees": self._fees,
            "currencies": self._currencies,
            "order.status": lambda account, given: [order_row(self.find(account, given))],
            "orders.open": self._open,
            "orders.history": lambda account, given: self._history(account, given, "orders.history"),
            "orders.archive": lambda account, given: self._history(account, given, "orders.archive"),
            "fills": lambda account, given: self._fills(account, given, "fills"),
            "fills.history": lambda account, given: self._fills(account, given, "fills.history"),
            "stop.status": lambda account, given: [stop_row(stops.find(account, given))],
            "stops.open": self._open_stops,
            "stops.history": self._stop_history,
        }

    def find(self, account: Account, given: Given) -> SimulatedOrder:
        """The order that is meant. Raises OkxError 51603."""
        symbol = self._terms.instrument(given).symbol
        by_id, by_name = text(given, "ordId"), text(given, "clOrdId")
        if not (by_id or by_name):
            raise OkxError(errors.UNNAMED)
        if by_id:
            found = account.orders.get(int(by_id)) if by_id.isascii() and by_id.isdigit() else None
        else:
            found = account.find(given_name(by_name))
        if found is None or found.order.symbol != symbol:
            raise OkxError(errors.NO_ORDER)
        return found

    # The account.

    def _config(self, account: Account, _: Given) -> list[Any]:
        may = ["read_only", *(["trade"] if account.may_trade else []), *(["withdraw"] if account.may_withdraw else [])]
        uid = self.uid(account)
        return [
            {
                "uid": uid,
                "mainUid": uid,
                "acctLv": "2",
                "posMode": "net_mode",
                "autoLoan": False,
                "perm": ",".join(may),
                "label": account.name,
                "ip": "",
                "level": "Lv1",
                "acctStpMode": "cancel_maker",
            }
        ]

    def uid(self, account: Account) -> str:
        """The account's number."""
        return str(1 + [*self._exchange.accounts].index(account.key))

    def _balance(self, account: Account, given: Given) -> list[Any]:
        wanted = text(given, "ccy")
        assets = [asset for asset in wanted.split(",") if asset in account.totals] if wanted else None
        return [account_row(account, self._exchange.swaps, self._exchange.now(), assets)]

    def _fees(self, _: Account, given: Given) -> list[Any]:
        fees = self._exchange.fees
        return [
            {
                "category": "1",
                "instType": text(given, "instType") or "SPOT",
                "level": "Lv1",
                "maker": negative(fees.maker),
                "taker": negative(fees.taker),
                "makerU": negative(fees.maker),
                "takerU": negative(fees.taker),
                "ts": milliseconds(self._exchange.now()),
            }
        ]

    def _currencies(self, account: Account, _: Given) -> list[Any]:
        traded = {asset for one in self._exchange.instruments.values() for asset in (one.base, one.quote)}
        return [
            {"ccy": asset, "name": asset, "chain": asset, "canDep": True, "canWd": True, "canInternal": True,
             "minFee": "0", "maxFee": "0", "minWd": "0", "maxWd": "0", "wdTickSz": "8", "mainNet": True}
            for asset in sorted(traded | {*account.totals})
        ]  # fmt: skip

    # Swaps.

    def _positions(self, account: Account, given: Given) -> list[Any]:
        wanted = text(given, "instId")
        return [
            position_row(self._exchange, account, position)
            for position in account.positions.values()
            if position.quantity
            and text(given, "instType") in ("", "SWAP")
            and (not wanted or position.symbol in wanted.split(","))
        ]

    def _leverage(self, account: Account, given: Given) -> list[Any]:
        mode, wanted = self._mode(given), text(given, "instId")
        if not wanted:
            raise errors.missing("instId")
        swaps = self._exchange.swaps
        held = [swaps.position(account, symbol, mode) for symbol in wanted.split(",")]
        if None in held:
            raise errors.parameter("instId")
        return [leverage_row(position) for position in held if position is not None]

    def _set_leverage(self, account: Account, given: Given) -> list[Any]:
        symbol, mode = self._terms.instrument(given).symbol, self._mode(given)
        if symbol not in self._exchange.swaps.instruments:
            raise errors.parameter("instId")
        if text(given, "posSide") not in ("", "net"):
            raise errors.parameter("posSide")
        if not text(given, "lever"):
            raise errors.missing("lever")
        try:
            self._exchange.swaps.set_leverage(account, symbol, whole(given, "lever", 0), mode)
        except RefusedError as error:
            raise OkxError(errors.LEVERAGE_TOO_LOW if error.kind is Refusal.Funds else errors.NO_LEVERAGE) from None
        position = self._exchange.swaps.position(account, symbol, mode)
        return [] if position is None else [leverage_row(position)]

    @staticmethod
    def _mode(given: Given) -> MarginMode:
        if text(given, "mgnMode") not in ("cross", "isolated"):
            raise errors.parameter("mgnMode")
        return MarginMode(text(given, "mgnMode"))

    @staticmethod
    def _set_position_mode(_: Account, given: Given) -> list[Any]:
        if text(given, "posMode") != "net_mode":  # OKX has another, the simulator has not
            raise errors.parameter("posMode")
        return [{"posMode": "net_mode"}]

    @staticmethod
    def _bills(account: Account, given: Given) -> list[Any]:
        """Of funding, which OKX counts as type 8; what fills did stands in `fills`."""
        if text(given, "type") not in ("", "8"):
            return []
        rows = [
            {
                "billId": str(bill),
                "type": "8",
                "subType": "173" if payment.amount < 0 else "174",
                "instType": "SWAP",
                "instId": payment.position.symbol,
                "mgnMode": payment.position.mode.value,
                "ccy": payment.asset,
                "balChg": number(payment.amount),
                "pnl": number(payment.amount),
                "fee": "0",
                "sz": "",
                "ts": milliseconds(payment.at),
            }
            for bill, payment in enumerate(account.funding, start=1)
        ]
        return page(rows[::-1], given, "billId")

    # Orders and fills, newest first.

    def _open(self, account: Account, given: Given) -> list[Any]:
        return self._orders(account.open.values(), given)

    def _history(self, account: Account, given: Given, name: str) -> list[Any]:
        if text(given, "instType") not in ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"):
            raise errors.parameter("instType")
        since = self._exchange.now() - _HISTORY[name] * _DAY * MILLISECOND
        ended = (one for one in account.orders.values() if not one.is_open and one.updated >= since)
        begin, end = whole(given, "begin", 0), whole(given, "end", 1 << 60)
        return self._orders([one for one in ended if begin <= one.created // MILLISECOND <= end], given)

    @staticmethod
    def _orders(orders: Iterable[SimulatedOrder], given: Given) -> list[Any]:
        kinds, state = text(given, "ordType"), text(given, "state")
        chosen = [
            one
            for one in orders
            if _is_meant(given, one.order.symbol)
            and (not kinds or order_type(one.order) in kinds.split(","))
            and state in ("", STATES[one.status])
        ]
        return page([order_row(one) for one in reversed(chosen)], given, "ordId")

    def _fills(self, account: Account, given: Given, name: str) -> list[Any]:
        if name == "fills.history" and not text(given, "instType"):
            raise errors.missing("instType")
        oldest = self._exchange.now() // MILLISECOND - _HISTORY[name] * _DAY
        begin, end, order_id = max(whole(given, "begin", 0), oldest), whole(given, "end", 1 << 60), text(given, "ordId")
        rows = [
            fill_row(fill, account.orders[fill.venue_order_id], bill, self._exchange.fees.rate(fill.liquidity))
            for bill, fill in enumerate(account.fills, start=1)
            if begin <= fill.at // MILLISECOND <= end
            and _is_meant(given, fill.symbol)
            and order_id in ("", str(fill.venue_order_id))
        ]
        return page(rows[::-1], given, "billId")

    # Algo orders.

    def _open_stops(self, account: Account, given: Given) -> list[Any]:
        live = (stop for stop in self._stops.of(account) if stop.state == "live")
        return self._stop_rows(live, given)

    def _stop_history(self, account: Account, given: Given) -> list[Any]:
        state, algo_id = text(given, "state"), text(given, "algoId")
        if not (state or algo_id):
            raise errors.missing("state")
        ended = (stop for stop in self._stops.of(account) if stop.state != "live")
        return self._stop_rows(
            [one for one in ended if state in ("", one.state) and algo_id in ("", one.algo_id)], given
        )

    @staticmethod
    def _stop_rows(stops: Iterable[Any], given: Given) -> list[Any]:
        kinds = {*text(given, "ordType").split(",")}
        if not kinds <= ALGO_TYPES:
            raise errors.parameter("ordType")
        rows = [stop_row(stop) for stop in stops if stop.order_type in kinds and _is_meant(given, stop.order.symbol)]
        return page(rows[::-1], given, "algoId")


def _is_meant(given: Given, symbol: str) -> bool:
    return text(given, "instType") in ("", inst_type(symbol)) and text(given, "instId") in ("", symbol)


def page(rows: list[dict[str, Any]], given: Given, key: str) -> list[Any]:
    """Of rows from new to old those older than `after` and newer than `before`, at most `limit`.

    With `before` alone these are still the newest ones.
    """
    after, before = whole(given, "after", 0), whole(given, "before", 0)
    if after:
        rows = [row for row in rows if int(row[key]) < after]
    if before:
        rows = [row for row in rows if int(row[key]) > before]
    return rows[: min(whole(given, "limit", _MOST), _MOST)]
