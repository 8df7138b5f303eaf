"""Binance USDⓈ-M futures: what the adapters' base needs beyond what the venues of Binance have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from axon_exchange_binance.addresses import FuturesAddresses
from axon_exchange_binance.answers import Placed, Restrictions
from axon_exchange_binance.futures.answers import (
    AccountConfig,
    AssetRow,
    FuturesTrade,
    ListenKey,
    PositionRow,
    Premium,
)
from axon_exchange_binance.futures.conditional import ConditionalOrders
from axon_exchange_binance.futures.countdown import Countdown
from axon_exchange_binance.futures.market import FuturesMarket
from axon_exchange_binance.futures.orders import KINDS, parameters, unsupported
from axon_exchange_binance.futures.user_stream import FuturesUserStream
from axon_exchange_binance.instruments import instrument_of
from axon_exchange_binance.plugin import FUTURES_CAPABILITIES
from axon_exchange_binance.signing import escaped
from axon_exchange_binance.user_stream import UserStream
from axon_exchange_binance.venue import Paths
from axon_quant.clock import MILLISECOND, NANOSECONDS, Clock
from axon_quant.errors import AmbiguousError, ConfigError, ExchangeError, RejectedError
from axon_quant.exchange.budget import Request, Sleep, VenueLimit
from axon_quant.exchange.capabilities import Channel
from axon_quant.exchange.config import ExchangeConfig
from axon_quant.exchange.exact import subtract
from axon_quant.exchange.ledger import Balance
from axon_quant.exchange.link import Link
from axon_quant.exchange.order_log import OrderLog
from axon_quant.exchange.primitives import FundingRate, KeyPermissions, MarginMode, Position
from axon_quant.exchange.requests import logger, unavailable
from axon_quant.market.instrument import Instrument, InstrumentKind
from axon_quant.orders.types import Order

VENUE = "binance-futures"
_WEEK_MS = 7 * 86_400_000
"""The account's trades are told for so long a time at once."""
_REMEMBERED_MS = 180 * 86_400_000
_BALANCES_AFTER = 0.25
_BALANCES_AGAIN = 1.0
_MARGIN_TYPES = {MarginMode.Cross: "CROSSED", MarginMode.Isolated: "ISOLATED"}
_NO_CHANGE = "-4046"
_STANDS_SO = "-5027"
_ONE_WAY = "set the position mode to one-way in the preferences of Binance's futures, then connect again"


class FuturesErrors:
    """ccxt's own errors for futures, whatever the URL is, and Binance's demo trading as the test network."""

    exceptions: Mapping[str, Mapping[str, Mapping[str, type[Exception]]]]
    enable_demo_trading: Any

    def get_exceptions_by_url(self, _: str, kind: str) -> Mapping[str, type[Exception]]:
        """The exceptions by code (`exact`) or by a part of the text (`broad`)."""
        return self.exceptions["linear"].get(kind, {})

    def set_sandbox_mode(self, enable: bool) -> None:
        """ccxt refuses the test network that futures had before."""
        self.enable_demo_trading(enable)


class BinanceFuturesAdapter(ConditionalOrders):
    """One account of USDⓈ-M futures at Binance: linear perpetual swaps, in one-way position mode.

    `testnet` picks Binance's demo trading, which has keys of its own. Symbols are Binance's (`BTCUSDT`) and quantities
    are in the base asset; `Instrument.venue` tells them from spot's. A balance's `free` is what the wallet has beside
    all margins; it leaves out what positions have won or lost so far. Fills are looked up for the symbols that this
    adapter has seen orders of: Binance tells an account's trades per symbol only. `client` is ccxt's, for the rest.
    """

    name = VENUE
    exchange_id = "binanceusdm"
    client_options: ClassVar[Mapping[str, object]] = {"fetchMarkets": {"types": ["linear"]}, "fetchCurrencies": False}
    client_mixin = FuturesErrors
    capabilities = FUTURES_CAPABILITIES
    paths = Paths("/fapi/v1", "/allOpenOrders", "/userTrades")
    kinds = KINDS
    trade_record = FuturesTrade
    stale_after: ClassVar[float] = 200.0  # the venue pings every three minutes
    venue_limits: tuple[VenueLimit, ...] = (
        VenueLimit("weight", 2400, 60.0),
        VenueLimit("orders", 300, 10.0),
        VenueLimit("orders", 1200, 60.0),
    )
    costs: ClassVar[Mapping[str, int]] = {
        "_fetch_open_orders": 40,
        "_fetch_ended_orders": 5,
        "_fetch_fills": 5,
        "_fetch_balances": 5,
        "_fetch_positions": 5,
        "_fetch_permissions": 5,
        "_fetch_trades": 20,
        "_send_cancel_after": 10,
        "_depth": 20,
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
        self._addresses = FuturesAddresses.of(VENUE, config)
        self._user_stream: FuturesUserStream | None = None
        self._market: FuturesMarket | None = None
        self._countdown = self._new_countdown()
        self._counting: asyncio.Task[None] | None = None
        self._wallet_changed = False

    @property
    def _rest_root(self) -> str:
        return self._addresses.rest

    @property
    def _reports(self) -> UserStream | None:
        return self._user_stream

    # Connection.

    async def _connect(self) -> None:
        session = await self._opened()
        self._countdown = self._new_countdown()
        self._user_stream = FuturesUserStream(
            session,
            self._addresses.private,
            venue=VENUE,
            make_key=self._make_listen_key,
            keep_key=self._keep_listen_key,
            on_execution=self._on_execution,
            on_stop=self._on_stop,
            on_account=self._on_account,
        )
        self._market = FuturesMarket(
            session, self._addresses, venue=VENUE, clock=self.clock, publish=self._publish, snapshot=self._depth
        )

    async def _close(self) -> None:
        self._user_stream = self._market = None
        await super()._close()

    async def _fetch_instruments(self) -> Iterable[Instrument]:
        """Perpetual swaps; dated futures are left out."""
        info = await self._fetch_info()
        return [
            instrument_of(symbol, VENUE, InstrumentKind.Swap)
            for symbol in info.symbols
            if symbol.contract_type == "PERPETUAL" and symbol.status == "TRADING"
        ]

    async def _fetch_permissions(self) -> KeyPermissions:
        """Raises ConfigError for an account in hedge mode, whose positions have two sides."""
        account = self._told(await self._rest.get("/fapi/v1/accountConfig", signed=True), AccountConfig)
        if account.dual_side_position:
            raise ConfigError(f"{VENUE}: the account is in hedge mode, which is not supported", hint=_ONE_WAY)
        if self._testnet:  # it knows no restrictions of keys, and nothing can be withdrawn from it
            return KeyPermissions(trade=account.can_trade, withdraw=False)
        await self._spend(Request.Query, "")
        path, root = "/sapi/v1/account/apiRestrictions", self._addresses.keys
        key = self._told(await self._rest.get(path, signed=True, root=root), Restrictions)
        return KeyPermissions(trade=account.can_trade and key.enable_futures, withdraw=key.enable_withdrawals)

    # Orders.

    async def _send_order(self, order: Order) -> str:
        await self._cover(order.symbol)
        return await super()._send_order(order)

    async def _order_parameters(self, order: Order) -> str:
        reason = unsupported(order)
        if reason:
            raise RejectedError(reason, venue=VENUE, symbol=order.symbol, hint="see OrderType and TimeInForce")
        return parameters(order)

    async def _cover(self, symbol: str) -> None:
        """Have the dead-man switch cover an order that is about to be sent."""
        try:
            await self._countdown.cover(symbol)
        except AmbiguousError as error:  # about the countdown; nothing was sent of the order
            raise unavailable(error) from None

    async def _change(self, body: str, symbol: str) -> None:
        try:
            answer = await self._rest.put("/fapi/v1/order", body, symbol)
        except RejectedError as error:
            if error.code != _STANDS_SO:  # the first answer may be lost, and aiohttp sends a PUT once more then
                raise
        else:
            self._acknowledged(answer, Placed, symbol)

    async def _send_cancel_after(self, seconds: float) -> None:
        """Binance counts down for each symbol: those that have orders now, and each that gets one later."""
        await self._spend(Request.Query, "_fetch_open_orders")
        await self._fetch_open_orders(None)
        await self._countdown.arm(seconds, self._seen)

    def _new_countdown(self) -> Countdown:
        return Countdown(self._send_countdown, lambda: self.clock.now() / NANOSECONDS)

    async def _send_countdown(self, symbol: str, seconds: float) -> None:
        body = f"symbol={escaped(symbol)}&countdownTime={round(seconds * 1000)}"
        await self._rest.post("/fapi/v1/countdownCancelAll", body, symbol)

    # Positions.

    async def _send_leverage(self, symbol: str, leverage: int) -> None:
        await self._rest.post("/fapi/v1/leverage", f"symbol={escaped(symbol)}&leverage={leverage}", symbol)

    async def _send_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        body = f"symbol={escaped(symbol)}&marginType={_MARGIN_TYPES[mode]}"
        try:
            await self._rest.post("/fapi/v1/marginType", body, symbol)
        except RejectedError as error:
            if error.code != _NO_CHANGE:
                raise

    async def _fetch_positions(self) -> list[Position]:
        rows = self._told(await self._rest.get("/fapi/v3/positionRisk", signed=True), list[PositionRow])
        return [Position(row.symbol, row.position_amt, row.entry_price or None) for row in rows if row.position_amt]

    async def _fetch_funding_rate(self, symbol: str) -> FundingRate:
        row = self._told(await self._rest.get("/fapi/v1/premiumIndex", {"symbol": symbol}), Premium)
        return FundingRate(symbol, row.last_funding_rate, row.next_funding_time * MILLISECOND)

    # Look-ups.

    async def _fetch_balances(self) -> dict[str, Balance]:
        rows = self._told(await self._rest.get("/fapi/v3/balance", signed=True), list[AssetRow])
        return {row.asset: _balance(row) for row in rows}

    def _first_page(self, since_ms: int) -> dict[str, str | int]:
        since_ms = max(since_ms, self._now_ms() - _REMEMBERED_MS)
        return {"startTime": since_ms, "endTime": since_ms + _WEEK_MS - 1}

    def _next_page(self, start: dict[str, str | int]) -> dict[str, str | int] | None:
        end = int(start.get("endTime", 0))
        return self._first_page(end + 1) if 0 < end < self._now_ms() else None

    # Streams.

    async def _run_account(self, link: Link) -> None:
        if self._user_stream is not None:
            await self._live(self._user_stream, link)

    async def _run_market(self, link: Link) -> None:
        if self._market is not None:
            await self._market.run(link, self.wanted)

    async def _subscribe(self, channel: Channel, symbol: str) -> None:
        if self._market is not None:
            await self._market.subscribe(channel, symbol)

    async def _make_listen_key(self) -> str:
        return self._told(await self._rest.keyed("POST", "/fapi/v1/listenKey"), ListenKey).listen_key

    async def _keep_listen_key(self) -> None:
        await self._spend(Request.Query, "")
        await self._rest.keyed("PUT", "/fapi/v1/listenKey")

    def _on_account(self) -> None:
        """The wallet changed. What is free of it is not said, so that it is asked for, once for many changes."""
        self._wallet_changed = True
        if self._counting is None or self._counting.done():
            self._counting = self._start_task(self._count_balances())

    async def _count_balances(self) -> None:
        while self._wallet_changed:  # again, when it changed while it was asked for
            await asyncio.sleep(_BALANCES_AFTER)
            self._wallet_changed = False
            try:
                await self._repair_balances()
            except ExchangeError as error:
                logger.warning("%s: the balances could not be asked for: %s", VENUE, error)
                self._wallet_changed = True
                await asyncio.sleep(_BALANCES_AGAIN)


def _balance(row: AssetRow) -> Balance:
    """`free` beside the margins, whatever positions have won or lost, so that both parts are the wallet."""
    free = subtract(row.available_balance, row.cross_un_pnl)
    return Balance(row.asset, free, subtract(row.balance, free))
