"""The last rows of features, as the contiguous array a model takes."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

_DIGEST = 32
# hashlib lets go of the GIL for 2048 bytes or more, and getting it back beside a busy thread can take 5 ms.
_PIECE = 1024


class ObservationWindow:
    """The last `window` rows, always contiguous and never copied.

    Each row is written twice into a buffer of `2 × window` rows, so that the last `window` of them lie in one piece
    wherever the writing stands. `view` is a read-only `[1, window, features]` float32 array into that buffer, valid
    until the next `push`.
    """

    __slots__ = ("_digests", "_position", "_row_size", "_rows", "_views", "count", "next_row", "window")

    def __init__(self, window: int, features: int) -> None:
        if not (window > 0 and features > 0):
            raise ValueError(f"a window needs at least one row and one feature, got {window} × {features}")
        self.window = window
        self.count = 0
        self.next_row = 0
        self._position = 0
        self._row_size = 4 * features
        buffer = np.zeros((2 * window, features), dtype="<f4")
        self._rows = buffer.data.cast("B")
        self._digests = memoryview(bytearray(2 * window * _DIGEST))  # twice, like the rows
        self._views = []
        for start in range(window):
            view = buffer[start : start + window].reshape(1, window, features)
            view.setflags(write=False)
            self._views.append(view)

    def push(self, row: bytes) -> None:
        """Append one row of float32, little-endian. Raises ValueError for another number of features."""
        position, window, size = self._position, self.window, self._row_size
        self._rows[position * size : (position + 1) * size] = row
        self._rows[(position + window) * size : (position + window + 1) * size] = row
        digest = hashlib.sha256(row).digest()
        self._digests[position * _DIGEST : (position + 1) * _DIGEST] = digest
        self._digests[(position + window) * _DIGEST : (position + window + 1) * _DIGEST] = digest
        self._position = position + 1 if position + 1 < window else 0
        self.next_row += 1
        if self.count < window:
            self.count += 1

    def reset(self) -> None:
        """Forget the rows; row numbers go on."""
        self.count = 0

    @property
    def whole(self) -> bool:
        """Whether `view` holds `window` rows without a hole."""
        return self.count == self.window

    @property
    def view(self) -> NDArray[np.float32]:
        """The last `window` rows, oldest first: `[1, window, features]`, read-only, valid until the next push."""
        return self._views[self._position]

    @property
    def last_row(self) -> int:
        return self.next_row - 1

    @property
    def first_row(self) -> int:
        return self.next_row - self.window

    def sha256(self) -> str:
        """Identity of the view: the SHA-256 over the rows' SHA-256 digests, oldest first."""
        start, end = self._position * _DIGEST, (self._position + self.window) * _DIGEST
        view = self._digests
        whole = hashlib.sha256(view[start : min(start + _PIECE, end)])
        while (start := start + _PIECE) < end:
            whole.update(view[start : min(start + _PIECE, end)])
        return whole.hexdigest()
