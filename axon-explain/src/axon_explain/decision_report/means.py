"""How a report comes by its explanations."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs

from axon_explain.counterfactuals import CounterfactualGenerator
from axon_explain.decision_report import explained, facts
from axon_explain.decision_report.words import number
from axon_explain.explanation import Explanation
from axon_explain.kernel_shap import KernelSHAP
from axon_explain.players import players
from axon_explain.subject import Floats, Subject
from axon_quant.inference import ModelStore

_ROUGH = 0.1
"""A standard error above this share of the largest contribution is pointed out."""


@attrs.frozen
class Why:
    """The explanations of one decision; None where there is none."""

    attribution: facts.Attribution | None = None
    heat_map: facts.HeatMap | None = None
    counterfactuals: facts.Counterfactuals | None = None


@attrs.frozen(kw_only=True, eq=False)
class Means:
    """A model and what it is explained with; `subject` is the same model, asked for its scores."""

    model: object
    subject: Subject
    background_data: object
    background_source: str | None
    shap: KernelSHAP | None
    counterfactuals: CounterfactualGenerator | None
    actions: Sequence[str] | None
    feature_names: Sequence[str] | None
    store: ModelStore | None
    budget: int | None

    def why(self, x: Floats, action: str, notes: list[str], figures: bool, table: bool, counterfactuals: bool) -> Why:
        """What is asked for; `notes` gets what a reader should know about it."""
        attribution = heat = flips = None
        if figures or table:
            shap = self.shap or self._shap(x)
            found = shap.explain(x, action)
            attribution = explained.attribution(found, self._source(found))
            notes += _cautions(attribution)
            heat = self._heat_map(shap, found) if figures else None
        if counterfactuals:
            flips = self._flips(x, notes)
        return Why(attribution, heat, flips)

    def _shap(self, x: Floats) -> KernelSHAP:
        return KernelSHAP(
            self.model,
            background_data=self.background_data,
            groups=explained.grouping(x.shape),
            budget=self.budget,
            actions=self.actions,
            feature_names=self.feature_names,
            store=self.store,
        )

    def _source(self, found: Explanation) -> str | None:
        return self.background_source if found.background_source == "constructor" else None

    def _heat_map(self, shap: KernelSHAP, found: Explanation) -> facts.HeatMap | None:
        """Cell by cell where the explanation, or the model's gradients, tell cells apart; else in blocks of time."""
        with _quiet():  # what there is to say about the background was said
            cells = explained.by_cell(found) or explained.by_gradient(shap, found, self.subject)
            cells = cells or explained.by_block(shap, found)
        if cells is None:
            return None
        names = players(found.observation.shape, "channel", self._channels(found)).names
        return explained.heat_map(cells, names, explained.rest_of(cells))

    def _channels(self, found: Explanation) -> Sequence[str] | None:
        if found.grouping == "channel":
            return found.feature_names
        names = self.feature_names or self.subject.feature_names(self.store)
        return names if names is not None and len(names) == found.observation.shape[-1] else None

    def _flips(self, x: Floats, notes: list[str]) -> facts.Counterfactuals | None:
        if len(self.subject.actions) < 2:
            notes.append("The model has one output, so there is no other decision to look for.")
            return None
        generator = self.counterfactuals or CounterfactualGenerator(
            self.model,
            background_data=self.background_data,
            actions=self.actions,
            feature_names=self.feature_names,
            store=self.store,
        )
        return explained.counterfactuals(generator.generate(x))


def _cautions(found: facts.Attribution) -> Iterator[str]:
    if found.background_source == explained.SOURCES["baseline"]:
        yield (
            "No background data was given, so every feature is compared with zero: the contributions say what it means "
            "that a feature is not zero, which need not be what is usual for it."
        )
    largest = max((abs(player.importance) for player in found.players), default=0.0)
    if found.error_estimate is not None and found.error_estimate > _ROUGH * largest > 0.0:
        error = number(found.error_estimate)
        yield f"The contributions have a standard error of {error}: smaller ones say nothing. A larger budget helps."


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
