"""Which plugins are there: entry points, filtered by the environment, imported one by one in isolation."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distributions, version
from time import perf_counter
from traceback import format_exception_only
from types import ModuleType
from typing import cast

from msgspec import Struct
from pluggy import PluginManager, PluginValidationError

from axon_quant.plugins import hookspecs
from axon_quant.plugins.descriptors import API, Descriptor
from axon_quant.plugins.hookspecs import HOOKS, PROJECT

CORE = "axon-core"
SLOW = 0.5
"""Seconds that a plugin may take to say what it offers before somebody should be told."""

logger = logging.getLogger("axon_quant.plugins")


def canonical(name: str) -> str:
    """The normal form of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Selection(Struct, frozen=True):
    """What the environment says about plugins.

    `blocked` and `allowed` hold distributions (`axon-acme`), entry points (`acme`) or one offer of one distribution
    (`axon-acme:name`). `allowed=None` admits every plugin; built-ins need no admission, but can be blocked.
    """

    blocked: frozenset[str] = frozenset()
    allowed: frozenset[str] | None = None
    strict: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Selection:
        """Read AXON_DISABLE_PLUGINS, AXON_LOAD_PLUGINS (comma-separated) and AXON_STRICT_PLUGINS (1 or 0)."""
        allowed = environment.get("AXON_LOAD_PLUGINS")
        return cls(
            blocked=_tokens(environment.get("AXON_DISABLE_PLUGINS", "")),
            allowed=None if allowed is None else _tokens(allowed),
            strict=environment.get("AXON_STRICT_PLUGINS", "0") not in ("", "0"),
        )


def _tokens(text: str) -> frozenset[str]:
    parts = (part.strip() for part in text.split(","))
    split = (part.partition(":") for part in parts if part)
    return frozenset(canonical(head) + colon + tail for head, colon, tail in split)


class Source(Struct, frozen=True):
    """One entry point: who ships it, and how to import its module."""

    name: str
    distribution: str
    version: str
    load: Callable[[], object]
    package: str
    """Top-level package of the plugin module; tells a missing plugin from a plugin whose own import is missing."""

    @property
    def tokens(self) -> frozenset[str]:
        """What may stand for this plugin in the environment."""
        return frozenset({canonical(self.distribution), canonical(self.name)})


class Offer(Struct, frozen=True):
    """One descriptor and who offers it."""

    source: Source
    descriptor: Descriptor
    note: str = ""
    """What somebody should know although it works."""

    @property
    def token(self) -> str:
        """What stands for this one offer in the environment."""
        return f"{canonical(self.source.distribution)}:{self.descriptor.name}"


class Failure(Struct, frozen=True):
    """Why a plugin, or part of it, is out of use."""

    source: Source
    status: str
    reason: str
    name: str


def sources() -> Iterator[Source | Failure]:
    """The core's own plugin and every entry point of the group; of two copies of a distribution the importable one."""
    try:
        own = version(CORE)
    except PackageNotFoundError:
        own = "source tree"
    yield Source(CORE, CORE, own, lambda: import_module("axon_quant.plugins.builtin"), "axon_quant")
    seen: set[str] = set()
    for distribution in distributions():
        try:
            name, found = distribution.metadata["Name"], distribution.version
            if canonical(name) in seen:
                continue
            seen.add(canonical(name))
            points = [point for point in distribution.entry_points if point.group == PROJECT]
        except Exception as error:  # noqa: BLE001 - foreign metadata may break in any way; reported as a row
            yield Failure(_unreadable(distribution), "broken", f"metadata cannot be read: {describe(error)}", "?")
            continue
        for point in points:
            yield Source(point.name, name, found, point.load, _package(point))


def _package(point: EntryPoint) -> str:
    return point.value.partition(":")[0].partition(".")[0].strip()


def _unreadable(distribution: Distribution) -> Source:
    where = str(getattr(distribution, "_path", "?"))
    return Source("?", where, "?", lambda: None, "")


def describe(error: BaseException) -> str:
    """`ValueError: text`, on one line; holds even for an exception that cannot be printed."""
    return " ".join("".join(format_exception_only(error)).split()).removeprefix("axon_quant.errors.")


class Found(Struct, frozen=True):
    """What discovery found: every source, what they offer, and what went wrong."""

    sources: list[Source]
    offers: list[Offer]
    failures: list[Failure]


def excluded(source: Source, selection: Selection) -> str | None:
    """Why the environment keeps this plugin out, or None."""
    hit = source.tokens & selection.blocked
    if hit:
        return f"AXON_DISABLE_PLUGINS names {min(hit)}"
    if selection.allowed is None or source.distribution == CORE:
        return None
    partly = any(token.startswith(f"{canonical(source.distribution)}:") for token in selection.allowed)
    return None if partly or source.tokens & selection.allowed else "AXON_LOAD_PLUGINS does not name it"


def rejected(offer: Offer, selection: Selection) -> tuple[str, str] | None:
    """Status and reason of an offer that stands on its own but may not be used, or None."""
    if offer.descriptor.api != API:
        return "wrong-api", f"written for version {offer.descriptor.api} of the hook specs; this core speaks {API}"
    if offer.token in selection.blocked:
        return "blocked", f"AXON_DISABLE_PLUGINS names {offer.token}"
    if selection.allowed is None or offer.source.distribution == CORE:
        return None
    named = {offer.token, *offer.source.tokens} & selection.allowed
    return None if named else ("blocked", "AXON_LOAD_PLUGINS does not name it")


def collect(selection: Selection, found: Iterable[Source | Failure]) -> Found:
    """Import every admitted plugin and call its hooks. Never raises: what goes wrong comes back as failures."""
    result = Found([], [], [])
    for source in found:
        if isinstance(source, Failure):
            result.failures.append(source)
            continue
        result.sources.append(source)
        reason = excluded(source, selection)
        if reason is not None:
            result.failures.append(Failure(source, "blocked", reason, source.name))
            continue
        began = perf_counter()
        with redirect_stdout(sys.stderr):  # a plugin that prints must not get into anybody's JSON
            descriptors, failures = _ask(source)
        seconds = perf_counter() - began
        note = ""
        if seconds > SLOW:
            note = f"took {seconds:.1f} s to say what it offers; a plugin module should import nothing heavy"
            logger.warning("%s %s %s", source.distribution, source.version, note)
        result.offers.extend(Offer(source, descriptor, note) for descriptor in descriptors)
        result.failures.extend(failures)
    return result


def _ask(source: Source) -> tuple[list[Descriptor], list[Failure]]:
    """The descriptors of one plugin, and what went wrong on the way to them."""
    manager = PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        module = source.load()
        if not isinstance(module, ModuleType):
            raise PluginValidationError(module, f"the entry point must name a module, not {type(module).__name__}")
        manager.register(module, name=source.name)
        callers = manager.get_hookcallers(module) or []
        unknown = sorted(caller.name for caller in callers if not caller.has_spec())
        if unknown or not callers:
            what = f"implements {', '.join(unknown)}, which is no hook" if unknown else "implements no hook"
            raise PluginValidationError(module, f"{what}; the hooks are {', '.join(HOOKS)}")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - foreign code, which may exit or skip; reported as a row
        missing = isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == source.package
        reason = f"the metadata is there, the package {source.package} is not" if missing else describe(error)
        return [], [Failure(source, "missing" if missing else "broken", reason, source.name)]
    descriptors: list[Descriptor] = []
    failures = []
    for caller in callers:
        for implementation in caller.get_hookimpls():
            try:
                values = list(cast("Iterable[object]", implementation.function()))
                descriptors += _checked(caller.name, values)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - as above
                failures.append(Failure(source, "broken", f"{caller.name}(): {describe(error)}", source.name))
    return descriptors, failures


def _checked(hook: str, values: list[object]) -> list[Descriptor]:
    expected = HOOKS[hook]
    for value in values:
        # A subclass could leave out the checks of the constructor.
        if type(value) is not expected:
            raise TypeError(f"returned {value!r}, which is no {expected.__name__}")
    return cast("list[Descriptor]", values)


def unmatched(selection: Selection, found: Found) -> Iterator[tuple[str, str]]:
    """Each token of the environment that stands for nothing, and why. A misspelt block list blocks nobody."""
    offered = {offer.token for offer in found.offers}
    silent = {canonical(failure.source.distribution) for failure in found.failures}
    sources = {token for source in found.sources for token in source.tokens}
    variables = (("AXON_DISABLE_PLUGINS", selection.blocked), ("AXON_LOAD_PLUGINS", selection.allowed or frozenset()))
    for variable, tokens in variables:
        for token in sorted(tokens - sources - offered):
            head, _, name = token.partition(":")
            if name and head in silent:
                continue  # it could not say what it offers
            close = get_close_matches(token, sorted(sources | offered), n=1)
            what = f"{head} offers no {name}" if name and head in sources else f"no installed plugin is called {head}"
            yield token, f"{variable} names it, but {what}" + (f"; did you mean {close[0]}?" if close else "")
