"""The registry: every plugin with its status, and the objects behind the usable ones.

Nothing is imported until a name of some kind is asked for. A plugin that is broken, blocked, duplicated or written for
another version of the hook specs is reported and never replaced by another: adapters hold API keys.
"""

from __future__ import annotations

import difflib
import functools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from axon_quant.errors import PluginError, PluginMissingError
from axon_quant.plugins import first_party
from axon_quant.plugins.descriptors import Descriptor
from axon_quant.plugins.discovery import (
    Failure,
    Offer,
    Selection,
    Source,
    canonical,
    collect,
    describe,
    rejected,
    sources,
    unmatched,
)

if TYPE_CHECKING:
    from axon_quant.ensemble import WeightingRule
    from axon_quant.exchange import ExchangeAdapter
    from axon_quant.inference import Backend


class PluginRow(Struct, frozen=True):
    """One line of `axon plugins`.

    `kind` is backend, exchange, explainer or ensemble, or `plugin` where a whole plugin failed before it could say.
    `status` is ok, broken, missing (metadata without its package), duplicate, blocked, wrong-api, or unmatched for a
    name in AXON_DISABLE_PLUGINS or AXON_LOAD_PLUGINS that stands for no plugin. `reason` says why; when it is ok there
    is one only if somebody should know something all the same.
    """

    kind: str
    name: str
    distribution: str
    version: str
    status: str
    capabilities: tuple[str, ...]
    reason: str


class Registry:
    """All plugins of this process, discovered once, on first use.

    `selection` defaults to what the environment says, `found` to the installed entry points. In strict mode any plugin
    that is broken, missing, duplicate or written for another version, and any unmatched name, makes every load raise.
    """

    def __init__(self, selection: Selection | None = None, found: Iterable[Source | Failure] | None = None) -> None:
        self._selection = Selection.from_environment() if selection is None else selection
        self._found = found
        self._lock = threading.Lock()
        self._rows: tuple[PluginRow, ...] | None = None
        self._usable: dict[tuple[str, str], Offer] = {}
        self._loaded: dict[tuple[str, str], object] = {}

    def rows(self) -> tuple[PluginRow, ...]:
        """Every plugin with its status, sorted by kind and name. Never raises."""
        with self._lock:
            if self._rows is None:
                self._rows = self._discover()
            return self._rows

    def failures(self) -> tuple[PluginRow, ...]:
        """The rows that somebody should repair: all but ok and blocked."""
        return tuple(row for row in self.rows() if row.status not in ("ok", "blocked"))

    @property
    def strict(self) -> bool:
        """Whether any failure is fatal."""
        return self._selection.strict

    def descriptors(self, kind: str) -> tuple[Descriptor, ...]:
        """The usable descriptors of a kind, sorted by name."""
        self.rows()
        return tuple(offer.descriptor for (k, _), offer in sorted(self._usable.items()) if k == kind)

    def load(self, kind: str, name: str, *, distribution: str | None = None) -> object:
        """Import what stands behind a name. With `distribution`, only what that one provides will do.

        Raises PluginMissingError (an ImportError) for a first-party name that is not installed, and PluginError for an
        unknown name or a plugin that cannot be used, with distribution, version and reason.
        """
        offer = self._offer(kind, name, distribution)
        key = (kind, name)
        if key not in self._loaded:
            self._loaded[key] = _target(offer)
        return self._loaded[key]

    def check(self, kind: str, name: str) -> None:
        """Raise as `load` for a name that nothing usable provides, without importing what is behind it."""
        self._offer(kind, name, None)

    def _offer(self, kind: str, name: str, distribution: str | None) -> Offer:
        self.rows()
        if self.strict and self.failures():
            lines = "; ".join(_line(row) for row in self.failures())
            raise PluginError(f"AXON_STRICT_PLUGINS is set and these plugins cannot be used: {lines}")
        offer = self._usable.get((kind, name))
        if offer is None or distribution not in (None, canonical(offer.source.distribution)):
            raise self._absent(kind, name)
        return offer

    def _discover(self) -> tuple[PluginRow, ...]:
        found = collect(self._selection, sources() if self._found is None else self._found)
        rows = [_plugin_row(failure.source, failure.status, failure.reason) for failure in found.failures]
        rows += [
            PluginRow("plugin", token, "", "", "unmatched", (), reason)
            for token, reason in unmatched(self._selection, found)
        ]
        heard = {id(offer.source) for offer in found.offers} | {id(failure.source) for failure in found.failures}
        rows += [_plugin_row(source, "ok", "offers nothing") for source in found.sources if id(source) not in heard]
        candidates: dict[tuple[str, str], list[Offer]] = defaultdict(list)
        for offer in found.offers:
            verdict = rejected(offer, self._selection)
            if verdict is None:
                candidates[offer.descriptor.kind, offer.descriptor.name].append(offer)
            else:
                rows.append(_row(offer, *verdict))
        for key, rivals in candidates.items():
            if len(rivals) == 1:
                self._usable[key] = rivals[0]
                rows.append(_row(rivals[0], "ok", rivals[0].note))
            else:
                rows += [_row(offer, "duplicate", _duplicate_reason(rivals)) for offer in rivals]
        return tuple(sorted(rows, key=lambda row: (row.kind, row.name, row.distribution)))

    def _absent(self, kind: str, name: str) -> PluginError:
        own = first_party.find(kind, name)
        rows = [row for row in self.rows() if row.status != "ok"]
        suspects = [row for row in rows if (row.kind, row.name) == (kind, name)]
        if not suspects and own is not None:
            suspects = [row for row in rows if canonical(row.distribution) == own.distribution]
        if suspects and all(row.status == "missing" for row in suspects) and own is not None:
            return first_party.missing(own)
        if suspects:
            return PluginError(f"the {kind} {name!r} cannot be used: " + "; ".join(_line(row) for row in suspects))
        if own is not None:
            return first_party.missing(own)
        names = [descriptor.name for descriptor in self.descriptors(kind)]
        close = difflib.get_close_matches(name, names, n=1)
        text = f"no plugin provides the {kind} {name!r}; there is: {', '.join(names) or 'none'}"
        silent = [row for row in rows if row.kind == "plugin"]
        if silent:  # one of them may be the provider: it failed before it could say what it offers
            text += "; out of use: " + "; ".join(_line(row) for row in silent)
        return PluginError(text, hint=f"did you mean {close[0]!r}?" if close else "see axon plugins")


def _plugin_row(source: Source, status: str, reason: str) -> PluginRow:
    return PluginRow("plugin", source.name, source.distribution, source.version, status, (), reason)


def _row(offer: Offer, status: str, reason: str) -> PluginRow:
    descriptor, source = offer.descriptor, offer.source
    capabilities = tuple(sorted(capability.value for capability in descriptor.capabilities))
    return PluginRow(
        descriptor.kind, descriptor.name, source.distribution, source.version, status, capabilities, reason
    )


def _line(row: PluginRow) -> str:
    return f"{' '.join(filter(None, (row.distribution, row.version))) or row.name} ({row.status}): {row.reason}"


def _duplicate_reason(rivals: list[Offer]) -> str:
    providers = sorted(f"{offer.source.distribution} {offer.source.version}" for offer in rivals)
    tokens = sorted({offer.token for offer in rivals})
    if len(tokens) < len(rivals):
        return f"provided by {' and '.join(providers)}; one distribution may offer a name once"
    return f"provided by {' and '.join(providers)}; block one: AXON_DISABLE_PLUGINS={tokens[-1]}"


def _target(offer: Offer) -> object:
    source, descriptor = offer.source, offer.descriptor
    where = f"{source.distribution} {source.version}"
    module, _, attribute = descriptor.target.partition(":")
    own = first_party.find(descriptor.kind, descriptor.name)
    hint = None if own is None else f'pip install "{own.requirement}"'
    try:
        return getattr(import_module(module), attribute)
    except PluginMissingError:
        raise  # a plugin's own, better message
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"the {descriptor.kind} {descriptor.name!r} is installed, but {descriptor.target} cannot be imported: "
            f"{describe(error)}",
            plugin=where,
            hint=hint,
        ) from error


@functools.cache
def installed() -> Registry:
    """The registry of this process."""
    return Registry()


def _load(kind: str, name: str) -> object:
    target = installed().load(kind, name)
    if not callable(target):
        raise PluginError(f"the target of the {kind} {name!r} is not callable: {target!r}")
    return target


def load_backend(name: str) -> type[Backend]:
    """The `Backend` class of that name. Raises as `Registry.load`."""
    return cast("type[Backend]", _load("backend", name))


def load_exchange(name: str) -> type[ExchangeAdapter]:
    """The `ExchangeAdapter` class of that name. Raises as `Registry.load`."""
    return cast("type[ExchangeAdapter]", _load("exchange", name))


def load_explainer(name: str) -> Callable[..., object]:
    """The explainer class of that name. Raises as `Registry.load`."""
    return cast("Callable[..., object]", _load("explainer", name))


def load_ensemble(name: str) -> Callable[..., WeightingRule]:
    """The maker of `WeightingRule` of that name. Raises as `Registry.load`."""
    return cast("Callable[..., WeightingRule]", _load("ensemble", name))
