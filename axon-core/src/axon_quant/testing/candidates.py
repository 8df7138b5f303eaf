"""What a named plugin offers to the suites, loaded the way axon itself would load it.

A plugin says how it is tested in a module `conformance` beside the module of its target (`axon_acme.conformance` for
`axon_acme.backend:AcmeBackend`), which only the suites import:

    make_model(folder, request)  a ModelMaker; required of backends
    OPTIONS                      for ensembles, optional: {name: [{option: value}, …]}, every set to run the suite with;
                                 in place of a set, a function that makes one for a number of members;
                                 for explainers likewise, keyword arguments of the explainer;
                                 for exchanges likewise {name: [{option: value}]}, of `axon_quant.testing.venue.Venue`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TypeAlias

import attrs

from axon_quant.errors import PluginError, UnsupportedError
from axon_quant.plugins import Descriptor, ExchangeDescriptor, Registry, installed
from axon_quant.plugins.discovery import Failure, Selection, canonical, sources

SUITES = ("backend", "ensemble", "exchange", "explainer")
"""Kinds of plugin that there is a suite for."""


Options: TypeAlias = "Mapping[str, object] | Callable[[int], Mapping[str, object]]"
"""Keyword arguments of an ensemble strategy or an explainer, or what makes them for a number of members."""


@attrs.frozen(eq=False)
class Candidate:
    """One thing to run a suite for: its descriptor, the object behind it and, by kind, what the suite needs."""

    descriptor: Descriptor
    target: Callable[..., object]
    options: Options = attrs.field(factory=dict)
    make_model: Callable[..., object] | None = None
    simulator: Callable[..., object] | None = None

    def __str__(self) -> str:
        if not isinstance(self.options, Mapping):
            return f"{self.descriptor.name},{getattr(self.options, '__name__', 'made')}"
        words = [self.descriptor.name, *(f"{key}={value}" for key, value in self.options.items())]
        return ",".join(words)


@attrs.frozen
class Plugin:
    """A plugin, what of it is tested, and what of it no suite covers yet."""

    name: str
    distribution: str
    version: str
    candidates: tuple[Candidate, ...]
    uncovered: tuple[Descriptor, ...]


def find(name: str, registry: Registry | None = None) -> Plugin:
    """The plugin of an entry point (`onnx`) or a distribution (`axon-backend-onnx`, `axon-core`).

    Raises PluginError if there is none, if any part of it is broken or blocked, or if there is nothing to test.
    """
    registry = installed() if registry is None else registry
    found = [source for source in sources() if not isinstance(source, Failure)]
    own = [source for source in found if canonical(name) in source.tokens]
    if not own:
        names = ", ".join(sorted(source.name for source in found))
        raise PluginError(f"no plugin is called {name!r}; there is: {names}")
    alone = Registry(Selection.from_environment(), found=own)
    trouble = [f"{row.kind} {row.name}: {row.status}: {row.reason}" for row in alone.rows() if row.status != "ok"]
    if trouble:
        raise PluginError("; ".join(trouble), plugin=name)
    offered = [d for kind in SUITES for d in alone.descriptors(kind)]
    candidates = [c for d in offered if not _cannot_be_tested(d) for c in _candidates(registry, d)]
    uncovered = tuple(filter(_cannot_be_tested, offered))
    if not candidates:
        what = ", ".join(f"{item.kind} {item.name}" for item in uncovered) or "nothing"
        raise PluginError(f"there is nothing to test: it offers {what}", plugin=name)
    return Plugin(name, own[0].distribution, own[0].version, tuple(candidates), uncovered)


def _cannot_be_tested(descriptor: Descriptor) -> bool:
    """An exchange is tested at its simulator; one without (paper, which sends nothing anywhere) is left out."""
    return isinstance(descriptor, ExchangeDescriptor) and not descriptor.simulator


def _candidates(registry: Registry, descriptor: Descriptor) -> list[Candidate]:
    target = registry.load(descriptor.kind, descriptor.name)
    if not callable(target):
        raise PluginError(f"the target of the {descriptor.kind} {descriptor.name!r} is not callable: {target!r}")
    hook = _conformance(descriptor)
    if isinstance(descriptor, ExchangeDescriptor):
        module, _, name = descriptor.simulator.partition(":")
        simulator = getattr(import_module(module), name)
        sets: Sequence[Options] = getattr(hook, "OPTIONS", {}).get(descriptor.name, ())
        return [Candidate(descriptor, target, each, simulator=simulator) for each in sets or ({},)]
    if descriptor.kind in ("ensemble", "explainer"):
        options: Sequence[Options] = getattr(hook, "OPTIONS", {}).get(descriptor.name, ())
        return [Candidate(descriptor, target, each) for each in options or ({},)]
    make_model = getattr(hook, "make_model", None)
    if make_model is None:
        raise UnsupportedError(
            f"{_module(descriptor)}.make_model is missing, so there are no models to test {descriptor.name!r} with",
            hint="see axon_quant.testing.ModelMaker",
        )
    return [Candidate(descriptor, target, make_model=make_model)]


def _module(descriptor: Descriptor) -> str:
    module = descriptor.target.partition(":")[0]
    return f"{module.rpartition('.')[0] or module}.conformance"


def _conformance(descriptor: Descriptor) -> ModuleType | None:
    name = _module(descriptor)
    try:
        there = find_spec(name) is not None
    except ModuleNotFoundError:  # the target is a lone module, which holds no other
        there = False
    return import_module(name) if there else None
