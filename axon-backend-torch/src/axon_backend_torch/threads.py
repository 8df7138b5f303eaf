"""Torch's number of threads: one setting, which every model of the process has to share."""

from __future__ import annotations

import gc
import threading
import weakref

import torch

from axon_quant.errors import ModelLoadError

_lock = threading.Lock()
_claims: weakref.WeakSet[ThreadClaim] = weakref.WeakSet()


class ThreadClaim:
    """Held by a session for as long as it lives: its model runs with `count` intra-op threads."""

    __slots__ = ("__weakref__", "count", "name")

    def __init__(self, count: int, name: str) -> None:
        self.count = count
        self.name = name

    def settle_here(self) -> None:
        """Make the count that of the calling thread; torch keeps one per thread that has computed before."""
        if torch.get_num_threads() != self.count:
            torch.set_num_threads(self.count)


def claim_threads(count: int, name: str) -> ThreadClaim:
    """Claim the setting for a model. Raises ModelLoadError while another model runs with another count."""
    with _lock:
        if _other(count) is not None:
            gc.collect()  # an engine that nobody holds any more may be part of a cycle
        other = _other(count)
        if other is not None:
            raise ModelLoadError(
                f"num_threads: {name} asks for {count}, but {other.name} runs with {other.count} in this process",
                hint="torch has one setting for all models of a process: give them the same num_threads",
            )
        claim = ThreadClaim(count, name)
        _claims.add(claim)
    claim.settle_here()
    return claim


def _other(count: int) -> ThreadClaim | None:
    return next((claim for claim in _claims if claim.count != count), None)
