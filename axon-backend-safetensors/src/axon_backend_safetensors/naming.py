"""What a model is, by the names of its tensors, where nothing else says it.

A Sequential (`0.weight`, `net.2.bias`, …) starts with a flatten and goes through its Linear and LayerNorm layers in the
order of their numbers; where numbers are left out between two of them there is one activation, after the last none.
Convolutions, attention and recurrent layers have settings that names do not tell, and are refused.

A policy of Stable-Baselines3 is known by `mlp_extractor.policy_net` and `action_net` (PPO, A2C: tanh), or by
`q_net.q_net` (DQN: ReLU). What only training needs is ignored: VALUE_NETS.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from axon_backend_safetensors.reader import Tensors
from axon_quant.errors import ModelLoadError

VALUE_NETS = ("mlp_extractor.value_net.*", "value_net.*", "q_net_target.*")
"""Tensors of a Stable-Baselines3 policy that have no part in choosing an action."""

_NUMBERED = re.compile(r"(?P<prefix>(?:.+\.)?)(?P<number>\d{1,6})\.(?P<kind>weight|bias)")
_HINT = 'describe the layers in a config.json beside the file, or in its metadata under "axon.architecture"'


def infer(tensors: Tensors, activation: str | None) -> tuple[list[object], tuple[str, ...]]:
    """(layers, patterns of tensors to ignore). Raises ModelLoadError where the names leave something open."""
    names = set(tensors)
    if "action_net.weight" in names or any(name.startswith("mlp_extractor.") for name in names):
        if "log_std" in names:
            raise ModelLoadError(
                "a continuous policy (log_std) has no score per action", hint="train on Discrete actions"
            )
        ignored = _matching(names, VALUE_NETS[:2])
        chosen = {name for name in names if not any(fnmatchcase(name, pattern) for pattern in ignored)}
        hidden = {name for name in chosen if name.startswith("mlp_extractor.policy_net.")}
        layers = _sequential(hidden, tensors, activation or "tanh", last=False) if hidden else [{"type": "flatten"}]
        return [*layers, {"type": "linear", "name": "action_net"}], ignored
    if any(name.startswith("q_net.q_net.") for name in names):
        ignored = _matching(names, VALUE_NETS[2:])
        chosen = {name for name in names if name.startswith("q_net.q_net.")}
        return _sequential(chosen, tensors, activation or "relu", last=True), ignored
    return _sequential(names, tensors, activation or "relu", last=True), ()


def _matching(names: set[str], patterns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(pattern for pattern in patterns if any(fnmatchcase(name, pattern) for name in names))


def _sequential(names: set[str], tensors: Tensors, activation: str, *, last: bool) -> list[object]:
    """The layers of one Sequential; `last`: no activation follows it."""
    matches = {name: _NUMBERED.fullmatch(name) for name in names}
    strangers = sorted(name for name, match in matches.items() if match is None)
    prefixes = sorted({match["prefix"] for match in matches.values() if match is not None})
    if strangers or len(prefixes) != 1:
        found = strangers or prefixes
        raise ModelLoadError(
            f"the names of the tensors do not tell the architecture: {', '.join(map(repr, found[:8]))}", hint=_HINT
        )
    numbers = sorted({int(match["number"]) for match in matches.values() if match is not None})
    layers: list[object] = [{"type": "flatten"}]
    before: tuple[int, str] | None = None
    for number in numbers:
        name = f"{prefixes[0]}{number}"
        kind = _kind(name, tensors)
        if before is not None:
            if number > before[0] + 1:
                layers.append({"type": activation})
            elif (before[1], kind) == ("linear", "linear"):
                raise ModelLoadError(
                    f"{name!r} follows a Linear at once: the names do not tell whether an activation is between them",
                    hint=_HINT,
                )
        layers.append({"type": kind, "name": name})
        before = (number, kind)
    return layers if last else [*layers, {"type": activation}]


def _kind(name: str, tensors: Tensors) -> str:
    rank = len(tensors.shape(f"{name}.weight"))
    if rank not in (1, 2):
        raise ModelLoadError(f"{name!r} has settings that names do not tell (stride, padding, …)", hint=_HINT)
    return "linear" if rank == 2 else "layer_norm"
