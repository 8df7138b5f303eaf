"""What a model file says about itself, beside its weights."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from axon_backend_torch.factories import NamedFactory
from axon_quant.errors import ModelLoadError

MEMBER = "axon.json"
"""The extra file of a TorchScript, torch.export or AOTInductor archive that holds the metadata."""


class Metadata(Struct, frozen=True, forbid_unknown_fields=True):
    """All of it optional; `input_shape` is `(batch, …window)` with None (null) for an open dimension."""

    input_shape: tuple[Annotated[int, Meta(ge=1)] | None, ...] | None = None
    output_dim: Annotated[int, Meta(ge=1)] | None = None
    actions: Annotated[tuple[str, ...], Meta(min_length=1)] | None = None
    schema_sha256: str | None = None

    @classmethod
    def in_archive(cls, path: Path) -> Metadata:
        """From the extra file `axon.json` of an archive, if it has one.

        Raises ModelLoadError with the key that is wrong.
        """
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(f"extra/{MEMBER}")]
            if not names:
                return cls()
            try:
                return msgspec.json.decode(archive.read(names[0]), type=cls)
            except msgspec.DecodeError as error:
                raise ModelLoadError(f"{MEMBER}: {error}") from error

    @classmethod
    def in_strings(cls, values: dict[str, str]) -> Metadata:
        """From the `axon.actions` and `axon.schema_sha256` of a safetensors file, written as in an ONNX file."""
        names = values.get("axon.actions")
        return cls(actions=tuple(names.split(",")) if names else None, schema_sha256=values.get("axon.schema_sha256"))


class CheckpointMetadata(Metadata, frozen=True):
    """What a checkpoint holds as `axon`: also the factory of its module, with keyword arguments."""

    factory: str | None = None
    arguments: dict[str, Any] = {}

    @classmethod
    def parse(cls, values: object) -> CheckpointMetadata:
        """Raises ModelLoadError with the key that is wrong."""
        try:
            return msgspec.convert(values, cls)
        except msgspec.ValidationError as error:
            raise ModelLoadError(f"axon: {error}") from error

    @property
    def named(self) -> NamedFactory | None:
        """The factory that it names, if it does."""
        return None if self.factory is None else NamedFactory(self.factory, self.arguments)
