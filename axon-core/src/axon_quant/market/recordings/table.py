"""Trades or bars in a table: CSV (plain or gzipped) or Parquet.

The columns are found by name, in any order and case:

    trades   time · price · quantity · side (buy or sell, the aggressor) or buyer_is_maker
    bars     time · open · high · low · close · volume

with the usual synonyms (`timestamp`, `qty`, `amount`, `size`, …). `symbol` is a column or is given. Times are ISO 8601
or numbers in s, ms, µs or ns, told apart by their magnitude. A bar's time is its close.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from axon_quant.errors import MarketDataError
from axon_quant.market.recordings.base import Malformed, Recording, open_binary
from axon_quant.market.types import Bar, MarketEvent, Trade

_SYNONYMS = {
    "time": ("time", "timestamp", "received", "ts", "datetime", "date", "close_time"),
    "price": ("price", "p"),
    "quantity": ("quantity", "qty", "amount", "size", "q"),
    "side": ("side", "aggressor"),
    "buyer_is_maker": ("buyer_is_maker", "is_buyer_maker", "m"),
    "symbol": ("symbol", "instrument"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
}
_BAR_COLUMNS = ("time", "open", "high", "low", "close", "volume")
_TRADE_COLUMNS = ("time", "price", "quantity")

_Row: TypeAlias = Mapping[str, object]
_Parser: TypeAlias = Callable[[Mapping[str, str], _Row, str | None], MarketEvent]


class TableRecording(Recording):
    """Trades or bars from a CSV or Parquet file; which of the two is told by the columns.

    `symbol` names the rows of a table without such a column. Raises MarketDataError for a table whose columns are
    neither, without a symbol, or Parquet without pyarrow (`pip install "axon-core[parquet]"`).
    """

    def __init__(
        self,
        path: str | Path,
        *,
        symbol: str | None = None,
        on_malformed: Callable[[Malformed], None] | None = None,
    ) -> None:
        super().__init__(path, on_malformed=on_malformed)
        self._symbol = symbol

    def __iter__(self) -> Iterator[MarketEvent]:
        self.messages = self.malformed = 0
        parquet = self.path.suffix.lower() in (".parquet", ".pq")
        with self._parquet() if parquet else self._csv() as (header, rows):
            columns = _columns(header)
            parse = self._parser(header, columns)
            for number, row in rows:
                self.messages += 1
                try:
                    yield parse(columns, row, self._symbol)
                except ValueError as error:
                    self._report(number, str(error))

    def _parser(self, header: list[str], columns: Mapping[str, str]) -> _Parser:
        if "symbol" not in columns and self._symbol is None and columns:
            raise MarketDataError("the table has no symbol column", file=self.path, hint="configure exactly one symbol")
        if all(name in columns for name in _BAR_COLUMNS):
            return _bar
        if all(name in columns for name in _TRADE_COLUMNS) and ("side" in columns or "buyer_is_maker" in columns):
            return _trade
        raise MarketDataError(
            f"the columns {', '.join(header) or '(none)'} are neither trades nor bars",
            file=self.path,
            hint="trades need time, price, quantity and side; bars need time, open, high, low, close, volume",
        )

    @contextmanager
    def _csv(self) -> Iterator[tuple[list[str], Iterator[tuple[int, _Row]]]]:
        with io.TextIOWrapper(open_binary(self.path), encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            broken = (csv.Error, UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile)
            try:
                header = next(reader, [])
            except broken as error:
                raise MarketDataError(f"cannot be read: {error}", file=self.path) from error

            def rows() -> Iterator[tuple[int, _Row]]:
                try:
                    for fields in reader:
                        if fields:
                            yield reader.line_num, dict(zip(header, fields, strict=False))
                except broken as error:
                    self._report(reader.line_num + 1, f"the file breaks off here: {error}")

            yield header, rows()

    @contextmanager
    def _parquet(self) -> Iterator[tuple[list[str], Iterator[tuple[int, _Row]]]]:
        try:
            from pyarrow import ArrowException, parquet
        except ImportError:
            raise MarketDataError(
                "Parquet needs pyarrow, which is not installed",
                file=self.path,
                hint='pip install "axon-core[parquet]"',
            ) from None
        try:
            file = parquet.ParquetFile(self.path)
        except (ArrowException, OSError) as error:
            raise MarketDataError(f"is no Parquet file: {error}", file=self.path) from error

        def rows() -> Iterator[tuple[int, _Row]]:
            number = 0
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    yield number, row

        with file:
            yield list(file.schema_arrow.names), rows()


def _columns(header: list[str]) -> dict[str, str]:
    """Our name → the table's name."""
    lowered = {name.strip().lower(): name for name in header}
    found = {}
    for name, synonyms in _SYNONYMS.items():
        for synonym in synonyms:
            if synonym in lowered:
                found[name] = lowered[synonym]
                break
    return found


def _trade(columns: Mapping[str, str], row: _Row, symbol: str | None) -> Trade:
    return Trade(
        _symbol(columns, row, symbol),
        _time(row.get(columns["time"])),
        _number(columns, row, "price"),
        _number(columns, row, "quantity"),
        _buyer_is_maker(columns, row),
    )


def _bar(columns: Mapping[str, str], row: _Row, symbol: str | None) -> Bar:
    open_, high, low, close = (_number(columns, row, name) for name in ("open", "high", "low", "close"))
    if not (low <= min(open_, close) and max(open_, close) <= high):
        raise ValueError(f"open {open_} and close {close} must lie between low {low} and high {high}")
    volume = _number(columns, row, "volume", zero=True)
    return Bar(_symbol(columns, row, symbol), _time(row.get(columns["time"])), open_, high, low, close, volume)


def _symbol(columns: Mapping[str, str], row: _Row, symbol: str | None) -> str:
    value = row.get(columns["symbol"]) if "symbol" in columns else symbol
    if not value:
        raise ValueError("the symbol is empty")
    return str(value)


def _number(columns: Mapping[str, str], row: _Row, name: str, *, zero: bool = False) -> float:
    text = row.get(columns[name])
    try:
        value = float(text)  # type: ignore[arg-type]  # whatever the table holds
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, got {text!r}") from None
    if not (0 < value < 1e18 or (zero and value == 0)):
        raise ValueError(f"{name} must be positive, got {text!r}")
    return value


def _buyer_is_maker(columns: Mapping[str, str], row: _Row) -> bool:
    if "side" in columns:
        side = str(row.get(columns["side"])).strip().lower()
        if side not in ("buy", "sell"):
            raise ValueError(f"side must be buy or sell, got {side!r}")
        return side == "sell"
    text = str(row.get(columns["buyer_is_maker"])).strip().lower()
    if text not in ("true", "false", "1", "0"):
        raise ValueError(f"buyer_is_maker must be true or false, got {text!r}")
    return text in ("true", "1")


def _time(value: object) -> int:
    """UTC nanoseconds from a number in s, ms, µs or ns, an ISO 8601 text, or a datetime (UTC when it names no zone)."""
    if isinstance(value, str):
        text = value
        try:
            value = int(text)
        except ValueError:
            try:
                value = float(text)
            except ValueError:
                value = datetime.fromisoformat(text)
    if isinstance(value, datetime):
        moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000
    if isinstance(value, (int, float)) and 0 < value < 1e19:
        for bound, scale in ((1e11, 1_000_000_000), (1e14, 1_000_000), (1e17, 1_000)):
            if value < bound:
                return round(value * scale)
        return int(value)
    raise ValueError(f"time must be ISO 8601 or a positive number, got {value!r}")
