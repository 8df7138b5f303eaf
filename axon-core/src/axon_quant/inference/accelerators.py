"""Which accelerators this machine has, asked of the driver alone: no runtime of any backend is imported."""

from __future__ import annotations

import ctypes
import os
import sys

_NVML = "nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1"


def nvidia_gpus() -> int:
    """How many NVIDIA GPUs the driver's own library (NVML) counts; 0 without a driver or if the environment hides them.

    Asking it makes no CUDA context, so the process may still fork. Whether a backend can use them is another question:
    its runtime must be built for CUDA.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.partition(",")[0].strip() in ("", "-1"):
        return 0
    try:
        nvml = ctypes.CDLL(_NVML)
        if nvml.nvmlInit_v2() != 0:
            return 0
        count = ctypes.c_uint(0)
        failed = nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
        nvml.nvmlShutdown()
    except (OSError, AttributeError):  # no driver, or one that is too old to have these functions
        return 0
    return 0 if failed else count.value
