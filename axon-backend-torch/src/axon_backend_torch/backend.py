"""The backend: builds sessions of torch models, and opens no file that could run code unless told to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from axon_quant.clock import Clock
from axon_quant.errors import ModelLoadError, PluginMissingError
from axon_quant.inference.backend import Backend
from axon_quant.inference.choosing import fastest_equal
from axon_quant.inference.config import ModelConfig
from axon_quant.inference.session import FloatArray

try:
    import torch
except ImportError as error:
    raise PluginMissingError(
        'TorchBackend needs torch, which is not installed: pip install "axon-backend-torch"', plugin="torch"
    ) from error

from axon_backend_torch.archives import load_archive, load_plain
from axon_backend_torch.bare import bare_call
from axon_backend_torch.devices import torch_device
from axon_backend_torch.factories import SETTINGS, Factory, NamedFactory, admit, named_beside
from axon_backend_torch.formats import Format, detect
from axon_backend_torch.network import Network, check_precision, wrong_precision
from axon_backend_torch.prototype import EXECUTIONS, Prototype, Source, load_weights, make_module
from axon_backend_torch.session import TorchSession
from axon_backend_torch.threads import ThreadClaim, claim_threads
from axon_backend_torch.trust import verified_copy
from axon_backend_torch.weights import Weights, read_weights


class Target(NamedTuple):
    """Where a model runs, and in what precision."""

    device: torch.device
    dtype: torch.dtype


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
        self._factory = NamedFactory(factory) if isinstance(factory, str) else factory
        self._executions = EXECUTIONS if execution is None else (execution,)
        self._prototype: Prototype | None = None

    @classmethod
    def builtin(cls, name: str, feature_names: Sequence[str] | None = None) -> Path:
        """The file of `demo-{T}x{F}` or `demo-{T}x{F}-reversion`. Raises ConfigError for another name."""
        from axon_backend_torch.demo import builtin_model

        return builtin_model(name, feature_names)

    def side_files(self, path: Path) -> Sequence[Path]:
        """The `config.json` that names the factory, where it does and nothing else has named one."""
        if self._factory is not None or detect(path).holds_code or named_beside(path) is None:
            return ()
        return (path.with_name(SETTINGS),)

    def build_session(self, path: Path) -> TorchSession:
        """Load the file, on the device and in the precision that were asked for.

        Raises ModelLoadError for a file that is not whole, not trusted or not a model, ModelCheckError for one that is
        not the pinned one, DeviceError for a device or a precision that is not there.
        """
        target = self._target()
        kind = detect(path)
        if kind.holds_code:
            return self._from_archive(path, kind, target)
        weights = read_weights(path, kind)
        source = self._source(path, weights)
        prototype = self._prototype
        if prototype is None or prototype.source != source:
            prototype = Prototype(source, weights.tensors, target.dtype, self._executions)
        session = self._from_weights(prototype, weights, kind, target)
        self._prototype = prototype
        return session

    def rebuild_session(self, path: Path, plan: Mapping[str, str]) -> TorchSession:
        """Load the file as `build_session` does, but run it in the plan's execution, without timing."""
        execution = plan.get("execution")
        kind = detect(path)
        if kind.holds_code or execution not in EXECUTIONS:
            return self.build_session(path)
        target = self._target()
        weights = read_weights(path, kind)
        source = self._source(path, weights)
        kept = self._prototype
        if kept is not None and kept.source == source and execution in kept.executions:
            return self._from_weights(kept, weights, kind, target)
        prototype = Prototype(source, weights.tensors, target.dtype, (execution,), refused=plan.get("refused"))
        session = self._from_weights(prototype, weights, kind, target)
        if kept is None:
            self._prototype = prototype
        return session

    def bare(self, path: Path) -> Callable[[FloatArray], NDArray[np.float32]]:
        """The eager module or the loaded program under inference mode. Trusts what `load` trusts, and no more."""
        target = self._target()
        kind = detect(path)
        if kind.holds_code:
            with verified_copy(path, kind, self.config) as copy:
                claim = self._claim()
                return bare_call(load_plain(copy, kind, *target), *target, claim)
        weights = read_weights(path, kind)
        module = make_module(self._source(path, weights), weights.tensors, target.dtype)
        load_weights(module, weights.tensors)
        return bare_call(module.to(target.device), *target, self._claim())

    def _target(self) -> Target:
        return Target(torch_device(self.config.device), torch.float16 if self.config.fp16 else torch.float32)

    def _claim(self) -> ThreadClaim:
        return claim_threads(self.config.num_threads, self.config.name)

    def _source(self, path: Path, weights: Weights) -> Source:
        """What makes the module: the factory that was given, else the one that a file names and that may be called."""
        if self._factory is not None:
            return self._factory
        for named, file in ((named_beside(path), path.with_name(SETTINGS)), (weights.factory, path)):
            if named is not None:
                return admit(named, file, trusted=self.config.trusted)
        raise ModelLoadError(
            "a state dict needs the module it belongs to, and no factory was given",
            hint='TorchBackend(config, factory="package.module:function")',
        )

    def _from_archive(self, path: Path, kind: Format, target: Target) -> TorchSession:
        with verified_copy(path, kind, self.config) as copy:
            claim = self._claim()
            network = load_archive(copy, kind, *target)
            try:
                return TorchSession(network, self.config, *target, claim)
            except RuntimeError as error:
                if "unmatched dtype" in str(error):  # how native code says it
                    raise wrong_precision(target.dtype) from error
                raise

    def _from_weights(self, prototype: Prototype, weights: Weights, kind: Format, target: Target) -> TorchSession:
        claim = self._claim()
        sessions: dict[str, TorchSession] = {}
        wanted = prototype.executions
        for execution in reversed(wanted):  # eager last: its plan says why it is alone
            module = prototype.with_weights(weights.tensors, execution, target.device)
            check_precision([*module.parameters(), *module.buffers()], target.dtype, convertible=True)
            plan = {"format": str(kind), "execution": execution}
            if prototype.refused is not None:
                plan["refused"] = prototype.refused
            # The method itself: calling a compiled module costs more.
            network = Network(module.forward if execution == "script" else module, weights.metadata, plan)
            try:
                sessions[execution] = TorchSession(network, self.config, *target, claim)
            except (RuntimeError, torch.jit.Error) as error:
                if execution == "eager" or "eager" not in wanted:
                    raise
                prototype.drop(execution, error)
        candidates = [sessions[name] for name in EXECUTIONS if name in sessions]
        best = fastest_equal(candidates, candidates[0].usual_shape)
        prototype.keep(best.plan["execution"])
        return best


TchBackend = TorchBackend
"""The scenario's other name for it."""
