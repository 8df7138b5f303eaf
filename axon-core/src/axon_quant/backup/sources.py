"""What a configuration consists of: its files, and where in a backup they go."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import attrs

from axon_quant.backup.relocating import paths_in, refuse_commented_secrets, relocated
from axon_quant.config import Config, load_config
from axon_quant.config.lines import KeyPath
from axon_quant.config.reader import dotted
from axon_quant.inference import InferenceBackend, ModelConfig
from axon_quant.inference.files import ModelFiles
from axon_quant.plugins import load_backend
from axon_quant.runtime.keeping import archive_folder

_OUTSIDE = "outside"


@attrs.frozen
class Sources:
    """Names in the backup (relative paths, `/` between their parts), and what is copied there.

    `text` is the configuration with every path inside its folder; `moved` says what they were. `stores` are folders of
    model versions, `models` what model files are made of when they are asked.
    """

    file: Path
    config: str
    text: str
    sha256: str
    moved: dict[str, str]
    journal: str
    journal_path: Path
    files: dict[str, Path]
    stores: dict[str, Path]
    models: dict[str, Callable[[], ModelFiles]]

    @property
    def size(self) -> int:
        """In bytes, about."""
        paths = [self.journal_path, *self.files.values(), *self.stores.values()]
        found = [path for given in paths for path in (given, *given.rglob("*")) if path.is_file()]
        return sum(path.stat().st_size for path in found)


def find_sources(file: Path) -> Sources:
    """What the configuration in `file` consists of. Raises ConfigError and BackupError."""
    config = load_config(file, secrets=False)
    text = file.read_bytes().decode("utf-8-sig")
    refuse_commented_secrets(text, file)
    names, changes, moved = _names(config, tomllib.loads(text))
    strategy = _strategy(config)
    if strategy is not None:
        name = _inside(PurePath(strategy)) or f"{_OUTSIDE}/strategy/{PurePath(strategy).name}"
        names["strategy", "name"] = name
        if name != strategy:
            given = config.strategy.name
            changes["strategy", "name"] = name + given.removeprefix(strategy)
            moved["strategy.name"] = given
    text = relocated(text, changes, file)
    journal = names["journal", "path"]
    files: dict[str, Path] = {}
    if strategy is not None:
        files[names["strategy", "name"]] = config.folder / strategy
    if config.control.halt_file.exists():
        files[f"{journal}.halted"] = config.control.halt_file
    stores = {} if config.model_store is None else {names["model_store", "path"]: config.model_store.path}
    stores[archive_folder(Path(journal)).as_posix()] = archive_folder(config.journal.path)
    return Sources(
        file.absolute(),
        file.name,
        text,
        config.sha256,
        moved,
        journal,
        config.journal.path,
        files,
        {name: path for name, path in stores.items() if (path / "history.jsonl").exists()},
        _models(config, names),
    )


def _names(config: Config, table: dict[str, Any]) -> tuple[dict[KeyPath, str], dict[KeyPath, str], dict[str, str]]:
    """Of every path: its name in the backup; where that is another path: the new one, and the old one."""
    names: dict[KeyPath, str] = {}
    changes: dict[KeyPath, str] = {}
    moved: dict[str, str] = {}
    for key, path in paths_in(config):
        if key == ("operations", "socket"):  # a place, not a file
            continue
        given: Any = table
        for part in key:
            given = given[part]
        name = _inside(PurePath(given))
        if name is None:
            folder = "-".join(str(part) for part in key)
            name = f"{_OUTSIDE}/{folder}/{path.name}"
            changes[key], moved[dotted(key)] = name, given
        names[key] = name
    return names, changes, moved


def _inside(path: PurePath) -> str | None:
    """The path, plainly written, if it stays in the folder that it is relative to."""
    plain = PurePath(os.path.normpath(path))
    return None if plain.is_absolute() or plain.parts[:1] in ((), ("..",)) else plain.as_posix()


def _strategy(config: Config) -> str | None:
    """The file in the strategy's name, if it is one."""
    where, colon, _ = config.strategy.name.rpartition(":")
    return where if colon and where.endswith(".py") else None


def _models(config: Config, names: dict[KeyPath, str]) -> dict[str, Callable[[], ModelFiles]]:
    found: dict[str, Callable[[], ModelFiles]] = {}
    backends = {entry.name: entry.backend for entry in config.models}
    for index, entry in enumerate(config.models):
        if entry.path is not None:
            found[names["models", index, "path"]] = _asked(entry.path, entry.backend)
    rollout = config.rollout
    if rollout is not None and rollout.path is not None:
        found[names["rollout", "path"]] = _asked(rollout.path, rollout.backend or backends[rollout.model])
    return found


def _asked(path: Path, backend: str) -> Callable[[], ModelFiles]:
    """Which files a model is made of is for its backend to say."""
    engine = load_backend(backend)(ModelConfig(path, InferenceBackend(backend)))
    return lambda: engine.files(path)
