"""AOTInductor packages: native code that was compiled for one kind of machine."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch._C._aoti import AOTIModelPackageLoader

from axon_backend_torch.formats import Format
from axon_backend_torch.metadata import Metadata
from axon_backend_torch.network import Network
from axon_quant.errors import DeviceError, ModelLoadError

_CHECK_INPUTS = "AOTI_RUNTIME_CHECK_INPUTS"
_NAME = "model"
"""What torch calls the one model of a package unless it is told otherwise."""
_INSTRUCTIONS = {"AVX2": "avx2", "AVX512": "avx512_f", "AVX512_VNNI": "avx512_vnni", "AMX_TILE": "amx_tile"}
"""Of a package → as `torch.cpu.get_capabilities` calls them."""


def load_package(path: Path, device: torch.device) -> Network:
    """Native code, for the device and the number of threads that it was compiled for.

    Such code trusts its caller with shapes and dtypes, and reads past the end of a wrong input: torch's own check is
    turned on for the process unless the user has decided otherwise. One runner per core, because a runner serves one
    thread at a time; they share the weights. Raises DeviceError for a package that was compiled for something else.

    `torch._inductor.aoti_load_package` would first run a C++ compiler, for seconds, to learn what this machine can.
    """
    _check_machine(path, device)
    os.environ.setdefault(_CHECK_INPUTS, "1")
    index = device.index if device.type == "cuda" else -1
    run = AOTIModelPackageLoader(str(path), _NAME, False, os.cpu_count() or 1, index).run

    def call(x: torch.Tensor) -> torch.Tensor:
        scores = run([x])
        if len(scores) != 1:
            raise ModelLoadError(f"outputs: expected one tensor, found {len(scores)}")
        return scores[0]

    return Network(call, Metadata.in_archive(path), {"format": Format.Aoti, "execution": "compiled"})


def _check_machine(path: Path, device: torch.device) -> None:
    """Refuse what would end the process with an illegal instruction, or run somewhere else than asked for."""
    says: dict[str, str] = AOTIModelPackageLoader.load_metadata_from_package(str(path), _NAME)  # type: ignore[attr-defined]
    compiled_for = says.get("AOTI_DEVICE_KEY", device.type)
    if compiled_for != device.type:
        raise DeviceError(f"device: expected {device}, found a package compiled for {compiled_for}")
    able = torch.cpu.get_capabilities()
    missing = [name for name in says.get("AOTI_CPU_ISA", "").split() if not able.get(_INSTRUCTIONS.get(name, ""), True)]
    if missing:
        raise DeviceError(
            f"device: the package was compiled for a CPU with {' and '.join(missing)}, which this one has not",
            hint="compile it on this kind of machine",
        )
