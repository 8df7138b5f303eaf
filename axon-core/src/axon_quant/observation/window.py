"""The last rows of features, as the contiguous array a model takes."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

_DIGEST = 32
# Digests hashed at once: hashlib lets go of the GIL for 2048 bytes or more, and getting it back beside a busy thread
# can take 5 ms.
_PIECE = 2047 // _DIGEST


class ObservationWindow:
    """The last `window` rows, always contiguous and never copied.

    Each row is written twice into a buffer of `2 × window` rows, so that the last `window` of them lie in one piece
    wherever the writing stands. `view` is a read-only `[1, window, features]` float32 array into that buffer, valid
    until the next `push`.
    """

    __slots__ = ("_pieces", "_position", "_slots", "_views", "count", "next_row", "window")

    def __init__(self, window: int, features: int) -> None:
        if not (window > 0 and features > 0):
            raise ValueError(f"a window needs at least one row and one feature, got {window} × {features}")
        self.window = window
        self.count = 0
        self.next_row = 0
        self._position = 0
        buffer = np.zeros((2 * window, features), dtype="<f4")
        digests = memoryview(bytearray(2 * window * _DIGEST))  # twice, like the rows
        rows, size = buffer.data.cast("B"), 4 * features
        # By position: where a row and its digest are written, and the window that begins there.
        self._slots = [
            [
                *(rows[at * size : (at + 1) * size] for at in (start, start + window)),
                *(digests[at * _DIGEST : (at + 1) * _DIGEST] for at in (start, start + window)),
            ]
            for start in range(window)
        ]
        self._pieces = [
            [
                digests[at * _DIGEST : min(at + _PIECE, start + window) * _DIGEST]
                for at in range(start, start + window, _PIECE)
            ]
            for start in range(window)
        ]
        self._views = []
        for start in range(window):
            view = buffer[start : start + window].reshape(1, window, features)
            view.setflags(write=False)
            self._views.append(view)

    def push(self, row: bytes) -> None:
        """Append one row of float32, little-endian. Raises ValueError for another number of features."""
        position, window = self._position, self.window
        first, second, digest, same_digest = self._slots[position]
        first[:] = second[:] = row
        digest[:] = same_digest[:] = sha256(row).digest()
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
        whole = sha256()
        for piece in self._pieces[self._position]:
            whole.update(piece)
        return whole.hexdigest()
