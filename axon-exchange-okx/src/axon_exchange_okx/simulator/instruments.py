"""What the simulator trades unless told otherwise: ten spot instruments, and two perpetual swaps written by hand."""

from __future__ import annotations

from decimal import Decimal

import attrs

from axon_quant.exchange.simulator.instruments import instruments as spot_instruments
from axon_quant.market.instrument import Instrument, InstrumentKind


def instruments() -> list[Instrument]:
    """The spot ones without a smallest notional, for which OKX's protocol has no word; then the swaps."""
    return [*(attrs.evolve(one, min_notional=Decimal(0)) for one in spot_instruments("okx", "-")), *SWAPS]


def _swap(base: str, tick_size: str, contract_size: str, market_max: int) -> Instrument:
    return Instrument(
        venue="okx",
        symbol=f"{base}-USDT-SWAP",
        base=base,
        quote="USDT",
        tick_size=tick_size,
        lot_size="0.01",
        min_quantity="0.01",
        max_quantity=100_000_000,
        market_max_quantity=market_max,
        percent_price=("0.2", 5),
        kind=InstrumentKind.Swap,
        contract_size=contract_size,
    )


SWAPS = (_swap("BTC", "0.1", "0.01", 12_000), _swap("ETH", "0.01", "0.1", 20_000))
"""Linear, in contracts of a hundredth of a bitcoin and a tenth of an ether."""


def inst_type(symbol: str) -> str:
    """What OKX calls the kind of an instrument, which its id ends with."""
    return "SWAP" if symbol.endswith("-SWAP") else "SPOT"
