"""What one model said about one observation, and how two of them differ."""

from __future__ import annotations

from collections.abc import Sequence

from axon_quant.inference.scores import choose, probabilities

_SIGNS = {"buy": 1, "sell": -1}


class Decoder:
    """From raw scores to a choice, for models that name their outputs alike."""

    def __init__(self, actions: Sequence[str]) -> None:
        self._hold = actions.index("hold") if "hold" in actions else None
        self._signs = tuple(_SIGNS.get(name, 0) for name in actions)

    def choice(self, scores: Sequence[float]) -> Choice:
        """The action of the highest score, and the shares of all."""
        shares = probabilities(scores)
        index = choose(shares, self._hold)
        return Choice(index, self._signs[index], shares)


class Choice:
    """`index` of an action, its `sign` (+1 buy, -1 sell, 0 any other), and the `shares` of all actions."""

    __slots__ = ("index", "shares", "sign")

    def __init__(self, index: int, sign: int, shares: Sequence[float]) -> None:
        self.index = index
        self.sign = sign
        self.shares = shares

    @property
    def confidence(self) -> float:
        """The share of the chosen action."""
        return self.shares[self.index]

    def distance(self, other: Choice) -> float:
        """Total variation between the shares of two choices: 0 for equal ones, 1 for certainty of different actions."""
        return 0.5 * sum(abs(own - theirs) for own, theirs in zip(self.shares, other.shares, strict=True))
