"""Binance spot: what the adapters' base needs, over Binance's own REST, WebSocket requests and streams."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from axon_exchange_binance.addresses import Addresses
from axon_exchange_binance.answers import Account, AccountPosition, Replaced, Restrictions
from axon_exchange_binance.errors import VENUE
from axon_exchange_binance.instruments import instrument_of
from axon_exchange_binance.market_stream import SUFFIXES, MarketStream
from axon_exchange_binance.orders import named, parameters, type_name, unsupported
from axon_exchange_binance.plugin import CAPABILITIES
from axon_exchange_binance.user_stream import SpotUserStream, UserStream
from axon_exchange_binance.venue import BinanceVenue, Paths
from axon_quant.clock import Clock
from axon_quant.errors import RejectedError
from axon_quant.exchange.budget import Sleep, VenueLimit
from axon_quant.exchange.capabilities import Channel
from axon_quant.exchange.config import ExchangeConfig
from axon_quant.exchange.ledger import Balance
from axon_quant.exchange.link import Link
from axon_quant.exchange.order_log import OrderLog
from axon_quant.exchange.primitives import KeyPermissions
from axon_quant.exchange.stream import BalanceUpdate
from axon_quant.market.instrument import Instrument
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Order

_ACCOUNT = "/api/v3/account"
_REPLACE = "/api/v3/order/cancelReplace"


class SpotErrors:
    """ccxt's own errors for spot, whatever the URL is: it looks for them at Binance's addresses only."""

    exceptions: Mapping[str, Mapping[str, Mapping[str, type[Exception]]]]

    def get_exceptions_by_url(self, _: str, kind: str) -> Mapping[str, type[Exception]]:
        """The exceptions by code (`exact`) or by a part of the text (`broad`)."""
        return self.exceptions["spot"].get(kind, {})


class BinanceAdapter(BinanceVenue):
    """One spot account at Binance; `testnet` picks the test network, which has keys of its own.

    Orders, cancels and streams are Binance's own requests; `client` is ccxt's, for everything that is not here. A stop
    whose price lies on the other side of the market than a stop-loss's is sent as a take-profit. Fills are looked up
    for the symbols that this adapter has seen orders of: Binance tells an account's trades per symbol only.
    """

    name = VENUE
    exchange_id = "binance"
    client_options: ClassVar[Mapping[str, object]] = {
        "fetchMarkets": {"types": ["spot"]},
        "fetchMargins": False,
        "fetchCurrencies": False,
    }
    client_mixin = SpotErrors
    capabilities = CAPABILITIES
    paths = Paths("/api/v3", "/openOrders", "/myTrades")
    stale_after: ClassVar[float] = 25.0  # the venue pings every 20 s
    venue_limits: tuple[VenueLimit, ...] = (
        VenueLimit("weight", 6000, 60.0),
        VenueLimit("orders", 100, 10.0),
        VenueLimit("orders", 200_000, 86400.0),
    )
    costs: ClassVar[Mapping[str, int]] = {
        "_fetch_instruments": 20,
        "_fetch_order": 4,
        "_fetch_open_orders": 80,
        "_fetch_ended_orders": 20,
        "_fetch_fills": 20,
        "_fetch_balances": 20,
        "_fetch_permissions": 20,
        "_fetch_trades": 4,
        "_run_account": 2,
        "_last_price": 2,
        "_depth": 50,
    }

    def __init__(
        self,
        config: ExchangeConfig,
        *,
        clock: Clock | None = None,
        sleep: Sleep | None = None,
        order_log: OrderLog | None = None,
    ) -> None:
        super().__init__(config, clock=clock, sleep=sleep, order_log=order_log)
        self._addresses = Addresses.of(config)
        self._user_stream: SpotUserStream | None = None
        self._market_stream: MarketStream | None = None

    @property
    def _rest_root(self) -> str:
        return self._addresses.rest

    @property
    def _reports(self) -> UserStream | None:
        return self._user_stream

    # Connection.

    async def _connect(self) -> None:
        session = await self._opened()
        self._user_stream = SpotUserStream(
            session,
            self._addresses.requests,
            subscription=self._subscription,
            on_execution=self._on_execution,
            on_balances=self._on_balances,
            now_ms=self._now_ms,
            may_ask=lambda: not self.budget.closed_for,
        )
        self._market_stream = MarketStream(
            session,
            self._addresses.streams,
            venue=VENUE,
            suffixes=SUFFIXES,
            clock=self.clock,
            publish=self._publish,
            snapshot=self._depth,
        )

    async def _close(self) -> None:
        self._user_stream = self._market_stream = None
        await super()._close()

    async def _fetch_instruments(self) -> Iterable[Instrument]:
        info = await self._fetch_info()
        return [instrument_of(symbol, VENUE) for symbol in info.symbols if symbol.is_spot_trading_allowed]

    async def _fetch_permissions(self) -> KeyPermissions:
        if self._testnet:  # it knows no restrictions of keys, and nothing can be withdrawn from it
            account = self._told(await self._rest.get(_ACCOUNT, signed=True), Account)
            return KeyPermissions(trade=account.can_trade, withdraw=False)
        answer = await self._rest.get("/sapi/v1/account/apiRestrictions", signed=True)
        restrictions = self._told(answer, Restrictions)
        return KeyPermissions(
            trade=restrictions.enable_spot_and_margin_trading, withdraw=restrictions.enable_withdrawals
        )

    # Orders.

    async def _send_replace(self, state: OrderState, order: Order) -> str:
        which = named(state, prefix="cancel")
        body = f"{await self._order_parameters(order)}&cancelReplaceMode=STOP_ON_FAILURE&{which}"
        self._seen.setdefault(order.symbol)
        answer = await self._rest.post(_REPLACE, body, order.symbol)
        order_id = str(self._acknowledged(answer, Replaced, order.symbol).new_order_response.order_id)
        self._expect_end(state)
        self._expect(order.client_order_id)
        return order_id

    async def _order_parameters(self, order: Order) -> str:
        reason = unsupported(order)
        if reason:
            raise RejectedError(reason, venue=VENUE, symbol=order.symbol, hint="see OrderType and TimeInForce")
        last = await self._last_price(order.symbol) if order.order_type.has_stop_price else None
        kind = type_name(order, last)
        allowed = self._order_types.get(order.symbol)
        if allowed and kind not in allowed:
            raise RejectedError(
                f"{order.symbol} takes no {kind} orders",
                venue=VENUE,
                symbol=order.symbol,
                hint=", ".join(sorted(allowed)),
            )
        return parameters(order, kind)

    # Look-ups.

    async def _fetch_balances(self) -> dict[str, Balance]:
        answer = await self._rest.get(_ACCOUNT, {"omitZeroBalances": "true"}, signed=True)
        rows = self._told(answer, Account).balances
        return {row.asset: Balance(row.asset, row.free, row.locked) for row in rows}

    # Streams.

    async def _run_account(self, link: Link) -> None:
        if self._user_stream is not None:
            await self._live(self._user_stream, link)

    async def _run_market(self, link: Link) -> None:
        if self._market_stream is not None:
            await self._market_stream.run(link, self.wanted)

    async def _subscribe(self, channel: Channel, symbol: str) -> None:
        if self._market_stream is not None:
            await self._market_stream.subscribe(channel, symbol)

    def _on_balances(self, position: AccountPosition) -> None:
        now = self.clock.now()
        for entry in position.balances:
            self._publish_balance(BalanceUpdate(entry.asset, entry.free, entry.locked, now))

    def _subscription(self) -> dict[str, str | int]:
        """What subscribes to the account's events; signed over its parameters in the order of their names."""
        given: dict[str, str | int] = {
            "apiKey": self._key.reveal(),
            "recvWindow": round(self.validity * 1000),
            "timestamp": self._now_ms(),
        }
        return {**given, "signature": self._sign("&".join(f"{name}={value}" for name, value in given.items()))}
