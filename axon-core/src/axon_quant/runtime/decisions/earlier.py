"""What a run had seen before a decision: windows to compare its observation with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from axon_quant.events import FeatureRow
from axon_quant.journal.excerpt import run_records
from axon_quant.runtime.decisions.record import DecisionRecord


def earlier_windows(journal: str | Path, record: DecisionRecord, count: int) -> NDArray[np.float32]:
    """Up to `count` windows `[windows, rows, features]` of the decision's symbol in its run, the oldest first.

    They end before the observation begins, and overlap neither it nor each other. A window with a hole in it is left
    out. Raises JournalError as `find_decision` does.
    """
    length, features = record.observation.shape
    windows: list[NDArray[np.float32]] = []
    rows: list[FeatureRow] = []
    with run_records(Path(journal), record.run) as records:
        for found in records.before(record.sequence, [FeatureRow]) if count > 0 else ():
            row = found.event
            if not isinstance(row, FeatureRow) or row.symbol != record.event.symbol:
                continue
            if row.row >= record.event.first_row or len(row.data) != 4 * features:
                continue
            if rows and not _adjoins(row, rows, record.interval_ms):
                rows = []
            rows.append(row)
            if len(rows) == length:
                flat = np.frombuffer(b"".join(each.data for each in reversed(rows)), dtype="<f4")
                windows.append(flat.reshape(length, features).astype(np.float32))
                rows = []
            if len(windows) == count:
                break
    return np.stack(windows[::-1]) if windows else np.empty((0, length, features), np.float32)


def _adjoins(row: FeatureRow, later: list[FeatureRow], interval_ms: int | None) -> bool:
    """Whether a row comes right before those that were collected, newest first."""
    if row.row != later[-1].row - 1:
        return False
    return interval_ms is None or later[-1].at - row.at == interval_ms * 1_000_000
