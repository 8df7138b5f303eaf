"""The parameters of a request, read as Binance reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

import msgspec

from axon_exchange_binance.simulator.errors import BAD_SYMBOL, BinanceError, illegal, invalid, missing
from axon_quant.market.instrument import Instrument

_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_NUMBER_TEXT = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_INTEGER = re.compile(r"[0-9]{1,20}")
_CLIENT_ID = re.compile(r"[.A-Za-z0-9:/_-]{1,36}")
_CLIENT_ID_TEXT = "^[\\.A-Z\\:/a-z0-9_-]{1,36}$"
_DIGITS = 8
_T = TypeVar("_T")


class Parameters:
    """Texts by name. What is read raises BinanceError when it is not what it must be."""

    def __init__(self, given: Mapping[str, str], instruments: Mapping[str, Instrument]) -> None:
        self._given = given
        self._instruments = instruments

    def check(self, known: frozenset[str]) -> None:
        """Nothing empty, and nothing that the request does not have."""
        for name, text in self._given.items():
            if text == "":
                raise BinanceError(-1105, f"Parameter '{name}' was empty.")
        read = sum(name in known for name in self._given)
        if read != len(self._given):
            sent = len(self._given)
            raise BinanceError(
                -1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."
            )

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def text(self, name: str, default: str = "") -> str:
        """As it is."""
        return self._given.get(name, default)

    def instrument(self) -> Instrument:
        """The one that `symbol` names."""
        symbol = self._given.get("symbol")
        if symbol is None:
            raise missing("symbol")
        instrument = self._instruments.get(symbol)
        if instrument is None:
            raise BAD_SYMBOL
        return instrument

    def several(self) -> list[Instrument] | None:
        """Those that `symbols`, a JSON list, names; None when it is not there."""
        text = self._given.get("symbols")
        if text is None:
            return None
        try:
            symbols = msgspec.json.decode(text, type=list[str])
        except msgspec.DecodeError:
            raise illegal("symbols", '^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\\]$') from None
        if not symbols or any(symbol not in self._instruments for symbol in symbols):
            raise BAD_SYMBOL
        return [self._instruments[symbol] for symbol in symbols]

    def integer(self, name: str, default: int = 0, *, low: int = 0, high: int = 1 << 63) -> int:
        """A whole number in a range."""
        text = self._given.get(name)
        if text is None:
            return default
        if not _INTEGER.fullmatch(text):
            raise illegal(name, "^[0-9]{1,20}$")
        value = int(text)
        if not low <= value <= high:
            raise invalid(name)
        return value

    def amount(self, name: str) -> Decimal:
        """A positive number that must be there."""
        text = self._given.get(name)
        if text is None:
            raise missing(name)
        if not _NUMBER.fullmatch(text):
            raise illegal(name, _NUMBER_TEXT)
        if len(text.partition(".")[2].rstrip("0")) > _DIGITS:
            raise BinanceError(-1111, f"Parameter '{name}' has too much precision.")
        value = Decimal(text)
        if not value > 0:
            raise BinanceError(-1013, f"Invalid {'price' if 'rice' in name else 'quantity'}.")
        return value

    def choice(self, name: str, choices: Mapping[str, _T], error: BinanceError | None = None) -> _T:
        """One of a few that must be there."""
        text = self._given.get(name)
        if text is None:
            raise missing(name)
        if text not in choices:
            raise invalid(name) if error is None else error
        return choices[text]

    def client_id(self, name: str) -> str:
        """A client order id, empty when there is none."""
        text = self._given.get(name, "")
        if text and not _CLIENT_ID.fullmatch(text):
            raise illegal(name, _CLIENT_ID_TEXT)
        return text

    def span(self) -> tuple[int, int]:
        """`startTime` and `endTime`, in milliseconds."""
        return self.integer("startTime"), self.integer("endTime", 1 << 62)
