"""Which reader fits a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from axon_quant.errors import MarketDataError
from axon_quant.market.recordings.base import Malformed, Recording
from axon_quant.market.recordings.binance import BinanceRecording
from axon_quant.market.recordings.table import TableRecording


def open_recording(
    path: str | Path, symbols: Sequence[str] = (), *, on_malformed: Callable[[Malformed], None] | None = None
) -> Recording:
    """The reader for a file, by its name: `.jsonl[.gz]` a Binance stream, `.csv[.gz]` and `.parquet` a table.

    `symbols` names the rows of a table that has no symbol column, when there is exactly one. Raises MarketDataError
    when the file is missing or of no known kind.
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes if suffix.lower() != ".gz"]
    kind = suffixes[-1] if suffixes else ""
    if kind in (".jsonl", ".ndjson"):
        return BinanceRecording(path, on_malformed=on_malformed)
    if kind in (".csv", ".parquet", ".pq"):
        symbol = symbols[0] if len(symbols) == 1 else None
        return TableRecording(path, symbol=symbol, on_malformed=on_malformed)
    raise MarketDataError(
        f"no reader for {Path(path).name}", file=path, hint="name it .jsonl, .jsonl.gz, .csv, .csv.gz or .parquet"
    )
