"""The paper venue behind the interface of a live one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from axon_quant.clock import NANOSECONDS, Clock, SimClock
from axon_quant.errors import NotFoundError, RejectedError
from axon_quant.exchange.base import ExchangeAdapter
from axon_quant.exchange.budget import Sleep
from axon_quant.exchange.capabilities import Channel
from axon_quant.exchange.config import ExchangeConfig
from axon_quant.exchange.exact import ZERO
from axon_quant.exchange.ledger import Balance
from axon_quant.exchange.order_log import OrderLog
from axon_quant.exchange.paper import CancelOutcome, CancelResult, PaperVenue
from axon_quant.exchange.primitives import Position
from axon_quant.market.book import OrderBook
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import Bar, BookSnapshot, BookUpdate, MarketEvent, Quote, Trade
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Fill, Order, OrderStatus
from axon_quant.plugins.capabilities import PAPER

_CHANNELS: dict[type, Channel] = {
    Trade: Channel.Trades,
    Quote: Channel.Quotes,
    Bar: Channel.Bars,
    BookUpdate: Channel.Book,
    BookSnapshot: Channel.Book,
}


class PaperAdapter(ExchangeAdapter):
    """Trades real market data, which `feed` brings in, on a simulated spot account.

    Each symbol has its own `OrderBook`, kept by `feed`. Latency passes on `clock`: a simulated clock moves on at once
    and follows the market data, any other is waited for. Without a `config` there is no rate budget. Options as of
    `PaperVenue`, which stands behind `venue`.
    """

    name = "paper"
    is_external = False
    capabilities = PAPER

    def __init__(
        self,
        config: ExchangeConfig | None = None,
        *,
        instruments: Iterable[Instrument],
        balances: Mapping[str, Decimal],
        latency_ns: int = 0,
        jitter_ns: int = 0,
        maker_fee: Decimal = ZERO,
        taker_fee: Decimal = ZERO,
        seed: int = 0,
        clock: Clock | None = None,
        sleep: Sleep | None = None,
        order_log: OrderLog | None = None,
    ) -> None:
        super().__init__(config, clock=clock, sleep=sleep, order_log=order_log)
        self.venue = PaperVenue(
            instruments,
            balances,
            latency_ns=latency_ns,
            jitter_ns=jitter_ns,
            maker_fee=maker_fee,
            taker_fee=taker_fee,
            seed=seed,
            on_update=self._deliver,
            on_cancel=self._cancel_arrived,
        )
        self.books = {symbol: OrderBook(symbol) for symbol in self.venue.instruments}
        for symbol, book in self.books.items():
            self.venue.watch(symbol, book)
        self._cancels: dict[str, CancelOutcome] = {}
        self._subscribed: set[tuple[Channel, str]] = set()

    def feed(self, event: MarketEvent) -> None:
        """Bring in one market event: orders due by then arrive first, then the market moves.

        Raises UnknownSymbolError for a symbol without an instrument.
        """
        if isinstance(self.clock, SimClock):
            self.clock.advance(event.received)
        if event.received >= self.venue.next_due:
            self.venue.advance(event.received)
        book = self.books.get(event.symbol)
        if book is not None:
            if isinstance(event, BookUpdate):
                book.apply(event)
            elif isinstance(event, BookSnapshot):
                book.restore(event)
        self.venue.on_market(event)
        if (_CHANNELS[type(event)], event.symbol) in self._subscribed:
            self._publish(event)

    async def _connect(self) -> None:
        pass

    async def _close(self) -> None:
        self._subscribed.clear()

    async def _fetch_instruments(self) -> Iterable[Instrument]:
        return self.venue.instruments.values()

    async def _send_order(self, order: Order) -> str:
        await self._until(self.venue.submit(order, self.clock.now()))
        state = self.venue.order(order.client_order_id)
        assert state is not None  # noqa: S101 - it has just arrived
        if state.status is OrderStatus.Rejected:
            raise RejectedError(state.reason, venue=self.name, symbol=order.symbol)
        return state.venue_order_id

    async def _send_cancel(self, state: OrderState) -> None:
        client_order_id = state.order.client_order_id
        await self._until(self.venue.cancel(client_order_id, self.clock.now()))
        if self._cancels.pop(client_order_id, None) is CancelOutcome.NotFound:
            raise NotFoundError(
                f"order {client_order_id} was finished when its cancel arrived",
                venue=self.name,
                symbol=state.order.symbol,
            )

    async def _fetch_order(self, state: OrderState) -> OrderState | None:
        return self.venue.order(state.order.client_order_id)

    async def _fetch_open_orders(self, symbol: str | None) -> list[OrderState]:
        return self.venue.open_orders(symbol)

    async def _fetch_fills(self, since: int) -> list[Fill]:
        return self.venue.fills(since)

    async def _fetch_balances(self) -> dict[str, Balance]:
        return self.venue.balances()

    async def _fetch_positions(self) -> list[Position]:
        balances = self.venue.balances()
        held = ((symbol, balances.get(instrument.base)) for symbol, instrument in self.venue.instruments.items())
        return [Position(symbol, balance.total) for symbol, balance in held if balance is not None and balance.total]

    async def _subscribe(self, channel: Channel, symbol: str) -> None:
        self._subscribed.add((channel, symbol))

    async def _until(self, due: int) -> None:
        while (now := self.clock.now()) < due:
            await self._sleep((due - now) / NANOSECONDS)
        if due >= self.venue.next_due:
            self.venue.advance(due)

    def _cancel_arrived(self, result: CancelResult) -> None:
        self._cancels[result.client_order_id] = result.outcome
