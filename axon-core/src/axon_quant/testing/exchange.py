"""The suite of exchanges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import cast

import pytest

from axon_quant.exchange import ExchangeAdapter
from axon_quant.exchange.simulator import Simulator
from axon_quant.plugins import ExchangeDescriptor
from axon_quant.plugins.capabilities import EXCHANGE
from axon_quant.plugins.descriptors import API
from axon_quant.testing.cases import Conformance, case, overridden
from axon_quant.testing.exchange_evidence import OrderEvidence
from axon_quant.testing.exchange_keys import Keys
from axon_quant.testing.exchange_orders import Orders
from axon_quant.testing.exchange_pace import Pace
from axon_quant.testing.exchange_queries import Queries
from axon_quant.testing.exchange_streams import Streams
from axon_quant.testing.venue import AdapterMaker, Desk, Venue

CAPABILITIES = EXCHANGE
"""Of exchanges."""


class ExchangeConformance(
    Keys,
    Orders,
    OrderEvidence,
    Streams,
    Pace,
    Queries,
    Conformance,
    supplied=("descriptor", "adapter", "simulator", "options"),
):
    """Everything axon relies on in an exchange. Subclass it in your tests as `TestYourExchange` and supply

    - `descriptor`: the ExchangeDescriptor that your plugin yields,
    - `adapter`, only if the descriptor's target cannot be imported: the ExchangeAdapter class,
    - `simulator`, only if the descriptor names none: a Simulator class, called with `faults`, `drift_ms` and `seed`,
    - `options`, only if the defaults do not fit: see `Venue`.
    """

    @pytest.fixture
    def descriptor(self) -> ExchangeDescriptor:
        """What the plugin declares. Supply it."""
        pytest.fail(f"{type(self).__name__} supplies no fixture `descriptor`", pytrace=False)

    @pytest.fixture
    def adapter(self, descriptor: ExchangeDescriptor) -> AdapterMaker:
        """The adapter's class: the descriptor's target."""
        return cast("AdapterMaker", _imported(descriptor.target))

    @pytest.fixture
    def simulator(self, descriptor: ExchangeDescriptor) -> Callable[..., Simulator]:
        """The venue on loopback: the descriptor's simulator."""
        if not descriptor.simulator:
            pytest.fail("nothing to test: the descriptor names no simulator, and none is supplied", pytrace=False)
        return cast("Callable[..., Simulator]", _imported(descriptor.simulator))

    @pytest.fixture
    def options(self) -> Mapping[str, object]:
        """What is special about the venue."""
        return {}

    @pytest.fixture
    def venue(
        self,
        descriptor: ExchangeDescriptor,
        adapter: AdapterMaker,
        simulator: Callable[..., Simulator],
        options: Mapping[str, object],
    ) -> Venue:
        """All of it together."""
        return Venue(descriptor, adapter, simulator, options)

    # What it says of itself

    @case("X-000")
    def test_x000_nothing_of_the_suite_is_overridden(self) -> None:
        """A subclass supplies fixtures; it replaces no test and no other part of the suite."""
        replaced = overridden(type(self))
        assert not replaced, f"{type(self).__name__} overrides {', '.join(replaced)}"

    @case("X-001")
    def test_x001_descriptor_and_class_agree(self, descriptor: ExchangeDescriptor, adapter: AdapterMaker) -> None:
        """The descriptor has a summary and the current api number; name and capabilities are those of the class."""
        assert isinstance(descriptor, ExchangeDescriptor)
        assert descriptor.api == API
        assert descriptor.summary
        assert isinstance(adapter, type), f"{adapter!r} is no class"
        assert issubclass(adapter, ExchangeAdapter)
        assert adapter.name == descriptor.name
        assert adapter.capabilities == descriptor.capabilities
        assert adapter.is_external, "orders leave the process"

    @case("X-002")
    def test_x002_the_instruments_are_the_venues(self, venue: Venue) -> None:
        """`instruments()` has what the venue trades, with its tick, its lot and its smallest notional, exactly."""

        async def body(desk: Desk) -> None:
            ours, theirs = (await desk.adapter.instruments())[desk.symbol], desk.instrument
            assert ours.venue == venue.descriptor.name
            for name in ("symbol", "base", "quote", "tick_size", "lot_size", "min_notional"):
                assert getattr(ours, name) == getattr(theirs, name), name

        venue.run(body)


def _imported(target: str) -> object:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
