"""The simulator of a venue, where its plugin has one."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, cast

from axon_quant.errors import PluginError
from axon_quant.plugins.descriptors import ExchangeDescriptor
from axon_quant.plugins.registry import Registry, installed

if TYPE_CHECKING:
    from axon_quant.exchange.simulator import Simulator


def load_simulator(name: str, *, registry: Registry | None = None) -> Callable[..., Simulator]:
    """What makes the simulator of the exchange `name`.

    Raises PluginMissingError for a first-party venue that is not installed, and PluginError for an unknown one, one
    that is out of use, and one without a simulator.
    """
    registry = installed() if registry is None else registry
    venues = [found for found in registry.descriptors("exchange") if isinstance(found, ExchangeDescriptor)]
    venue = next((found for found in venues if found.name == name), None)
    if venue is None:
        registry.load("exchange", name)  # says whether it is absent, blocked or broken
        raise PluginError(f"the exchange {name!r} has no descriptor of an exchange", plugin=name)
    if not venue.simulator:
        names = ", ".join(found.name for found in venues if found.simulator) or "none"
        raise PluginError(f"the exchange {name!r} has no simulator; with one there is: {names}")
    module, _, attribute = venue.simulator.partition(":")
    try:
        return cast("Callable[..., Simulator]", getattr(import_module(module), attribute))
    except Exception as error:
        raise PluginError(
            f"the simulator {venue.simulator} cannot be imported: {type(error).__name__}: {error}", plugin=name
        ) from error
