"""What is refused before anything is sent: what the venue cannot do, and what it would not take."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from axon_quant.clock import NANOSECONDS, Clock
from axon_quant.errors import DuplicateOrderError, RejectedError, UnsupportedError
from axon_quant.exchange.budget import Sleep
from axon_quant.exchange.capabilities import Capability, needed_by
from axon_quant.exchange.config import ExchangeConfig
from axon_quant.exchange.exact import from_float
from axon_quant.exchange.filters import refusal
from axon_quant.exchange.supervision import Supervision
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import Quote
from axon_quant.orders.types import Order

_REFERENCE_AGE = 60 * NANOSECONDS


class Checks(Supervision):
    """Capabilities, client order ids and filters."""

    client_order_id_length: ClassVar[int] = 32

    def __init__(self, config: ExchangeConfig | None, clock: Clock | None, sleep: Sleep | None) -> None:
        super().__init__(config, clock, sleep)
        self._instruments: dict[str, Instrument] = {}

    def _require(self, capability: Capability) -> None:
        if capability not in self.capabilities:
            raise UnsupportedError(f"this adapter does not declare {capability.value}", plugin=self.name)

    def _refuse_order(self, reason: str, order: Order) -> None:
        if reason:
            raise RejectedError(reason, venue=self.name, symbol=order.symbol)

    def _instrument(self, symbol: str) -> Instrument:
        instrument = self._instruments.get(symbol)
        if instrument is None:
            raise RejectedError("the venue has no such symbol", venue=self.name, symbol=symbol)
        return instrument

    def _reference(self, symbol: str) -> Decimal | None:
        """The last price we were told of a symbol, unless it is old."""
        event = self._references.get(symbol)
        if event is None or self.clock.now() - event.received > _REFERENCE_AGE:
            return None
        return from_float(event.mid if isinstance(event, Quote) else event.price)

    def _check_order(self, order: Order) -> None:
        needed = needed_by(order)
        if not needed <= self.capabilities:
            for capability in sorted(needed, key=lambda capability: capability.value):
                self._require(capability)
        self._refuse_order(self.halted, order)
        client_order_id = order.client_order_id
        length = self.client_order_id_length
        if not (0 < len(client_order_id) <= length and client_order_id.isascii() and client_order_id.isalnum()):
            self._refuse_order(
                f"a client order id has 1 to {length} of a-z, A-Z and 0-9, got {client_order_id!r}", order
            )
        self._check_unused(order)
        self._refuse_order(refusal(order, self._instrument(order.symbol), self._reference(order.symbol)), order)

    def _check_unused(self, order: Order) -> None:
        name = order.client_order_id
        if name in self._ours:
            raise DuplicateOrderError(f"client order id {name} was used before", venue=self.name, symbol=order.symbol)
