"""The module of a factory, made once: every version is a copy of it with other weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TypeAlias

import torch

from axon_backend_torch.factories import Factory, NamedFactory
from axon_backend_torch.script import no_deprecations
from axon_backend_torch.shell import Shell
from axon_quant.errors import ModelLoadError

Source: TypeAlias = Factory | NamedFactory
Tensors: TypeAlias = Mapping[str, torch.Tensor]

EXECUTIONS = ("eager", "script")
"""How a module runs: as Python, or compiled to TorchScript when it is made."""


class Prototype:
    """A module in evaluation mode without its weights, as Python and, if torch can compile it, as TorchScript.

    Compiling keeps the module's control flow (unlike tracing, which freezes one path through it), and copies share the
    compiled code, so that a new version is as fast on its first call as the one before it. The compiled module
    is not frozen: torch would keep a frozen one's weights for the life of the process.
    """

    def __init__(
        self,
        source: Source,
        weights: Tensors,
        dtype: torch.dtype,
        executions: tuple[str, ...],
        *,
        refused: str | None = None,
    ) -> None:
        self.source = source
        self.refused = refused
        """Why torch cannot run it compiled."""
        self._modules: dict[str, torch.nn.Module] = {}
        module = make_module(source, weights, dtype)
        if "script" in executions:
            self._compile(module)
        if "eager" in executions:
            self._modules["eager"] = module
        if not self._modules:
            raise ModelLoadError(f"torch cannot compile the module: {self.refused}", hint='execution="eager" runs it')
        self._names = frozenset(module.state_dict())
        self._shell = Shell.of(module)
        for made in self._modules.values():
            self._shell.empty(made)

    @property
    def executions(self) -> tuple[str, ...]:
        """What there is to choose from; `eager` first."""
        return tuple(name for name in EXECUTIONS if name in self._modules)

    def with_weights(self, weights: Tensors, execution: str, device: torch.device) -> torch.nn.Module:
        """A copy with these weights. Raises ModelLoadError if one is missing, left over or of another shape."""
        module = copy.deepcopy(self._modules[execution])
        self._shell.fill(module)
        # Compiling forgets which buffers no file holds: the module's own values stand for them.
        own = {name: tensor for name, tensor in module.state_dict().items() if name not in self._names}
        if both := own.keys() & weights.keys():
            raise ModelLoadError(f"the weights are not those of the factory's module: unexpected {', '.join(both)}")
        load_weights(module, {**own, **weights})
        return module.to(device)

    def drop(self, execution: str, error: Exception) -> None:
        """It does not work: remember why, and do without it."""
        self._modules.pop(execution, None)
        self.refused = f"{execution}: {str(error).strip().partition(chr(10))[0] or type(error).__name__}"

    def keep(self, execution: str) -> None:
        """This one was chosen, for all versions."""
        self._modules = {execution: self._modules[execution]}

    def _compile(self, module: torch.nn.Module) -> None:
        try:
            with no_deprecations():
                self._modules["script"] = torch.jit.script(module)
        except Exception as error:  # noqa: BLE001 (whatever the compiler raises is kept, and stands in the model's plan)
            self.drop("script", error)


def make_module(source: Source, weights: Tensors, dtype: torch.dtype) -> torch.nn.Module:
    """The factory's module in evaluation mode and in `dtype`; its weights are yet to be loaded.

    Raises ModelLoadError for a factory that cannot be found or returns something else, or ours with other sizes than
    those of `weights`.
    """
    if isinstance(source, NamedFactory) and source.ours:
        with torch.device("meta"):  # a file could ask for more memory than there is
            made = source.resolve()()
        load_weights(made, weights, assign=True)
        made = made.float()  # the file's own precision is no matter: weights are converted when they are copied
    else:
        made = source.resolve()() if isinstance(source, NamedFactory) else source()
    if not isinstance(made, torch.nn.Module):
        raise ModelLoadError(f"the factory must return a torch.nn.Module, found a {type(made).__name__}")
    module = copy.deepcopy(made).eval().requires_grad_(False)
    return module.half() if dtype is torch.float16 else module


def load_weights(module: torch.nn.Module, weights: Tensors, *, assign: bool = False) -> None:
    """Copy weights into a module, or let it take them. Raises ModelLoadError if they are not those of the module."""
    try:
        module.load_state_dict(weights, assign=assign)
    except RuntimeError as error:
        text = " ".join(str(error).partition("\n")[2].split())
        raise ModelLoadError(f"the weights are not those of the factory's module: {text or error}") from error
