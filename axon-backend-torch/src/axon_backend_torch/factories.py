"""Where the module of a state dict comes from: code hands over a factory, or a file names one."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import torch
from msgspec import Struct

from axon_backend_torch.modules import OURS
from axon_quant.errors import ModelLoadError

Factory: TypeAlias = Callable[[], torch.nn.Module]

SETTINGS = "config.json"
"""The file beside a state dict that may name its factory."""


class NamedFactory(Struct, frozen=True):
    """A factory by its name, `"package.module:function"`, and the keyword arguments it is called with."""

    factory: str
    arguments: dict[str, Any] = {}

    @property
    def ours(self) -> bool:
        """Whether it is one of this distribution's modules."""
        return self.factory in OURS

    def resolve(self) -> Factory:
        """The function, which takes no arguments any more. Raises ModelLoadError where there is none."""
        module, _, name = self.factory.partition(":")
        try:
            found = getattr(import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise ModelLoadError(f"the factory {self.factory!r} cannot be imported: {error}") from error
        if not callable(found):
            raise ModelLoadError(f"the factory {self.factory!r} is not callable")

        def call() -> torch.nn.Module:
            made: torch.nn.Module = found(**self.arguments)
            return made

        return call


class _Settings(Struct):
    """The keys that concern this backend; others may stand beside them."""

    factory: str | None = None
    arguments: dict[str, Any] = {}


def named_beside(path: Path) -> NamedFactory | None:
    """The factory that the `config.json` in the model's folder names, if it does.

    Raises ModelLoadError for a file that cannot be read.
    """
    file = path.with_name(SETTINGS)
    try:
        settings = msgspec.json.decode(file.read_bytes(), type=_Settings)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ModelLoadError(f"the settings cannot be read: {error}", file=file) from error
    return None if settings.factory is None else NamedFactory(settings.factory, settings.arguments)


def admit(named: NamedFactory, file: Path, *, trusted: bool) -> NamedFactory:
    """Raise ModelLoadError unless a factory may be called because a file names it: it decides which code runs."""
    if not trusted and not named.ours:
        raise ModelLoadError(
            f"the factory {named.factory!r} would be imported and called because a file says so",
            file=file,
            hint="set trusted=True, or pass factory= to TorchBackend",
        )
    return named
