"""What a journal and the model stores give to explain one of its decisions: the models, and a background."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from axon_explain.decision_report.vote import RecordedVote
from axon_explain.subject import Floats
from axon_quant.errors import AxonError, ExplainError
from axon_quant.runtime.decisions import DecisionRecord, Versions, earlier_windows


@attrs.frozen(eq=False)
class Material:
    """The models as they voted (None, with the reason in `trouble`), and rows to compare with, from `source`."""

    model: RecordedVote | None
    trouble: str = ""
    background: Floats | None = None
    source: str | None = None


def material(
    journal: Path,
    record: DecisionRecord,
    versions: Versions,
    *,
    windows: int,
    strategy: str | None,
    members: Mapping[str, object] | None,
) -> Material:
    """Everything that is there. The background is the sample that a store keeps of a model behind the decision, else up
    to `windows` earlier windows of the run.
    """
    try:
        vote = RecordedVote(record, versions, strategy=strategy, members=members)
    except ExplainError as error:
        return Material(None, str(error))
    sample = _sample(record, versions)
    if sample is not None:
        return Material(vote, background=sample, source="the model store's sample")
    rows = earlier_windows(journal, record, windows)
    if len(rows) == 0:
        return Material(vote)
    return Material(vote, background=rows, source="earlier windows of the run")


def _sample(record: DecisionRecord, versions: Versions) -> Floats | None:
    """Of the first model that has one in the observation's shape."""
    for model in record.models:
        for store in versions.stores:
            try:
                stored = store.find(model.sha256)
                sample = None if stored is None else stored.background
            except AxonError:  # the models themselves were loaded; a damaged sample is none
                sample = None
            if sample is not None and sample.shape[1:] == record.observation.shape:
                return sample
    return None
