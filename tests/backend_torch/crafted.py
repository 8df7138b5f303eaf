"""Model files that run code when torch itself loads them: each creates `marker`."""

import io
import pickle
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch

NATIVE = """
#include <cstdio>
__attribute__((constructor)) static void run() { if (FILE* file = std::fopen("%s", "w")) std::fclose(file); }
"""


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


class Restored(torch.nn.Module):
    """TorchScript calls `__setstate__` when it loads a module; from_file creates the file that it maps."""

    def __init__(self, marker: str):
        super().__init__()
        self.marker = marker
        self.found = torch.zeros(1)

    def forward(self, x):
        return x.flatten(1)[:, :3]

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.marker, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]):
        self.marker, self.training = state
        self.found = torch.from_file(self.marker, True, 1)


def with_member(source, target, suffix, content):
    """Copy an archive with another content for one of its members."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, content if info.filename.endswith(suffix) else old.read(info.filename))
    return target


def program(folder, marker):
    """A torch.export program whose sample inputs are a pickle."""
    payload = io.BytesIO()
    torch.save(Payload(marker), payload)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    torch.export.save(torch.export.export(module, (torch.zeros(1, 4, 3),)), folder / "honest.pt2")
    return with_member(folder / "honest.pt2", folder / "model.pt2", "sample_inputs/model.pt", payload.getvalue())


def checkpoint(folder, marker):
    """What torch.save makes of a whole object."""
    torch.save({"state_dict": {"weight": torch.zeros(3)}, "extra": Payload(marker)}, folder / "model.pt")
    return folder / "model.pt"


def plain_pickle(folder, marker):
    """Not even an archive."""
    (folder / "model.bin").write_bytes(pickle.dumps(Payload(marker), protocol=2))
    return folder / "model.bin"


def torchscript(folder, marker):
    """A module with a hook of its own for being loaded."""
    torch.jit.script(Restored(str(marker))).save(str(folder / "model.torchscript"))
    return folder / "model.torchscript"


def package(folder, marker):
    """An AOTInductor package whose shared library has a constructor."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("an AOTInductor package needs g++, which is not installed")
    source, library = folder / "planted.cpp", folder / "planted.so"
    source.write_text(NATIVE % marker)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    with zipfile.ZipFile(folder / "model.pt2", "w") as archive:
        archive.writestr("model/archive_format", "pt2")
        archive.writestr("model/data/aotinductor/model/m.wrapper_metadata.json", '{"AOTI_DEVICE_KEY": "cpu"}')
        archive.write(library, "model/data/aotinductor/model/m.wrapper.so")
    return folder / "model.pt2"


LOADERS = {
    program: "torch.export.load(path)",
    checkpoint: "torch.load(path, weights_only=False)",
    plain_pickle: "__import__('pickle').load(open(path, 'rb'))",
    torchscript: "torch.jit.load(path)",
    package: "torch._C._aoti.AOTIModelPackageLoader(path, 'model', False, 1, -1)",
}
"""How a file is made → what torch's own user would call."""
