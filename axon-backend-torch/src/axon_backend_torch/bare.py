"""Torch alone, as a careful user would call it: what the backend's speed is compared with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from axon_backend_torch.threads import ThreadClaim
from axon_quant.inference.session import FloatArray

Call = Callable[[torch.Tensor], torch.Tensor]


def bare_call(
    model: Call, device: torch.device, dtype: torch.dtype, claim: ThreadClaim
) -> Callable[[FloatArray], NDArray[np.float32]]:
    """`[batch, …window]` → `[batch, scores]` under inference mode, with the claimed number of threads."""

    @torch.inference_mode()
    def on_the_cpu(x: FloatArray) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = model(torch.from_numpy(x)).numpy()
        return scores

    @torch.inference_mode()
    def elsewhere(x: FloatArray) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = model(torch.from_numpy(x).to(device, dtype)).to("cpu", torch.float32).numpy()
        return scores

    run = on_the_cpu if device.type == "cpu" and dtype is torch.float32 else elsewhere
    vars(run)["claim"] = claim  # as long as it may be called, no other number of threads
    return run
