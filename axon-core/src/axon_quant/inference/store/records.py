"""One version in the store: its files, and what is recorded beside them."""

from __future__ import annotations

import io
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import attrs
import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from axon_quant.errors import ModelCheckError, ModelLoadError
from axon_quant.inference.arrays import read_arrays
from axon_quant.inference.config import ModelConfig
from axon_quant.inference.files import ModelFiles, file_sha256, write_whole
from axon_quant.inference.golden import GoldenVectors
from axon_quant.inference.session import FloatArray
from axon_quant.inference.store.machine import Machine
from axon_quant.observation import FeatureSchema

_T = TypeVar("_T")

MODEL, MANIFEST = "model", "manifest.json"
_SCHEMA, _GOLDEN, _BACKGROUND, _PLANS = "schema.json", "golden.npz", "background.npz", "plans.json"
_LARGEST_BACKGROUND = 256 << 20


class Manifest(Struct, frozen=True, kw_only=True):
    """What a version consists of: written with its files and never changed.

    `files` are SHA-256 digests by name, the model's own file under `file`; `backend` loads it; `added` is in UTC ns.
    """

    file: str
    files: dict[str, str]
    size: int
    backend: str
    added: int
    source: str


class StoredPlan(Struct, frozen=True, kw_only=True):
    """How a version was computed on a kind of machine, when it was asked for in this way; `recorded` is in UTC ns."""

    machine: Machine
    device: str
    fp16: bool
    num_threads: int
    input_shape: tuple[int, ...] | None
    actions: tuple[str, ...] | None
    plan: dict[str, str]
    recorded: int

    def suits(self, config: ModelConfig) -> bool:
        """Whether `config` asks for the same."""
        asked = (str(config.device), config.fp16, config.num_threads, config.input_shape)
        return (self.device, self.fp16, self.num_threads, self.input_shape) == asked


class _Schema(Struct, frozen=True, kw_only=True):
    name: str
    features: tuple[str, ...]
    normaliser: str
    interval_ms: int
    window: int
    sha256: str


@attrs.frozen
class StoredModel:
    """A version that is in the store: `path` can be loaded from, and is never written to.

    `names` are those it was added to. `sha256` is that of `ModelFiles`, `sha256_by_name` those of its files by name.
    What can be read from it raises ModelLoadError when it is damaged.
    """

    sha256: str
    folder: Path
    names: tuple[str, ...]
    manifest: Manifest = attrs.field(repr=False)

    @property
    def path(self) -> Path:
        """The model's own file; its side files are beside it."""
        return self.folder / MODEL / self.manifest.file

    @property
    def backend(self) -> str:
        """The name of the plugin that loads it."""
        return self.manifest.backend

    @property
    def suffix(self) -> str:
        """Of its file, such as `.onnx`."""
        return self.path.suffix

    @property
    def size(self) -> int:
        """In bytes, of all its files."""
        return self.manifest.size

    @property
    def added(self) -> int:
        """When it came into the store, in UTC ns."""
        return self.manifest.added

    @property
    def source(self) -> str:
        """Where it came from."""
        return self.manifest.source

    @property
    def sha256_by_name(self) -> Mapping[str, str]:
        """Of each of its files, by name relative to the folder of `path`."""
        return self.manifest.files

    @property
    def files(self) -> ModelFiles:
        """What it consists of, by the record."""
        return files_of(self.path, self.manifest)

    @property
    def schema(self) -> FeatureSchema | None:
        """The features it was trained on, if that is known."""
        path = self.folder / _SCHEMA
        found = _read(path, _Schema)
        if found is None:
            return None
        schema = FeatureSchema(found.name, found.features, found.normaliser, found.interval_ms, found.window)
        if schema.sha256 != found.sha256:
            raise ModelLoadError(
                f"feature schema: expected sha256 {found.sha256}, found {schema.sha256}", file=path, hint=_FORGET
            )
        return schema

    @property
    def golden(self) -> GoldenVectors | None:
        """What it must answer, if that is known."""
        path = self.folder / _GOLDEN
        try:
            return GoldenVectors.load(path) if path.exists() else None
        except ModelLoadError as error:
            error.hint = _FORGET
            raise

    @property
    def background(self) -> FloatArray | None:
        """A sample of what it sees, `[n, …window]` float32, if there is one: what explanations compare with."""
        path = self.folder / _BACKGROUND
        if not path.exists():
            return None
        try:
            return _sample(read_arrays(path, required=("background",), max_bytes=_LARGEST_BACKGROUND)["background"])
        except (ModelLoadError, ValueError) as error:
            message = error.message if isinstance(error, ModelLoadError) else str(error)
            raise ModelLoadError(message, file=path, hint=_FORGET) from error

    @property
    def plans(self) -> tuple[StoredPlan, ...]:
        """How it was computed, oldest first."""
        return _read(self.folder / _PLANS, tuple[StoredPlan, ...]) or ()

    def verify(self) -> None:
        """Read every byte again. Raises ModelCheckError that names the file which is not as it was added."""
        root, expected = self.path.parent, self.manifest.files
        if self.files.sha256 != self.sha256:
            raise ModelCheckError(
                f"the record is of another version, {self.files.sha256}", file=self.folder / MANIFEST, hint=_DAMAGED
            )
        for name, digest in expected.items():
            path = root / name
            if not path.is_file() or path.is_symlink():
                raise ModelCheckError("the file is gone from the store", file=path, hint=_DAMAGED)
            found = file_sha256(path)
            if found != digest:
                raise ModelCheckError(
                    f"damaged in the store: expected sha256 {digest}, found {found}", file=path, hint=_DAMAGED
                )
        for path in sorted(root.rglob("*")):
            if not stat.S_ISDIR(path.lstat().st_mode) and path.relative_to(root).as_posix() not in expected:
                raise ModelCheckError("the store put no such file here", file=path, hint="remove it")

    # Written by the store alone, which holds its lock.

    def write_schema(self, schema: FeatureSchema) -> None:
        """Record what it was trained on."""
        record = _Schema(
            name=schema.name,
            features=schema.features,
            normaliser=schema.normaliser,
            interval_ms=schema.interval_ms,
            window=schema.window,
            sha256=schema.sha256,
        )
        _write(self.folder / _SCHEMA, record)

    def write_golden(self, golden: GoldenVectors) -> None:
        """Record what it must answer."""
        golden.save(self.folder / _GOLDEN)

    def write_background(self, sample: FloatArray) -> None:
        """Record a sample of what it sees. Raises ValueError unless it is finite float32 of at most 256 MiB."""
        buffer = io.BytesIO()
        np.savez(buffer, background=_sample(sample))
        if buffer.tell() > _LARGEST_BACKGROUND:
            raise ValueError(f"background: expected at most {_LARGEST_BACKGROUND} bytes, found {buffer.tell()}")
        write_whole(self.folder / _BACKGROUND, buffer.getvalue())

    def write_plans(self, plans: tuple[StoredPlan, ...]) -> None:
        """Record how it was computed."""
        _write(self.folder / _PLANS, plans)


_DAMAGED = "add the same model again to mend it"
_FORGET = "restore the file, or delete it: what it says is then forgotten"


def files_of(path: Path, manifest: Manifest) -> ModelFiles:
    """The identity that a manifest stands for. `path` is the model's own file."""
    sides = {name: manifest.files[name] for name in sorted(manifest.files) if name != manifest.file}
    return ModelFiles(path, {"-": manifest.files[manifest.file], **sides})


def read_manifest(folder: Path) -> Manifest:
    """Raises ModelLoadError if it cannot be read, or names files that do not stand below its folder."""
    path = folder / MANIFEST
    manifest = _read(path, Manifest)
    if manifest is None:
        raise ModelLoadError("there is no such record in the store", file=path, hint=_DAMAGED)
    for name in [manifest.file, *manifest.files]:
        check_name(name, path)
    if manifest.file not in manifest.files:
        raise ModelLoadError(f"the record has no {manifest.file}", file=path, hint=_DAMAGED)
    return manifest


def check_name(name: str, path: Path) -> None:
    """Raise ModelLoadError unless `name` is a plain relative one, which cannot lead out of a folder."""
    plain = name.isprintable() and "\\" not in name and PurePosixPath(name).as_posix() == name
    if name in ("", "-", ".") or not plain or name.startswith("/") or ".." in PurePosixPath(name).parts:
        raise ModelLoadError(f"the store keeps no file of the name {name!r}", file=path, hint="rename it")


def _sample(array: NDArray[Any]) -> FloatArray:
    if array.dtype != np.float32 or array.ndim < 2 or not array.size or not np.isfinite(array).all():
        raise ValueError(f"background: expected finite float32 [n, …window], found {array.dtype} {array.shape}")
    return array


def _read(path: Path, kind: type[_T]) -> _T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, RecursionError) as error:
        hint = _DAMAGED if path.name == MANIFEST else _FORGET
        raise ModelLoadError(f"the record cannot be read: {error}", file=path, hint=hint) from error


def _write(path: Path, record: object) -> None:
    write_whole(path, msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
