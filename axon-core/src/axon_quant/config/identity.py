"""The identity of a configuration: a SHA-256 over what affects trading, so that every node can show what it runs.

Left out: the journal, metrics, logs, traces, operations, secrets, where files and stored versions lie, and a rollout
where there is none. A model counts by its name, a strategy's file by its file name; what is *in* those files has an
identity of its own. A default counts like the same value written out. A field that was added later counts only where it
is not at its default, so that a configuration keeps the identity it had.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from axon_quant.secrets import Secret

if TYPE_CHECKING:
    from axon_quant.config.schema import Config

_LEFT_OUT = {"folder", "journal", "logging", "metrics", "model_store", "operations", "tracing"}


def sha256_of(config: Config) -> str:
    """The hexadecimal SHA-256 of the canonical JSON of `config`."""
    tree: dict[str, Any] = {name: plain(value) for name, value in _fields(config).items() if name not in _LEFT_OUT}
    if config.rollout is None:
        del tree["rollout"]  # a configuration without one keeps the identity it had before there were rollouts
    for model, entry in zip(config.models, tree["models"], strict=True):
        if not model.reload:
            del entry["reload"]  # likewise
    tree["strategy"] = {
        "name": config.strategy.name.replace("\\", "/").rpartition("/")[2],
        "options": plain(config.strategy.options),
    }
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def plain(value: object) -> object:
    """`value` as JSON can hold it, equal numbers in one spelling; secrets and paths become None."""
    match value:
        case Secret() | Path():
            return None
        case Decimal():
            return format(value.normalize(), "f") if value else "0"
        case float():
            return int(value) if value.is_integer() else value
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
    return {name: plain(item) for name, item in _fields(value).items()} if attrs.has(type(value)) else value


def _fields(instance: Any) -> dict[str, object]:
    found = {}
    for field in attrs.fields(type(instance)):
        value = getattr(instance, field.name)
        at_default = field.metadata.get("added_later", False) and value == field.default
        if field.metadata.get("in_identity", True) and not at_default:
            found[field.name] = value
    return found
