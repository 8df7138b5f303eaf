"""The suites for an installed plugin. Run it with

pytest -p axon_quant.testing.pytest_plugin --pyargs axon_quant.testing.suite --axon-plugin NAME
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import pytest

from axon_quant.ensemble import WeightingRule
from axon_quant.exchange.simulator import Simulator
from axon_quant.inference.backend import Backend
from axon_quant.inference.config import ModelConfig
from axon_quant.plugins import BackendDescriptor, EnsembleDescriptor, ExchangeDescriptor, ExplainerDescriptor
from axon_quant.testing import (
    BackendConformance,
    EnsembleConformance,
    ExchangeConformance,
    ExplainerConformance,
    ModelMaker,
)
from axon_quant.testing.candidates import Candidate, Options
from axon_quant.testing.pytest_plugin import PLUGIN
from axon_quant.testing.venue import AdapterMaker


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One run of a suite for each thing of its kind that the plugin offers."""
    plugin = metafunc.config.stash.get(PLUGIN, None)
    if plugin is None:
        raise pytest.UsageError("nothing to test: run with -p axon_quant.testing.pytest_plugin --axon-plugin NAME")
    kind = getattr(metafunc.cls, "kind", None)
    if "candidate" in metafunc.fixturenames:
        own = [candidate for candidate in plugin.candidates if candidate.descriptor.kind == kind]
        if not own:
            raise pytest.UsageError(f"nothing to test: {plugin.name} offers no {kind}")
        metafunc.parametrize("candidate", own, indirect=True, ids=str, scope="class")


@pytest.fixture(scope="class")
def candidate(request: pytest.FixtureRequest) -> Candidate:
    """What is tested now."""
    return cast("Candidate", request.param)


class TestBackend(BackendConformance):
    """Every backend of the plugin."""

    kind = "backend"

    @pytest.fixture
    def descriptor(self, candidate: Candidate) -> BackendDescriptor:
        """Its descriptor."""
        return cast("BackendDescriptor", candidate.descriptor)

    @pytest.fixture
    def backend(self, candidate: Candidate) -> Callable[[ModelConfig], Backend]:
        """Its class, as the registry loaded it."""
        return cast("Callable[[ModelConfig], Backend]", candidate.target)

    @pytest.fixture
    def make_model(self, candidate: Candidate) -> ModelMaker:
        """From the plugin's module `conformance`."""
        return cast("ModelMaker", candidate.make_model)


class TestEnsemble(EnsembleConformance):
    """Every ensemble strategy of the plugin."""

    kind = "ensemble"

    @pytest.fixture
    def descriptor(self, candidate: Candidate) -> EnsembleDescriptor:
        """Its descriptor."""
        return cast("EnsembleDescriptor", candidate.descriptor)

    @pytest.fixture
    def rule(self, candidate: Candidate) -> Callable[..., WeightingRule]:
        """What makes it, as the registry loaded it."""
        return cast("Callable[..., WeightingRule]", candidate.target)

    @pytest.fixture
    def options(self, candidate: Candidate) -> Options:
        """One of the sets in the plugin's module `conformance`."""
        return candidate.options


class TestExplainer(ExplainerConformance):
    """Every explainer of the plugin."""

    kind = "explainer"

    @pytest.fixture
    def descriptor(self, candidate: Candidate) -> ExplainerDescriptor:
        """Its descriptor."""
        return cast("ExplainerDescriptor", candidate.descriptor)

    @pytest.fixture
    def explainer(self, candidate: Candidate) -> Callable[..., object]:
        """Its class, as the registry loaded it."""
        return candidate.target

    @pytest.fixture
    def options(self, candidate: Candidate) -> Mapping[str, object]:
        """One of the sets in the plugin's module `conformance`."""
        return cast("Mapping[str, object]", candidate.options)


class TestExchange(ExchangeConformance):
    """Every exchange of the plugin that names a simulator."""

    kind = "exchange"

    @pytest.fixture
    def descriptor(self, candidate: Candidate) -> ExchangeDescriptor:
        """Its descriptor."""
        return cast("ExchangeDescriptor", candidate.descriptor)

    @pytest.fixture
    def adapter(self, candidate: Candidate) -> AdapterMaker:
        """Its class, as the registry loaded it."""
        return cast("AdapterMaker", candidate.target)

    @pytest.fixture
    def simulator(self, candidate: Candidate) -> Callable[..., Simulator]:
        """The one that the descriptor names."""
        return cast("Callable[..., Simulator]", candidate.simulator)

    @pytest.fixture
    def options(self, candidate: Candidate) -> Mapping[str, object]:
        """From the plugin's module `conformance`."""
        return cast("Mapping[str, object]", candidate.options)
