from decimal import Decimal
from itertools import count

import pytest

from axon_quant.market import Instrument
from axon_quant.orders import Fill, Liquidity, Side

_numbers = count(1)


def make_instrument(base="BTC", quote="USDT"):
    return Instrument(
        venue="paper",
        symbol=base + quote,
        base=base,
        quote=quote,
        tick_size="0.01",
        lot_size="0.00001",
        min_notional="5",
    )


@pytest.fixture
def btc():
    return make_instrument()


@pytest.fixture
def eth():
    return make_instrument("ETH")


@pytest.fixture
def fill_of():
    def build(side, quantity, price, fee="0", fee_asset="USDT", *, symbol="BTCUSDT", at=0, fill_id=None):
        return Fill(
            client_order_id="a1",
            symbol=symbol,
            side=Side(side),
            price=Decimal(price),
            quantity=Decimal(quantity),
            fee=Decimal(fee),
            fee_asset=fee_asset,
            liquidity=Liquidity.Maker,
            fill_id=fill_id or str(next(_numbers)),
            at=at,
        )

    return build
