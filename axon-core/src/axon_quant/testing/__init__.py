"""The conformance suites that a plugin's author runs: one class per kind. Needs the extra `testing`.

    from axon_quant.testing import BackendConformance

    class TestAcme(BackendConformance):
        @pytest.fixture
        def descriptor(self): ...
        @pytest.fixture
        def make_model(self): ...

Simulated venues: `simulated` and `simulated_process` are context managers, and `simulate` is a fixture for a
conftest.py (`from axon_quant.testing import simulate`), after which adapters find the simulator by themselves:

    def test_my_strategy(simulate):
        venue = simulate("binance", {"kind": "lose-response", "where": "request:order.place", "probability": 0.1})
        ...
        orders = venue.truth()["accounts"]["main"]["orders"]

Importing this package imports neither pytest nor hypothesis; its names do.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from axon_quant.testing.backend import BackendConformance
    from axon_quant.testing.ensemble import EnsembleConformance
    from axon_quant.testing.exchange import ExchangeConformance
    from axon_quant.testing.explainer import ExplainerConformance
    from axon_quant.testing.models import Mlp, ModelMaker, ModelRequest, ReferenceModel
    from axon_quant.testing.simulators import Simulate, SimulatedVenue, simulate, simulated, simulated_process
else:
    _MODELS = ("Mlp", "ModelMaker", "ModelRequest", "ReferenceModel")
    _ASSERTING = "answers backend batches committee ensemble lifecycle refusals swaps workbench venue exchange "
    _ASSERTING += "exchange_evidence exchange_keys exchange_orders exchange_pace exchange_queries exchange_streams "
    _ASSERTING += "explained explainer explainer_attributions explainer_counterfactuals explainer_refusals"
    _WITH_ASSERTS = [f"{__name__}.{name}" for name in _ASSERTING.split()]
    _SUITES = {"BackendConformance": "backend", "EnsembleConformance": "ensemble", "ExchangeConformance": "exchange"}
    _SUITES |= {"ExplainerConformance": "explainer"}
    _HOMES = {**_SUITES, **dict.fromkeys(_MODELS, "models")}
    _SIMULATORS = ("Simulate", "SimulatedVenue", "simulate", "simulated", "simulated_process")
    _HOMES |= dict.fromkeys(_SIMULATORS, "simulators")

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name not in (*_MODELS, *_SIMULATORS):
            import pytest

            pytest.register_assert_rewrite(*_WITH_ASSERTS)  # a failed assert then shows its values
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


__all__ = [
    "BackendConformance",
    "EnsembleConformance",
    "ExchangeConformance",
    "ExplainerConformance",
    "Mlp",
    "ModelMaker",
    "ModelRequest",
    "ReferenceModel",
    "Simulate",
    "SimulatedVenue",
    "simulate",
    "simulated",
    "simulated_process",
]
