"""A rollout from a configuration."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import attrs

from axon_quant.config import Config
from axon_quant.config.rollout import RolloutEntry
from axon_quant.config.schema import ModelEntry
from axon_quant.errors import ConfigError, ModelCheckError
from axon_quant.events import Emit
from axon_quant.inference.backend import Backend
from axon_quant.runtime.rollout.assignment import Assignment
from axon_quant.runtime.rollout.comparison import Comparison
from axon_quant.runtime.rollout.memory import LabelStore, Memory, memory_file
from axon_quant.runtime.rollout.rollout import Rollout
from axon_quant.runtime.rollout.shadow import InlineShadow, ThreadShadow
from axon_quant.runtime.rollout.split import SplitModel

logger = logging.getLogger("axon_quant.rollout")


@attrs.frozen
class Plan:
    """A rollout that is ready to begin: its candidate is loaded and fits, its steps have keys to decide for."""

    entry: RolloutEntry
    split: SplitModel
    candidate: Backend
    shares: tuple[float, ...]
    canaries: Callable[[float], tuple[str, ...]]

    def members(self, backends: Sequence[Backend]) -> list[object]:
        """The members of the ensemble: `backends`, with the split in place of the one under rollout."""
        return [self.split if backend is self.split.stable else backend for backend in backends]

    def start(
        self,
        config: Config,
        *,
        live: bool,
        emit: Emit,
        note: Callable[[str, Mapping[str, object]], object],
        reactivate: Callable[[str], None],
        labels: LabelStore | None,
    ) -> Rollout:
        """The rollout of a run. In a replay the shadow is asked at once and nothing outlives the run."""
        comparison = Comparison(
            self.entry.gate, self.candidate.model.actions, config.ensemble.horizon_rows, relative=live
        )
        return Rollout(
            self.entry,
            self.split,
            self.candidate,
            shares=self.shares,
            canaries=self.canaries,
            comparison=comparison,
            shadow=ThreadShadow(self.entry.queue) if live else InlineShadow(),
            emit=emit,
            note=note,
            reactivate=reactivate,
            memory=Memory(memory_file(config.journal.path), labels) if live else Memory(),
        )


def plan_rollout(config: Config, backends: Sequence[Backend], load: Callable[[ModelEntry], Backend]) -> Plan | None:
    """Load the candidate of [rollout], if there is one; `load` is how models are.

    Raises what `load` raises, ModelCheckError for a candidate that cannot stand in for its model, and ConfigError for
    shares that choose no key.
    """
    entry = config.rollout
    if entry is None:
        return None
    index = [model.name for model in config.models].index(entry.model)
    stable, own = backends[index], config.models[index]
    candidate = load(
        attrs.evolve(
            own,
            name=f"{entry.model}:candidate",
            path=entry.path,
            builtin=entry.builtin,
            stored=entry.stored,
            backend=entry.backend or own.backend,
            sha256=entry.sha256,
            trusted=entry.trusted,
        )
    )
    _require_alike(stable, candidate)
    canaries = _canaries(config, entry)
    shares = tuple(share for share in entry.shares if not share or canaries(share))
    if not any(shares) and entry.mode == "canary":
        raise ConfigError(
            f"no {entry.by} is in the canary at {max(entry.shares):g} of keys",
            hint="raise the share, choose another salt, or list keys",
        )
    for share in sorted(set(entry.shares) - set(shares)):
        logger.info("rollout of %s: the step of %g is left out, because no %s is in it", entry.model, share, entry.by)
    return Plan(entry, SplitModel(stable), candidate, shares, canaries)


def _canaries(config: Config, entry: RolloutEntry) -> Callable[[float], tuple[str, ...]]:
    """By share: the symbols that the candidate decides for."""
    assignment = Assignment(salt=entry.salt or entry.model, keys=entry.keys)
    symbols = config.market.symbols
    if entry.by == "symbol":
        return lambda share: assignment.chosen(symbols, share)
    strategy = config.strategy.name
    return lambda share: symbols if assignment.chosen((strategy,), share) else ()


def _require_alike(stable: Backend, candidate: Backend) -> None:
    mine, other = stable.model, candidate.model
    for what, expected, found in (
        ("actions", mine.actions, other.actions),
        ("input", mine.input_shape[1:], other.input_shape[1:]),
    ):
        if expected != found:
            raise ModelCheckError(
                f"{what}: expected {list(expected)}, as {mine.name} has, found {list(found)}", file=other.path
            )
