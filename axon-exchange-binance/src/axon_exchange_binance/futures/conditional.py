"""Orders of futures with their stops, as one kind of order: a stop keeps its ids when it becomes an order."""

from __future__ import annotations

from decimal import Decimal

import attrs

from axon_exchange_binance.answers import Execution, OrderRecord
from axon_exchange_binance.futures.orders import amendment
from axon_exchange_binance.futures.stops import (
    PREFIX,
    PlacedOrders,
    StopPlaced,
    StopRecord,
    StopReport,
    is_stop,
    stop_named,
    stop_parameters,
    stop_state,
    stop_update,
)
from axon_exchange_binance.orders import state_of
from axon_exchange_binance.signing import escaped
from axon_exchange_binance.venue import BinanceVenue
from axon_quant.clock import Clock
from axon_quant.errors import NotFoundError, RejectedError
from axon_quant.exchange.budget import Request, Sleep
from axon_quant.exchange.config import ExchangeConfig
from axon_quant.exchange.order_log import OrderLog
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Order

_ALGO = "/algoOrder"


class ConditionalOrders(BinanceVenue):
    """What is asked about stops goes to their service until they have become orders."""

    def __init__(
        self,
        config: ExchangeConfig,
        *,
        clock: Clock | None = None,
        sleep: Sleep | None = None,
        order_log: OrderLog | None = None,
    ) -> None:
        super().__init__(config, clock=clock, sleep=sleep, order_log=order_log)
        self._placed = PlacedOrders()

    async def _send_order(self, order: Order) -> str:
        if not is_stop(order):
            return await super()._send_order(order)
        body = stop_parameters(order, await self._last_price(order.symbol))
        self._seen.setdefault(order.symbol)
        answer = await self._rest.post(f"{self.paths.root}{_ALGO}", body, order.symbol)
        stop_id = f"{PREFIX}{self._acknowledged(answer, StopPlaced, order.symbol).algo_id}"
        self._expect(order.client_order_id)
        return stop_id

    async def _send_cancel(self, state: OrderState) -> None:
        if not is_stop(state.order):
            await super()._send_cancel(state)
            return
        symbol, placed = state.order.symbol, self._placed.of(state)
        if not placed:
            try:
                which = "&".join(f"{name}={escaped(value)}" for name, value in stop_named(state).items())
                await self._rest.delete(f"{self.paths.root}{_ALGO}", which, symbol)
            except NotFoundError:
                await self._spend(Request.Query, "_fetch_order")
                await self._look_at_stop(state)
                placed = self._placed.of(state)
                if not placed:
                    raise
        if placed:  # it triggered, maybe before the cancel arrived
            await self._rest.delete(f"{self.paths.root}/order", f"symbol={escaped(symbol)}&orderId={placed}", symbol)
        self._expect_end(state)

    async def _cancel_symbol(self, symbol: str) -> None:
        await super()._cancel_symbol(symbol)
        await self._spend(Request.Cancel, "_send_cancel_all")
        try:
            await self._rest.delete(f"{self.paths.root}/algoOpenOrders", f"symbol={escaped(symbol)}", symbol)
        except NotFoundError:
            return  # there was none, which is as good

    async def _send_amend(self, state: OrderState, price: Decimal | None, quantity: Decimal | None) -> None:
        symbol, which = state.order.symbol, state
        if is_stop(state.order):
            placed = self._placed.of(state)
            if not placed:
                raise RejectedError(
                    "a stop that waits cannot be changed",
                    venue=self.name,
                    symbol=symbol,
                    hint="cancel it and place another",
                )
            which = attrs.evolve(state, venue_order_id=placed)
        await self._change(amendment(which, price, quantity), symbol)

    async def _change(self, body: str, symbol: str) -> None:
        """Change an order in place."""
        raise NotImplementedError

    # Look-ups.

    async def _fetch_order(self, state: OrderState) -> OrderState | None:
        if not is_stop(state.order):
            return await super()._fetch_order(state)
        placed = self._placed.of(state)
        if not placed:
            record = await self._look_at_stop(state)
            placed = self._placed.of(state)
            if record is None or not placed:
                return None if record is None else stop_state(record, state.order)
            await self._spend(Request.Query, "_fetch_order")
        given = {"symbol": state.order.symbol, "orderId": placed}
        try:
            answer = await self._rest.get(f"{self.paths.root}/order", given, signed=True)
        except NotFoundError:
            return None
        found = state_of(self._told(answer, OrderRecord), self.kinds)
        return None if found is None else attrs.evolve(found, order=state.order)

    async def _look_at_stop(self, state: OrderState) -> StopRecord | None:
        """A stop as its service has it, and note what it became; None when there is none."""
        try:
            answer = await self._rest.get(f"{self.paths.root}{_ALGO}", stop_named(state), signed=True)
        except NotFoundError:
            return None
        record = self._told(answer, StopRecord)
        if record.placed:
            self._placed.note(state.order.client_order_id, record.placed)
        return record

    async def _fetch_open_orders(self, symbol: str | None) -> list[OrderState]:
        orders = await super()._fetch_open_orders(symbol)
        await self._spend(Request.Query, "_fetch_open_orders")
        given = None if symbol is None else {"symbol": symbol}
        answer = await self._rest.get(f"{self.paths.root}/openAlgoOrders", given, signed=True)
        stops = [
            found
            for record in self._told(answer, list[StopRecord])
            if not record.placed and (found := stop_state(record)) is not None
        ]
        self._seen.update(dict.fromkeys(state.order.symbol for state in stops))
        return [*orders, *stops]

    # Streams.

    def _on_stop(self, report: StopReport) -> None:
        self._seen.setdefault(report.symbol)
        if report.actual_order_id:
            self._placed.note(report.client_algo_id, str(report.actual_order_id))
        self._deliver(stop_update(report, self.clock.now()))

    def _on_execution(self, report: Execution) -> None:
        state = self.orders.get(report.client_order_id)
        if state is not None and is_stop(state.order):
            self._placed.note(report.client_order_id, str(report.order_id))
        super()._on_execution(report)
