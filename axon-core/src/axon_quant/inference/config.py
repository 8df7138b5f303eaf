"""Which model to serve, with what, and where. Nothing here touches the disk or a device."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import attrs
from msgspec import Struct

_ALIASES = {"tch": "torch", "candle": "safetensors"}


class InferenceBackend(str):
    """The name of a backend plugin. Open: `InferenceBackend("mybackend")` names a third party's.

    `TCH` is `TORCH` and `CANDLE` is `SAFETENSORS`, also when written as strings. Raises ValueError for a name that
    is not lower-case letters, digits and dashes.
    """

    __slots__ = ()

    ONNX: ClassVar[InferenceBackend]
    TORCH: ClassVar[InferenceBackend]
    TCH: ClassVar[InferenceBackend]
    SAFETENSORS: ClassVar[InferenceBackend]
    CANDLE: ClassVar[InferenceBackend]

    def __new__(cls, name: str) -> InferenceBackend:
        """Resolve the aliases."""
        text = str(name).lower().replace("_", "-")
        if not re.fullmatch(r"[a-z][a-z0-9-]*", text):
            raise ValueError(f"a backend's name is letters, digits and dashes, got {name!r}")
        return super().__new__(cls, _ALIASES.get(text, text))

    def __repr__(self) -> str:
        return f"InferenceBackend({str(self)!r})"


InferenceBackend.ONNX = InferenceBackend("onnx")
InferenceBackend.TORCH = InferenceBackend.TCH = InferenceBackend("torch")
InferenceBackend.SAFETENSORS = InferenceBackend.CANDLE = InferenceBackend("safetensors")


class Device(Struct, frozen=True):
    """Where a model runs: `Device.CPU`, `Device.CUDA(0)`, `Device.MPS`; as text `cpu`, `cuda:0`, `mps:0`.

    `cuda` is an AMD GPU where the backend's runtime is built for ROCm, as torch itself has it. Raises ValueError for a
    kind that is not lower-case letters and digits, and for an index that is not a whole number of at least 0.
    """

    kind: str
    index: int = 0

    CPU: ClassVar[Device]
    MPS: ClassVar[Device]
    """The GPU of an Apple machine, through Metal."""

    def __post_init__(self) -> None:
        if not (isinstance(self.kind, str) and re.fullmatch(r"[a-z][a-z0-9]*", self.kind)):
            raise ValueError(f"a device's kind is lower-case letters and digits, got {self.kind!r}")
        if not (isinstance(self.index, int) and self.index >= 0):
            raise ValueError(f"a device's index must be a whole number of at least 0, got {self.index!r}")

    @classmethod
    def CUDA(cls, index: int = 0) -> Device:  # noqa: N802 (the name in the public interface)
        """The NVIDIA (or, under ROCm, AMD) GPU number `index`."""
        return cls("cuda", index)

    @classmethod
    def parse(cls, text: str) -> Device:
        """`cpu`, `cuda`, `cuda:1` or `mps`. Raises ValueError for anything else."""
        match = re.fullmatch(r"(cpu)|(mps)(?::0)?|cuda(?::(\d+))?", text.strip().lower())
        if match is None:
            hint = ", and an AMD GPU under ROCm is cuda, too" if re.match("rocm|hip", text.strip().lower()) else ""
            raise ValueError(f"a device is cpu, cuda, cuda:N or mps{hint}, got {text!r}")
        return cls.CPU if match[1] else cls.MPS if match[2] else cls.CUDA(int(match[3] or 0))

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"


Device.CPU = Device("cpu")
Device.MPS = Device("mps")


def _backend(value: str) -> InferenceBackend:
    return value if isinstance(value, InferenceBackend) else InferenceBackend(value)


def _device(value: Device | str) -> Device:
    return Device.parse(value) if isinstance(value, str) else value


def _shape(value: Iterable[int] | None) -> tuple[int, ...] | None:
    return None if value is None else tuple(value)


def _names(value: Iterable[str] | None) -> tuple[str, ...] | None:
    if isinstance(value, str):
        raise ValueError(f"actions must be a list of names, got the string {value!r}")
    return None if value is None else tuple(value)


def _digest(value: str | None) -> str | None:
    return None if value is None else value.lower()


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _count(_: ModelConfig, attribute: attrs.Attribute[int], value: int) -> None:
    if not _is_count(value):
        raise ValueError(f"{attribute.name} must be a whole number of at least 1, got {value!r}")


@attrs.frozen
class ModelConfig:
    """One model: its file, the backend that loads it, and what the file must turn out to be.

    `input_shape` is `[batch, …window]`; its batch only matters for a model with a fixed one. `input_shape`,
    `output_dim` and `actions` (names in the order of the outputs) are read from the model where they are None;
    otherwise a model that differs is refused. `sha256` pins the file's bytes. `fp16` asks for half precision and is an
    error where the model has none. `trusted` allows formats that hold code. `name` stands in events and in decisions
    (default: the file's stem). Construction touches no disk. Raises ValueError with the field's name.
    """

    path: Path = attrs.field(converter=Path)
    backend: InferenceBackend = attrs.field(converter=_backend)
    device: Device = attrs.field(default=Device.CPU, converter=_device, validator=attrs.validators.instance_of(Device))
    input_shape: tuple[int, ...] | None = attrs.field(default=None, converter=_shape)
    output_dim: int | None = attrs.field(default=None, validator=attrs.validators.optional(_count))
    fp16: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    num_threads: int = attrs.field(default=1, validator=_count)
    actions: tuple[str, ...] | None = attrs.field(default=None, converter=_names)
    sha256: str | None = attrs.field(default=None, converter=_digest)
    trusted: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    name: str = attrs.field(kw_only=True)

    @name.default
    def _stem(self) -> str:
        return self.path.stem

    @name.validator
    def _check_name(self, _: attrs.Attribute[str], value: str) -> None:
        if not value:
            raise ValueError(f"name must not be empty (path is {str(self.path)!r})")

    @input_shape.validator
    def _check_shape(self, _: attrs.Attribute[object], value: tuple[int, ...] | None) -> None:
        if value is not None and not (len(value) >= 2 and all(map(_is_count, value))):
            raise ValueError(f"input_shape must be [batch, …] of whole numbers of at least 1, got {list(value)}")

    @actions.validator
    def _check_actions(self, _: attrs.Attribute[object], value: tuple[str, ...] | None) -> None:
        if value is None:
            return
        if not value or not all(value) or len(set(value)) != len(value):
            raise ValueError(f"actions must be distinct names, got {list(value)}")
        if self.output_dim is not None and len(value) != self.output_dim:
            raise ValueError(f"actions names {len(value)} outputs, output_dim is {self.output_dim}")

    @sha256.validator
    def _check_digest(self, _: attrs.Attribute[object], value: str | None) -> None:
        if value is not None and not re.fullmatch(r"[0-9a-f]{64}", value):
            raise ValueError(f"sha256 must be 64 hexadecimal digits, got {value!r}")
