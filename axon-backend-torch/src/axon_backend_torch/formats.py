"""Which of torch's formats a file is in, by its content. Nothing is unpickled and nothing is run."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from axon_quant.errors import ModelLoadError

_LARGEST_HEADER = 100 << 20


class Format(StrEnum):
    """What a file holds."""

    StateDict = "state-dict"
    Safetensors = "safetensors"
    TorchScript = "torchscript"
    Export = "export"
    Aoti = "aoti"

    @property
    def holds_code(self) -> bool:
        """Whether loading the file can run what its maker wrote."""
        return self not in (Format.StateDict, Format.Safetensors)


def detect(path: Path) -> Format:
    """The format of a file. Its name plays no part. Raises ModelLoadError for a file in none of them.

    A pickle counts as a state dict here: the loader of state dicts reads tensors only and refuses everything else.
    """
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise ModelLoadError(f"the model cannot be read: {error.strerror}", file=path) from error
    if head.startswith(b"PK"):
        return _in_archive(path)
    if len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") <= _LARGEST_HEADER:
        return Format.Safetensors
    if head.startswith(b"\x80"):
        return Format.StateDict  # what torch.save wrote before it wrote archives
    raise ModelLoadError("the file is in none of torch's formats", file=path, hint=_KNOWN)


def _in_archive(path: Path) -> Format:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise ModelLoadError(f"the file is not whole: {error}", file=path) from error
    names = [member.filename for member in members]
    found = _formats({name.partition("/")[2] for name in names} | set(names))
    if len(found) != 1:
        what = f"several of torch's formats: {', '.join(found)}" if found else "none of torch's formats"
        raise ModelLoadError(f"the archive is in {what}", file=path, hint=_KNOWN)
    packed = [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]
    if packed and not found[0].holds_code:  # a small file could fill the memory
        raise ModelLoadError(f"the archive is compressed, which torch.save never does: {packed[0]}", file=path)
    return found[0]


def _formats(names: Iterable[str]) -> list[Format]:
    """What an archive with these members, top folder cut off, can be read as."""
    found = []
    if any(name.startswith("data/aotinductor/") for name in names):
        found.append(Format.Aoti)
    if "serialized_exported_program.json" in names or any(name.startswith("models/") for name in names):
        found.append(Format.Export)
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        found.append(Format.TorchScript)
    elif "data.pkl" in names:
        found.append(Format.StateDict)
    return found


_KNOWN = "known are state dicts, safetensors, TorchScript, torch.export and AOTInductor packages"
