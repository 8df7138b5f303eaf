"""The backend: builds sessions of torch models, and opens no file that could run code unless told to."""

from __future__ import annotations

from pathlib import Path

from axon_quant.clock import Clock
from axon_quant.errors import ModelLoadError, PluginMissingError
from axon_quant.inference.backend import Backend
from axon_quant.inference.choosing import fastest_equal
from axon_quant.inference.config import ModelConfig

try:
    import torch
except ImportError as error:
    raise PluginMissingError(
        'TorchBackend needs torch, which is not installed: pip install "axon-backend-torch"', plugin="torch"
    ) from error

from axon_backend_torch.archives import load_archive
from axon_backend_torch.devices import torch_device
from axon_backend_torch.formats import Format, detect
from axon_backend_torch.network import Network, check_precision
from axon_backend_torch.prototype import EXECUTIONS, Factory, Prototype, resolve_factory
from axon_backend_torch.session import TorchSession
from axon_backend_torch.settings import factory_beside
from axon_backend_torch.threads import claim_threads
from axon_backend_torch.trust import verified_copy
from axon_backend_torch.weights import read_weights


class TorchBackend(Backend):
    """Serves a torch model: a state dict, TorchScript, a torch.export program or an AOTInductor package.

    A state dict holds tensors only and needs a `factory`: a callable without arguments that returns the module, or its
    name as `"package.module:function"`. The other formats hold code: they are loaded only with `trusted=True` and a
    matching `sha256`. Which format a file is in is decided by its content.

    A factory's module runs as Python (`eager`) or compiled (`script`): compiled if torch can and it is at least 5 %
    faster here *and* gives the same bits on seeded noise. `execution` fixes one. The choice is made with the first
    model and kept.

    `num_threads` is a setting of the process in torch: every torch model in it must have the same.
    """

    kind = "torch"

    def __init__(
        self,
        config: ModelConfig,
        *,
        factory: Factory | str | None = None,
        execution: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        if execution is not None and execution not in EXECUTIONS:
            raise ValueError(f"execution must be one of {', '.join(EXECUTIONS)}, got {execution!r}")
        super().__init__(config, clock=clock)
        self._factory = factory
        self._executions = EXECUTIONS if execution is None else (execution,)
        self._prototype: Prototype | None = None

    def build_session(self, path: Path) -> TorchSession:
        """Load the file, on the device and in the precision that were asked for.

        Raises ModelLoadError for a file that is not whole, not trusted or not a model, ModelCheckError for one that is
        not the pinned one, DeviceError for a device or a precision that is not there.
        """
        kind = detect(path)
        device = torch_device(self.config.device)
        dtype = torch.float16 if self.config.fp16 else torch.float32
        if not kind.holds_code:
            return self._from_weights(path, kind, device, dtype)
        with verified_copy(path, kind, self.config) as copy:
            claim = claim_threads(self.config.num_threads, self.config.name)
            return TorchSession(load_archive(copy, kind, device, dtype), self.config, device, dtype, claim)

    def _from_weights(self, path: Path, kind: Format, device: torch.device, dtype: torch.dtype) -> TorchSession:
        weights = read_weights(path, kind)
        prototype = self._prototype or self._make_prototype(path, dtype)
        claim = claim_threads(self.config.num_threads, self.config.name)
        sessions: dict[str, TorchSession] = {}
        wanted = [name for name in prototype.executions if name in self._executions]
        for execution in reversed(wanted):  # eager last: its plan says why it is alone
            module = prototype.with_weights(weights.tensors, execution, device)
            check_precision([*module.parameters(), *module.buffers()], dtype, convertible=True)
            plan = {"format": str(kind), "execution": execution}
            if prototype.refused is not None:
                plan["refused"] = prototype.refused
            # The method itself: calling a compiled module costs more.
            network = Network(module.forward if execution == "script" else module, weights.metadata, plan)
            try:
                sessions[execution] = TorchSession(network, self.config, device, dtype, claim)
            except (RuntimeError, torch.jit.Error) as error:
                if execution == "eager" or "eager" not in wanted:
                    raise
                prototype.drop(execution, error)
        candidates = [sessions[name] for name in EXECUTIONS if name in sessions]
        best = fastest_equal(candidates, candidates[0].usual_shape)
        self._prototype, self._executions = prototype, (best.plan["execution"],)
        return best

    def _make_prototype(self, path: Path, dtype: torch.dtype) -> Prototype:
        factory = self._factory or factory_beside(path, trusted=self.config.trusted)
        if factory is None:
            raise ModelLoadError(
                "a state dict needs the module it belongs to, and no factory was given",
                hint='TorchBackend(config, factory="package.module:function")',
            )
        return Prototype(resolve_factory(factory), dtype, self._executions)


TchBackend = TorchBackend
"""The scenario's other name for it."""
