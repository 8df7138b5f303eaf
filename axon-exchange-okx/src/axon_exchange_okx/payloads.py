"""OKX's messages as types: only the fields that are used, numbers as the text they came in."""

from __future__ import annotations

from decimal import Decimal
from typing import Generic, TypeVar

from msgspec import Raw, Struct
from msgspec.json import Decoder

_T = TypeVar("_T")


class Answer(Struct, Generic[_T], frozen=True):
    """The envelope of every REST answer. `code` is "0" when all went well."""

    code: str
    data: list[_T] = []
    msg: str = ""


class Ack(Struct, frozen=True, rename="camel", gc=False):
    """One order's outcome within an answer; `s_code` is "0" when OKX took it."""

    ord_id: str = ""
    algo_id: str = ""
    s_code: str = "0"
    s_msg: str = ""


class Time(Struct, frozen=True, gc=False):
    """`/public/time`, in ms."""

    ts: str


class AccountConfig(Struct, frozen=True, rename="camel"):
    """`/account/config`: `perm` is a list such as `read_only,trade,withdraw`."""

    perm: str = ""
    acct_lv: str = ""
    pos_mode: str = ""


class InstrumentRow(Struct, frozen=True, rename="camel"):
    """One of `/public/instruments`."""

    inst_id: str
    inst_type: str
    base_ccy: str = ""
    quote_ccy: str = ""
    settle_ccy: str = ""
    ct_val: str = ""
    ct_val_ccy: str = ""
    ct_mult: str = ""
    ct_type: str = ""
    tick_sz: str = ""
    lot_sz: str = ""
    min_sz: str = ""
    max_lmt_sz: str = ""
    max_mkt_sz: str = ""
    state: str = ""
    uly: str = ""


class OrderRow(Struct, frozen=True, rename="camel"):
    """An order, from `/trade/order`, `/trade/orders-pending` or the `orders` channel (which alone has the fill)."""

    inst_id: str
    ord_id: str
    side: str
    ord_type: str
    sz: str
    state: str
    inst_type: str = ""
    cl_ord_id: str = ""
    algo_cl_ord_id: str = ""
    algo_id: str = ""
    px: str = ""
    tgt_ccy: str = ""
    acc_fill_sz: str = ""
    avg_px: str = ""
    reduce_only: str = ""
    cancel_source: str = ""
    cancel_source_reason: str = ""
    c_time: str = ""
    u_time: str = ""
    fill_px: str = ""
    fill_sz: str = ""
    fill_fee: str = ""
    fill_fee_ccy: str = ""
    fill_time: str = ""
    trade_id: str = ""
    exec_type: str = ""
    req_id: str = ""
    amend_result: str = ""
    amend_source: str = ""
    code: str = ""
    msg: str = ""


class AlgoRow(Struct, frozen=True, rename="camel"):
    """A stop order, from `/trade/order-algo`, `/trade/orders-algo-pending` or the `orders-algo` channel."""

    inst_id: str
    algo_id: str
    side: str
    ord_type: str
    state: str
    sz: str = ""
    algo_cl_ord_id: str = ""
    ord_id: str = ""
    ord_id_list: list[str] = []
    sl_trigger_px: str = ""
    sl_ord_px: str = ""
    trigger_px: str = ""
    ord_px: str = ""
    reduce_only: str = ""
    fail_code: str = ""
    c_time: str = ""
    u_time: str = ""

    @property
    def placed(self) -> str:
        """The id of the order that it placed when it triggered, or ""."""
        return self.ord_id_list[0] if self.ord_id_list else self.ord_id


class FillRow(Struct, frozen=True, rename="camel"):
    """One of `/trade/fills` or `/trade/fills-history`; `fee` is negative when paid."""

    inst_id: str
    trade_id: str
    ord_id: str
    side: str
    fill_px: str
    fill_sz: str
    bill_id: str = ""
    cl_ord_id: str = ""
    fee: str = ""
    fee_ccy: str = ""
    exec_type: str = ""
    fill_time: str = ""
    ts: str = ""


class BalanceRow(Struct, frozen=True, rename="camel", gc=False):
    """One currency of an account."""

    ccy: str
    avail_bal: str = ""
    avail_eq: str = ""
    frozen_bal: str = ""
    cash_bal: str = ""
    u_time: str = ""


class AccountRow(Struct, frozen=True, rename="camel"):
    """`/account/balance` and the `account` channel."""

    details: list[BalanceRow] = []
    u_time: str = ""


class PositionRow(Struct, frozen=True, rename="camel", gc=False):
    """One of `/account/positions`: `pos` in contracts, negative when short unless `pos_side` says so."""

    inst_id: str
    pos: str
    pos_side: str = "net"
    avg_px: str = ""


class FundingRow(Struct, frozen=True, rename="camel", gc=False):
    """`/public/funding-rate`."""

    inst_id: str
    funding_rate: str
    funding_time: str = ""
    next_funding_time: str = ""


class Arg(Struct, frozen=True, rename="camel", gc=False):
    """What a push is about."""

    channel: str
    inst_id: str = ""
    inst_type: str = ""


class Push(Struct, frozen=True, rename="camel"):
    """Any message of a WebSocket: data of a channel, or an event about the connection."""

    arg: Arg | None = None
    data: Raw = Raw(b"[]")
    action: str = ""
    event: str = ""
    code: str = ""
    msg: str = ""
    id: str = ""


class TradeRow(Struct, frozen=True, rename="camel", gc=False):
    """One of the `trades` channel; `side` is the taker's."""

    trade_id: int
    px: float
    sz: float
    side: str
    ts: int


class BookRow(Struct, frozen=True, rename="camel"):
    """One of the `books` and `bbo-tbt` channels; a level is price, size, and two more that are not used."""

    asks: list[tuple[float, float, str, str]]
    bids: list[tuple[float, float, str, str]]
    ts: int
    seq_id: int = 0
    prev_seq_id: int = -1


PUSH = Decoder(Push)
ORDERS = Decoder(list[OrderRow])
ALGOS = Decoder(list[AlgoRow])
ACCOUNTS = Decoder(list[AccountRow])
# The market is float64, so its text becomes numbers in the decoder; orders and money stay text.
TRADES = Decoder(list[TradeRow], strict=False)
BOOKS = Decoder(list[BookRow], strict=False)
CANDLES = Decoder(list[list[str]])
ACKS = Decoder(Answer[Ack])
TRADE_ANSWER = Decoder(Answer[TradeRow], strict=False)
TIME_ANSWER = Decoder(Answer[Time])
CONFIG_ANSWER = Decoder(Answer[AccountConfig])
INSTRUMENT_ANSWER = Decoder(Answer[InstrumentRow])
ORDER_ANSWER = Decoder(Answer[OrderRow])
ALGO_ANSWER = Decoder(Answer[AlgoRow])
FILL_ANSWER = Decoder(Answer[FillRow])
ACCOUNT_ANSWER = Decoder(Answer[AccountRow])
POSITION_ANSWER = Decoder(Answer[PositionRow])
FUNDING_ANSWER = Decoder(Answer[FundingRow])


def number(text: str) -> Decimal:
    """A number that OKX sends as text; it sends "" for none, which is 0 here."""
    return Decimal(text) if text else Decimal(0)


def nanoseconds(milliseconds: str) -> int:
    """A time that OKX sends as text in ms, in UTC ns; 0 for ""."""
    return int(milliseconds) * 1_000_000 if milliseconds else 0
