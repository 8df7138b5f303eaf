"""The suite of explainers: attributions, counterfactuals and reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from axon_quant.errors import AxonError
from axon_quant.plugins import Capability, ExplainerDescriptor
from axon_quant.plugins.descriptors import API
from axon_quant.testing.cases import Conformance, ask, case, overridden
from axon_quant.testing.explained import Asked, Questions, linear, normal
from axon_quant.testing.explainer_attributions import Attributions
from axon_quant.testing.explainer_counterfactuals import Counterfactuals
from axon_quant.testing.explainer_refusals import ExplainerRefusals
from axon_quant.testing.explainer_reports import Reports

CAPABILITIES = frozenset({Capability.Attribution, Capability.Counterfactuals, Capability.Reports})
"""Of explainers."""


class ExplainerConformance(
    Attributions,
    ExplainerRefusals,
    Counterfactuals,
    Reports,
    Conformance,
    supplied=("descriptor", "explainer", "options"),
):
    """Everything axon relies on in an explainer. Subclass it in your tests as `TestYourExplainer` and supply

    - `descriptor`: the ExplainerDescriptor that your plugin yields,
    - `explainer`, only if the descriptor's target cannot be imported: what is called with a model,
    - `options`, if there is more than the defaults to test: keyword arguments of the explainer.

    The models are functions of a batch, `[batch, …shape]` → `[batch, 3]`, that is buy, sell and hold.
    """

    @pytest.fixture
    def descriptor(self) -> ExplainerDescriptor:
        """What the plugin declares. Supply it."""
        pytest.fail(f"{type(self).__name__} supplies no fixture `descriptor`", pytrace=False)

    @pytest.fixture
    def explainer(self, descriptor: ExplainerDescriptor) -> Callable[..., object]:
        """What makes an explainer of a model: the descriptor's target."""
        module, _, name = descriptor.target.partition(":")
        return cast("Callable[..., object]", getattr(import_module(module), name))

    @pytest.fixture
    def options(self) -> Mapping[str, object]:
        """Keyword arguments of the explainer."""
        return {}

    @pytest.fixture
    def questions(
        self,
        descriptor: ExplainerDescriptor,
        explainer: Callable[..., object],
        options: Mapping[str, object],
        tmp_path: Path,
    ) -> Questions:
        """Explainers of one test."""
        return Questions(descriptor, explainer, options, tmp_path)

    # What it says of itself

    @case("P-000")
    def test_p000_nothing_of_the_suite_is_overridden(self) -> None:
        """A subclass supplies fixtures; it replaces no test and no other part of the suite."""
        replaced = overridden(type(self))
        assert not replaced, f"{type(self).__name__} overrides {', '.join(replaced)}"

    @case("P-001")
    def test_p001_the_descriptor_is_complete(
        self, descriptor: ExplainerDescriptor, explainer: Callable[..., object]
    ) -> None:
        """The descriptor has a summary, the current api number, and at least one capability, all of explainers."""
        assert isinstance(descriptor, ExplainerDescriptor)
        assert descriptor.api == API
        assert descriptor.summary
        assert descriptor.capabilities, "it declares nothing that could be tested"
        assert descriptor.capabilities <= CAPABILITIES
        assert callable(explainer)

    @case("P-002")
    def test_p002_an_unknown_option_is_refused(self, questions: Questions) -> None:
        """A misspelled option raises TypeError or an AxonError instead of being ignored."""
        with pytest.raises((TypeError, AxonError)):
            questions.explainer(Asked(linear(np.ones(3))), no_such_option=1)

    @case("P-003")
    @pytest.mark.parametrize("capability", sorted(CAPABILITIES))
    def test_p003_what_is_not_declared_is_refused(self, questions: Questions, capability: Capability) -> None:
        """The method of a declared capability answers; that of another one is not there, or raises UnsupportedError."""
        rows = normal(16, 3, seed=1)
        made = questions.explainer(Asked(linear(np.array([1.0, -2.0, 0.5]))), **_sampled(questions, capability, rows))
        more = {} if capability is Capability.Reports else {"background_data": rows}
        found = ask(questions.descriptor, capability, lambda: questions.call(capability, made, rows[0], **more))
        assert capability not in questions.descriptor.capabilities or found is not None


def _sampled(questions: Questions, capability: Capability, rows: object) -> dict[str, object]:
    """A reporter has its background from the start."""
    reports = capability is Capability.Reports and capability in questions.descriptor.capabilities
    return {"background_data": rows} if reports else {}
