"""The hash chain: each record's hash covers the one before it, so no record can change without all that follow."""

from __future__ import annotations

from hashlib import sha256

GENESIS = sha256(b"axon journal 1").digest()
"""The parent of every run that starts a fresh chain, whatever else is in the file."""

_PIECE = 2047  # hashlib releases the GIL from 2048 bytes on, which beside a busy thread costs up to 5 ms each time


def link(previous: bytes, sequence: int, body: bytes) -> bytes:
    """SHA-256 over `previous` (32 bytes), `sequence` (8 bytes, big-endian) and `body` (its first field: the kind)."""
    data = previous + sequence.to_bytes(8, "big") + body
    if len(data) <= _PIECE:
        return sha256(data).digest()
    digest = sha256()
    for start in range(0, len(data), _PIECE):
        digest.update(data[start : start + _PIECE])
    return digest.digest()
