"""One loaded torch model: what it declares, and running it from any thread."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np
import torch
from torch._C import _InferenceMode  # what torch.inference_mode enters, without its 2 µs of Python around it

from axon_backend_torch.devices import hardware
from axon_backend_torch.network import Network, check_scores, precision
from axon_backend_torch.threads import ThreadClaim
from axon_quant.errors import ModelCheckError, ModelInputError, ModelLoadError, UnsupportedError
from axon_quant.inference.checks import describe
from axon_quant.inference.config import ModelConfig
from axon_quant.inference.session import FloatArray

_SETTLE_CALLS = 5
"""TorchScript watches its first calls and then compiles once more."""

_LISTED = 32
"""Scores up to which a list is the faster way out of torch: `Tensor.numpy` alone takes longer than it."""


class _Local(threading.local):
    """What a thread has of its own: the input, in memory that torch and numpy share.

    Without a way back to the session: a cycle would outlive it.
    """

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device, claim: ThreadClaim) -> None:
        claim.settle_here()
        self.claim = claim
        self.tensor = torch.zeros(shape, dtype=dtype, pin_memory=device.type == "cuda")
        self.given = self.tensor.numpy()


class TorchSession:
    """An `axon_quant.inference.Session` on a torch network.

    Always under inference mode. The usual batch is copied into the thread's own buffer, which the model may even write
    to; scores are copied out. A half-precision model is given float16 and its scores are returned as float32. Raises
    ModelLoadError for a model that is not one float tensor in, `[batch, scores]` out, DeviceError for scores in
    another precision than was asked for.
    """

    def __init__(
        self, network: Network, config: ModelConfig, device: torch.device, dtype: torch.dtype, claim: ThreadClaim
    ) -> None:
        self._call = network.call
        self._batches = network.batches
        self._device = device
        self._dtype = dtype
        self._direct = device.type == "cpu" and dtype is torch.float32
        self.input_shape = _input_shape(network, config)
        self.usual_shape = _probe_shape(self.input_shape, config)
        self._local = _Local(self.usual_shape, dtype, device, claim)
        self.device = config.device
        self.actions = network.metadata.actions
        self.schema_sha256 = network.metadata.schema_sha256
        self.output_dim = self._first_calls(network.metadata.output_dim)
        self.plan: Mapping[str, str] = {
            "runtime": f"torch {torch.__version__}",
            **hardware(device),
            "precision": precision(dtype),
            "threads": str(claim.count),
            **network.plan,
        }

    def run(self, x: FloatArray) -> FloatArray:
        """`[batch, …window]` → `[batch, output_dim]`. Raises ModelInputError for a batch the model does not take."""
        local = self._local
        if x.shape == self.usual_shape:
            local.given[...] = x
            tensor = local.tensor
        else:
            tensor = self._other_batch(x)
        if self._direct:
            with _InferenceMode(True):
                scores = self._call(tensor.clone())  # which the model may write to
        else:
            with _InferenceMode(True):
                scores = self._call(tensor.to(self._device, non_blocking=True)).to("cpu", torch.float32)
        if len(x) * self.output_dim <= _LISTED:
            return np.array(scores.tolist(), np.float32)
        return scores.numpy().copy()

    def gradient(self, x: FloatArray, output: int) -> FloatArray:
        """The gradient of score `output` by its own row: `[batch, …window]` → the same shape, float32.

        Raises UnsupportedError for a compiled package, and for a model that cannot be differentiated.
        """
        self._local.claim.settle_here()
        tensor = self._other_batch(x).to(self._device).requires_grad_()
        try:
            with torch.enable_grad():
                scores = self._call(tensor.clone())  # which the model may write to
                if not scores.requires_grad:
                    raise UnsupportedError("the model has no gradient: it is compiled, or made without any")
                (slope,) = torch.autograd.grad(scores[:, output].sum(), tensor)
        except (RuntimeError, NotImplementedError) as error:
            raise UnsupportedError(f"the model has no gradient: {str(error).partition(chr(10))[0]}") from error
        return slope.to("cpu", torch.float32).numpy()

    def _other_batch(self, x: FloatArray) -> torch.Tensor:
        smallest, largest = self._batches
        fixed = self.input_shape[0]
        if fixed is not None and len(x) != fixed:
            raise ModelInputError(f"input: the model's batch is fixed, expected {fixed}, found {len(x)}")
        if len(x) < smallest or (largest is not None and len(x) > largest):
            bounds = f"from {smallest}" + ("" if largest is None else f" to {largest}")
            raise ModelInputError(f"input: the model takes batches {bounds}, found {len(x)}")
        return torch.from_numpy(np.array(x, np.float32, order="C")).to(self._dtype)

    def _first_calls(self, declared: int | None) -> int:
        """Number of scores; and TorchScript has compiled what it will run from now on."""
        local = self._local
        for _ in range(_SETTLE_CALLS):
            with _InferenceMode(True):
                scores = self._call(local.tensor.zero_().to(self._device))
            found = check_scores(scores, self.usual_shape[0], self._dtype)
        if declared is not None and found != declared:
            raise ModelCheckError(f"outputs: the model declares {declared}, and gives {found}")
        return found


def _input_shape(network: Network, config: ModelConfig) -> tuple[int | None, ...]:
    declared, asked = network.metadata.input_shape, config.input_shape
    if declared is not None:
        return declared
    if asked is None:
        raise ModelLoadError(
            f"input_shape: a {network.plan['format']} file does not say it",
            hint='set input_shape=[batch, …window] in the configuration, or give the file an "axon.json"',
        )
    return (None, *asked[1:])


def _probe_shape(declared: tuple[int | None, ...], config: ModelConfig) -> tuple[int, ...]:
    """The usual batch; `[1, …window]` unless the model's batch is fixed."""
    asked = config.input_shape
    if asked is not None and len(asked) == len(declared):
        window = tuple(size or want for size, want in zip(declared[1:], asked[1:], strict=True))
    else:
        window = tuple(size for size in declared[1:] if size is not None)
    if len(window) != len(declared) - 1:
        raise ModelCheckError(
            f"input: the model leaves a dimension of its window open: {describe(declared)}", hint="set input_shape"
        )
    return (declared[0] or 1, *window)
