"""Readers of recorded market data.

A recording is iterable and yields market events in the order they were received. A line that cannot be understood is
counted and reported with its file and line, never fatal and never silent.
"""

from axon_quant.market.recordings.base import Malformed, Recording
from axon_quant.market.recordings.binance import BinanceRecording
from axon_quant.market.recordings.opening import open_recording
from axon_quant.market.recordings.table import TableRecording

__all__ = ["BinanceRecording", "Malformed", "Recording", "TableRecording", "open_recording"]
