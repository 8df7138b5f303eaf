"""Plugins: how distributions announce what they provide, and how it is found. Importing this package is cheap."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from axon_quant.plugins.capabilities import Capability
    from axon_quant.plugins.descriptors import (
        BackendDescriptor,
        Descriptor,
        EnsembleDescriptor,
        ExchangeDescriptor,
        ExplainerDescriptor,
    )
    from axon_quant.plugins.first_party import resolve
    from axon_quant.plugins.hookspecs import hookimpl
    from axon_quant.plugins.registry import (
        PluginRow,
        Registry,
        installed,
        load_backend,
        load_ensemble,
        load_exchange,
        load_explainer,
    )
    from axon_quant.plugins.simulators import load_simulator
    from axon_quant.plugins.suffixes import backend_for

__all__ = [
    "BackendDescriptor",
    "Capability",
    "Descriptor",
    "EnsembleDescriptor",
    "ExchangeDescriptor",
    "ExplainerDescriptor",
    "PluginRow",
    "Registry",
    "backend_for",
    "hookimpl",
    "installed",
    "load_backend",
    "load_ensemble",
    "load_exchange",
    "load_explainer",
    "load_simulator",
    "resolve",
]

if not TYPE_CHECKING:
    _HOMES = {
        "Capability": "capabilities",
        "hookimpl": "hookspecs",
        "resolve": "first_party",
        "backend_for": "suffixes",
        "load_simulator": "simulators",
    }
    _HOMES |= dict.fromkeys(("PluginRow", "Registry", "installed"), "registry")
    _HOMES |= dict.fromkeys(("load_backend", "load_ensemble", "load_exchange", "load_explainer"), "registry")

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'descriptors')}"), name)
        globals()[name] = value
        return value
