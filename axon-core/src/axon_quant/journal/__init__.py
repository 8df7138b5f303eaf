"""The journal: every event of every run in one append-only, hash-chained SQLite file."""

from axon_quant.journal.codec import Note
from axon_quant.journal.journal import Journal
from axon_quant.journal.reader import RunRow, notes, read, runs
from axon_quant.journal.storage import PreviousRun, RunInfo
from axon_quant.journal.verify import RunReport, verify
from axon_quant.journal.writer import Ticket

__all__ = [
    "Journal",
    "Note",
    "PreviousRun",
    "RunInfo",
    "RunReport",
    "RunRow",
    "Ticket",
    "notes",
    "read",
    "runs",
    "verify",
]
