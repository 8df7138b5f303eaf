"""OKX's instruments as axon's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from axon_exchange_okx.errors import VENUE
from axon_exchange_okx.payloads import InstrumentRow, number
from axon_quant.market.instrument import Instrument, InstrumentKind

TYPES = {InstrumentKind.Spot: "SPOT", InstrumentKind.Swap: "SWAP"}


def instruments(rows: Iterable[InstrumentRow]) -> Iterator[Instrument]:
    """The live ones that can be traded here.

    A swap's quantities are contracts of `contract_size` base units. Inverse swaps are left out: their contracts are
    worth a fixed amount of the quote currency, which no quantity in base units describes.
    """
    for row in rows:
        if row.state != "live" or not (row.tick_sz and row.lot_sz):
            continue
        if row.inst_type == "SPOT":
            yield _instrument(row, row.base_ccy, row.quote_ccy, InstrumentKind.Spot, Decimal(1))
        elif row.ct_type == "linear":
            base, _, quote = row.uly.partition("-")
            size = Decimal(row.ct_val) * Decimal(row.ct_mult or 1)
            yield _instrument(row, base, quote, InstrumentKind.Swap, size)


def _instrument(row: InstrumentRow, base: str, quote: str, kind: InstrumentKind, size: Decimal) -> Instrument:
    return Instrument(
        venue=VENUE,
        symbol=row.inst_id,
        base=base,
        quote=quote,
        tick_size=Decimal(row.tick_sz),
        lot_size=Decimal(row.lot_sz),
        min_quantity=_limit(row.min_sz),
        max_quantity=_limit(row.max_lmt_sz),
        # Of a spot instrument maxMktSz is an amount of USDT, which is no quantity.
        market_max_quantity=_limit(row.max_mkt_sz) if kind is InstrumentKind.Swap else None,
        kind=kind,
        contract_size=size,
    )


def _limit(text: str) -> Decimal | None:
    return number(text) or None
