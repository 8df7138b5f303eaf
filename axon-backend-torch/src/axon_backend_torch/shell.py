"""A module without its weights: copying one costs next to nothing, however large it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Self

import attrs
import torch


@attrs.frozen
class Shell:
    """The sizes of the tensors that a module is emptied of.

    A deep copy of a module holds the interpreter's lock while it copies weights, 46 ms for 64 MB, which every caller in
    the process waits for; giving an emptied copy new memory and copying weights into that does not. Tensors keep
    their identity on the way, so that tied weights stay tied, and what a compiled module refers to stays its own.
    """

    sizes: Mapping[str, tuple[tuple[int, ...], torch.dtype]]

    @classmethod
    def of(cls, module: torch.nn.Module) -> Self:
        """Those of the state dict's tensors that share no memory with another one."""
        tensors = module.state_dict(keep_vars=True)
        distinct = {id(tensor): tensor for tensor in tensors.values() if isinstance(tensor, torch.Tensor)}
        users = Counter(tensor.untyped_storage().data_ptr() for tensor in distinct.values())
        return cls(
            {
                name: (tuple(tensor.shape), tensor.dtype)
                for name, tensor in tensors.items()
                if id(tensor) in distinct
                and tensor.is_contiguous()
                and users[tensor.untyped_storage().data_ptr()] == 1
                and tensor.untyped_storage().nbytes() == tensor.nbytes
            }
        )

    def empty(self, module: torch.nn.Module) -> None:
        """Take the tensors' memory away."""
        for name, tensor in module.state_dict(keep_vars=True).items():
            if name in self.sizes:
                tensor.data = torch.empty(0, dtype=tensor.dtype)

    def fill(self, module: torch.nn.Module) -> None:
        """Give the tensors memory of their own, whose content is yet to be written."""
        for name, tensor in module.state_dict(keep_vars=True).items():
            if name in self.sizes:
                shape, dtype = self.sizes[name]
                tensor.data = torch.empty(shape, dtype=dtype)
