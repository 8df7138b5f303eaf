"""Whether what a configuration names is there: plugins and strategies. Nothing behind a plugin's name is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from axon_quant.config import Config, EnsembleConfig, ExchangeEntry, ModelEntry, load_config
from axon_quant.config.load import Checks
from axon_quant.config.reader import Mistake, suggestion
from axon_quant.errors import ConfigError, PluginError
from axon_quant.plugins import installed
from axon_quant.strategy.loading import BUILTIN, load_strategy

if TYPE_CHECKING:
    from pathlib import Path


def load_runnable(path: str | Path) -> Config:
    """The configuration at `path` as `load_config` reads it, held against what is installed as well.

    Raises ConfigError with every mistake of both kinds. A strategy of the user's own is not imported, so its options
    are checked only when it is.
    """
    return load_config(path, also=NAMES)


def _plugin(kind: str, field: str) -> Callable[[object], Iterator[Mistake]]:
    def check(section: object) -> Iterator[Mistake]:
        try:
            installed().check(kind, getattr(section, field))
        except PluginError as error:
            yield (field,), _text(error)

    return check


def _backend_is_there(model: ModelEntry) -> Iterator[Mistake]:
    if model.stored is None:  # the store knows the backend of its versions
        yield from _plugin("backend", "backend")(model)


def _builtin_strategy_takes_its_options(config: Config) -> Iterator[Mistake]:
    name = config.strategy.name
    if ":" in name or name.endswith(".py"):
        return
    if name not in BUILTIN:
        hint = suggestion(name, BUILTIN) or f"; built in: {', '.join(BUILTIN)}, and your own as 'FILE.py:CLASS'"
        yield ("strategy", "name"), f"there is no strategy {name!r}{hint}"
        return
    try:
        load_strategy(name, config.strategy.options, config.folder)
    except ConfigError as error:
        for problem in error.problems:
            yield tuple(problem.key.split(".")), problem.message
        if not error.problems:
            yield ("strategy", "options"), _text(error)


def _text(error: PluginError | ConfigError) -> str:
    return error.message if error.hint is None else f"{error.message}; {error.hint}"


NAMES: Final[Checks] = {
    ModelEntry: (_backend_is_there,),
    EnsembleConfig: (_plugin("ensemble", "strategy"),),
    ExchangeEntry: (_plugin("exchange", "name"),),
    Config: (_builtin_strategy_takes_its_options,),
}
