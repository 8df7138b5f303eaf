"""What a model was trained on: the names of the features, their order and how they were normalised."""

from __future__ import annotations

import hashlib

import attrs
import msgspec

from axon_quant.errors import SchemaMismatchError


@attrs.frozen
class FeatureSchema:
    """Names, order and normaliser of the features of one row, and how rows follow one another.

    Two schemas are the same when their `sha256` is; a model trained on another one is refused.
    """

    name: str
    features: tuple[str, ...]
    normaliser: str
    interval_ms: int
    window: int
    sha256: str = attrs.field(init=False)

    @sha256.default
    def _hash(self) -> str:
        content = [self.name, self.features, self.normaliser, self.interval_ms, self.window]
        return hashlib.sha256(msgspec.json.encode(content)).hexdigest()

    @property
    def shape(self) -> tuple[int, int, int]:
        """`[1, window, features]`, what a model is given."""
        return (1, self.window, len(self.features))

    def require(self, shape: tuple[int, ...], *, model: str, sha256: str | None = None) -> None:
        """Raise SchemaMismatchError when a model does not take this observation.

        `shape` is what it takes (-1: any size); `sha256` is of the schema it was trained on, None where it is silent.
        """
        fits = len(shape) == 3 and all(have in (-1, want) for have, want in zip(shape, self.shape, strict=True))
        if not fits:
            raise SchemaMismatchError(
                f"model {model} takes {list(shape)}, the observation is {list(self.shape)}",
                hint="change [observation] window or features, or give a model trained on them",
            )
        if sha256 is not None and sha256 != self.sha256:
            raise SchemaMismatchError(
                f"model {model} was trained on the schema {sha256[:12]}…, the observation has {self.sha256[:12]}…",
                hint="names, order, normaliser, interval and window must all agree",
            )
