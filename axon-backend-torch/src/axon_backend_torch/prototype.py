"""The module of a factory, made once: every version is a copy of it with other weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TypeAlias

import torch

from axon_backend_torch.script import no_deprecations
from axon_quant.errors import ModelLoadError

Factory: TypeAlias = Callable[[], torch.nn.Module]

EXECUTIONS = ("eager", "script")
"""How a module runs: as Python, or compiled to TorchScript when it is made."""


class Prototype:
    """A module in evaluation mode, as Python and, if torch can compile it, as TorchScript.

    Compiling keeps the module's control flow (unlike tracing, which freezes one path through it), and copies share the
    compiled code, so that a new version is as fast on its first call as the one before it. The compiled module
    is not frozen: torch would keep a frozen one's weights for the life of the process.
    """

    def __init__(self, factory: Factory, dtype: torch.dtype, executions: tuple[str, ...] = EXECUTIONS) -> None:
        made = factory()
        if not isinstance(made, torch.nn.Module):
            raise ModelLoadError(f"the factory must return a torch.nn.Module, found a {type(made).__name__}")
        module = copy.deepcopy(made).eval().requires_grad_(False)
        if dtype is torch.float16:
            module = module.half()
        self._modules: dict[str, torch.nn.Module] = {}
        self.refused: str | None = None
        """Why torch cannot run it compiled."""
        if "script" in executions:
            self._compile(module)
        if "eager" in executions:
            self._modules["eager"] = module
        if not self._modules:
            raise ModelLoadError(f"torch cannot compile the module: {self.refused}", hint='execution="eager" runs it')

    @property
    def executions(self) -> tuple[str, ...]:
        """What there is to choose from; `eager` first."""
        return tuple(name for name in EXECUTIONS if name in self._modules)

    def with_weights(
        self, weights: Mapping[str, torch.Tensor], execution: str, device: torch.device
    ) -> torch.nn.Module:
        """A copy with these weights. Raises ModelLoadError if one is missing, left over or of another shape."""
        module = copy.deepcopy(self._modules[execution])
        try:
            module.load_state_dict(weights)
        except RuntimeError as error:
            text = " ".join(str(error).partition("\n")[2].split())
            raise ModelLoadError(f"the weights are not those of the factory's module: {text or error}") from error
        return module.to(device)

    def drop(self, execution: str, error: Exception) -> None:
        """It does not work: remember why, and do without it."""
        self._modules.pop(execution, None)
        self.refused = f"{execution}: {str(error).strip().partition(chr(10))[0] or type(error).__name__}"

    def _compile(self, module: torch.nn.Module) -> None:
        try:
            with no_deprecations():
                self._modules["script"] = torch.jit.script(module)
        except Exception as error:  # noqa: BLE001 (whatever the compiler raises is kept, and stands in the model's plan)
            self.drop("script", error)


def resolve_factory(factory: Factory | str) -> Factory:
    """`package.module:function` → the function. Raises ModelLoadError where there is none."""
    if not isinstance(factory, str):
        return factory
    module, _, name = factory.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ModelLoadError(f"the factory {factory!r} cannot be imported: {error}") from error
    if not callable(found):
        raise ModelLoadError(f"the factory {factory!r} is not callable")
    resolved: Factory = found
    return resolved
