"""What a plugin says about each thing it provides. Strings stand for classes, so listing imports nothing."""

from __future__ import annotations

import re
from typing import ClassVar

from msgspec import Struct

from axon_quant.errors import PluginError
from axon_quant.plugins.capabilities import BACKEND, ENSEMBLE, EXCHANGE, EXPLAINER, Capability

API = 1
"""The version of the hook specs and descriptors that this core speaks."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class Descriptor(Struct, frozen=True, kw_only=True):
    """Something that a plugin provides.

    `name` is how users ask for it, unique within its kind; `target` is `"package.module:Attribute"`, imported on first
    use; `summary` is one line. `api` is the version of the hook specs the plugin was written for: state it, so that a
    later core can tell. Raises PluginError for values that cannot be used.
    """

    kind: ClassVar[str] = ""
    known: ClassVar[frozenset[Capability]] = frozenset()

    name: str
    target: str
    summary: str = ""
    capabilities: frozenset[Capability] = frozenset()
    api: int = 1

    def __post_init__(self) -> None:
        what = f"{type(self).__name__} {self.name!r}"
        if not (isinstance(self.name, str) and _NAME.fullmatch(self.name)):
            raise PluginError(f"{type(self).__name__}: name {self.name!r} is not of lower-case letters, digits, . _ -")
        if not (isinstance(self.target, str) and _TARGET.fullmatch(self.target)):
            raise PluginError(f"{what}: target {self.target!r} is not 'module:Attribute'")
        if type(self.api) is not int:
            raise PluginError(f"{what}: api {self.api!r} is not an integer")
        if not isinstance(self.capabilities, frozenset):
            raise PluginError(f"{what}: capabilities {self.capabilities!r} is not a frozenset")
        strangers = [item for item in self.capabilities if not (isinstance(item, Capability) and item in self.known)]
        if strangers:
            names = ", ".join(sorted(repr(str(item)) for item in strangers))
            raise PluginError(f"{what}: {names} is not a Capability of {self.kind} plugins that this core knows")


class BackendDescriptor(Descriptor, frozen=True, kw_only=True):
    """An inference backend. `target` is a `Backend` class, called with a ModelConfig.

    `suffixes` are the file names it reads, dot included; `devices` the kinds it can use (`"cpu"`, `"cuda"`).
    """

    kind: ClassVar[str] = "backend"
    known: ClassVar[frozenset[Capability]] = BACKEND

    suffixes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu",)


class ExchangeDescriptor(Descriptor, frozen=True, kw_only=True):
    """An exchange. `target` is an `ExchangeAdapter` class, called with an ExchangeConfig.

    `simulator`, where there is one, is a `Simulator` class of the venue's wire protocol, in the same form as `target`.
    """

    kind: ClassVar[str] = "exchange"
    known: ClassVar[frozenset[Capability]] = EXCHANGE

    simulator: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.simulator and not (isinstance(self.simulator, str) and _TARGET.fullmatch(self.simulator)):
            raise PluginError(f"exchange {self.name!r}: simulator {self.simulator!r} is not 'module:Attribute'")


class ExplainerDescriptor(Descriptor, frozen=True, kw_only=True):
    """An explainer. `target` is a class, called with the model."""

    kind: ClassVar[str] = "explainer"
    known: ClassVar[frozenset[Capability]] = EXPLAINER


class EnsembleDescriptor(Descriptor, frozen=True, kw_only=True):
    """An ensemble strategy. `target` makes a `WeightingRule`: `target(initial, window, **options)`."""

    kind: ClassVar[str] = "ensemble"
    known: ClassVar[frozenset[Capability]] = ENSEMBLE
