"""Modules of this distribution: plain layers, which a file may ask for by name although nobody trusts it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


def mlp(inputs: int, hidden: Sequence[int], outputs: int, *, bias: bool = True) -> nn.Module:
    """The window, flattened, through Linear layers with a ReLU between each two. Tensors: `1.weight`, `3.weight`, …"""
    layers: list[nn.Module] = [nn.Flatten()]
    for size, following in pairwise([inputs, *hidden, outputs]):
        layers += [nn.Linear(size, following, bias=bias), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Demo(nn.Module):
    """The built-in models: averages over time, then signals with both signs, then buy, sell, hold."""

    def __init__(self, rows: int, features: int) -> None:
        super().__init__()
        self.averages = nn.Linear(rows, 2, bias=False)
        self.signals = nn.Linear(2 * features, 8, bias=False)
        self.scores = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[batch, rows, features]` → `[batch, 3]`."""
        averages = self.averages(x.transpose(1, 2)).transpose(1, 2)
        scores: torch.Tensor = self.scores(torch.relu(self.signals(averages.flatten(1))))
        return scores


def demo(rows: int, features: int) -> nn.Module:
    """A built-in model of that window."""
    return Demo(rows, features)


OURS = {f"{__name__}:{function.__name__}": function for function in (mlp, demo)}
"""By the name a file gives them. They need no trust: called with any arguments they make layers, and nothing else."""
