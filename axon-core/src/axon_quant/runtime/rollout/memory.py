"""What outlives a live run: how far its rollout got, so that a model that was rolled back is not tried again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from axon_quant.errors import ConfigError
from axon_quant.events import RolloutChanged
from axon_quant.inference.files import write_whole

logger = logging.getLogger("axon_quant.rollout")


class LabelStore(Protocol):
    """Where the label of a model is moved to the version that was promoted: the model store."""

    def promote(self, name: str, sha256: str, /) -> object:
        """Let `name` mean the version of these bytes from now on."""
        ...


class Remembered(Struct, frozen=True):
    """Where the rollout of one candidate for one model stood last."""

    model: str
    candidate: str
    state: str
    share: float
    held: bool
    reason: str


class Memory:
    """Keeps the state of a rollout in a small file, and moves the label of a promoted model.

    Without a `path` nothing is kept and without `labels` nothing is moved, as in a replay. Both happen in a thread of
    their own, one after the other; a failure is logged and costs nothing else.
    """

    def __init__(self, path: Path | None = None, labels: LabelStore | None = None) -> None:
        self._path = path
        self._labels = labels
        self._worker: ThreadPoolExecutor | None = None

    def recall(self, model: str, candidate: str) -> Remembered | None:
        """What is known of this candidate for this model. Raises ConfigError for a file that cannot be understood."""
        if self._path is None:
            return None
        try:
            known = msgspec.json.decode(self._path.read_bytes(), type=Remembered)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise ConfigError(
                f"how far the rollout got cannot be read: {error}",
                file=self._path,
                hint="delete the file to begin the rollout anew",
            ) from error
        return known if (known.model, known.candidate) == (model, candidate) else None

    def remember(self, event: RolloutChanged, *, held: bool) -> None:
        """Keep where the rollout stands now."""
        path = self._path
        if path is None:
            return
        known = Remembered(event.model, event.candidate.sha256, event.state, event.share, held, event.reason)
        self._later("keep the state of the rollout", lambda: write_whole(path, msgspec.json.encode(known) + b"\n"))

    def label(self, model: str, sha256: str) -> None:
        """Move the label of `model` to the version of these bytes."""
        labels = self._labels
        if labels is not None:
            self._later(f"move the label of {model}", lambda: labels.promote(model, sha256))

    def close(self) -> None:
        """Return when everything is done."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.shutdown()

    def _later(self, what: str, act: Callable[[], object]) -> None:
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="axon-rollout")

        def report(done: Future[object]) -> None:
            error = done.exception()
            if error is not None:
                logger.error("could not %s: %s", what, error)

        self._worker.submit(act).add_done_callback(report)


def memory_file(journal: Path) -> Path:
    """Beside the journal of the run."""
    return journal.with_name(journal.name + ".rollout.json")
