"""From a name in the configuration to a strategy, with its options checked against the constructor."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from hashlib import sha256
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from axon_quant.errors import AxonError, ConfigError, Problem
from axon_quant.orders.types import to_decimal
from axon_quant.strategy.base import Strategy
from axon_quant.strategy.target import TargetPosition

BUILTIN: dict[str, type[Strategy]] = {"target-position": TargetPosition}

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Decimal: "a number"}


def load_strategy(name: str, options: Mapping[str, object], folder: Path) -> Strategy:
    """The strategy `name` names, constructed with `options`.

    `name` is a built-in (`target-position`), `module:Class`, or `file.py:Class` relative to `folder`. Raises
    ConfigError for a name that leads nowhere, a class that is no Strategy, and, all at once, for every option that the
    constructor does not take, lacks, or takes with another type.
    """
    strategy = _find(name, folder)
    try:
        return strategy(**_check_options(strategy, options))
    except ConfigError:
        raise
    except (AxonError, ValueError, TypeError) as error:
        raise ConfigError(f"strategy {name} cannot be made from its options: {error}") from error


def _find(name: str, folder: Path) -> type[Strategy]:
    if ":" not in name:
        if name in BUILTIN:
            return BUILTIN[name]
        raise ConfigError(
            f"there is no strategy {name!r}",
            hint=_did_you_mean(name, BUILTIN) or f"built in: {', '.join(BUILTIN)}; your own: 'file.py:MyStrategy'",
        )
    where, _, attribute = name.rpartition(":")
    module = _import_file(folder / where) if where.endswith(".py") else _import(where)
    found = getattr(module, attribute, None)
    if found is None:
        classes = [key for key, value in vars(module).items() if _is_strategy(value)]
        raise ConfigError(
            f"{where} has no class {attribute!r}",
            hint=_did_you_mean(attribute, classes) or f"its strategies: {', '.join(classes) or 'none'}",
        )
    if not _is_strategy(found):
        raise ConfigError(f"{name} is not a subclass of axon_quant.strategy.Strategy")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise ConfigError(f"{name} does not write {missing}")
    return found  # type: ignore[no-any-return]  # _is_strategy checked it


def _is_strategy(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Strategy) and value is not Strategy


def _import(module: str) -> ModuleType:
    try:
        return import_module(module)
    except Exception as error:
        raise ConfigError(f"strategy module {module} cannot be imported: {type(error).__name__}: {error}") from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError("the strategy's file does not exist", file=path)
    # Two files of the same name in two folders are two modules.
    name = f"axon_strategy_{path.stem}_{sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError("the strategy's file is not a Python module", file=path)
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(
            f"the strategy's file cannot be imported: {type(error).__name__}: {error}", file=path
        ) from error
    return module


def _check_options(strategy: type[Strategy], options: Mapping[str, object]) -> dict[str, object]:
    """The options as the constructor wants them; raises one ConfigError with every problem."""
    signature = inspect.signature(strategy)
    try:
        hints = get_type_hints(strategy.__init__)
    except NameError:  # annotations that exist for type checkers only: names are still checked
        hints = {}
    named = {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values())
    problems = []
    values: dict[str, object] = {}
    for key, value in options.items():
        if key in named:
            try:
                values[key] = _convert(value, hints.get(key, Any))
            except TypeError as error:
                problems.append(_problem(key, str(error)))
        elif takes_any:
            values[key] = value
        else:
            hint = _did_you_mean(key, named) or f"known: {', '.join(named) or 'none'}"
            problems.append(_problem(key, f"unknown option; {hint}"))
    for key, parameter in named.items():
        if parameter.default is parameter.empty and key not in options:
            problems.append(_problem(key, "required, and missing"))
    if problems:
        raise ConfigError(f"{strategy.__name__} cannot be made from its options", problems=tuple(problems))
    return values


def _convert(value: object, wanted: Any) -> object:
    """`value` as the annotated type; TypeError says what was expected. Numbers are never guessed from text, except
    Decimals, which TOML has no other exact way to write."""
    if wanted is Any:
        return value
    if get_origin(wanted) in (Union, UnionType):
        return _convert_to_one(value, get_args(wanted))
    if wanted is Decimal and isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return to_decimal(value)
        except InvalidOperation:
            raise TypeError(_expected(wanted, value)) from None
    if wanted is float and type(value) is int:
        return float(value)
    plain = get_origin(wanted) or wanted
    if plain is tuple and isinstance(value, list):
        return tuple(value)
    if isinstance(plain, type) and (not isinstance(value, plain) or (plain is int and isinstance(value, bool))):
        raise TypeError(_expected(wanted, value))
    return value


def _convert_to_one(value: object, choices: tuple[Any, ...]) -> object:
    # An exact number is worth more than the float or text it might also be.
    for choice in sorted(choices, key=lambda choice: choice is not Decimal):
        try:
            return _convert(value, choice)
        except TypeError:
            continue
    words = dict.fromkeys(_word(choice) for choice in choices if choice is not NoneType)
    if Decimal in choices:
        words.pop(_WORDS[str], None)
    raise TypeError(f"expected {' or '.join(words)}, got {value!r}")


def _expected(wanted: Any, value: object) -> str:
    return f"expected {_word(wanted)}, got {value!r}"


def _word(wanted: Any) -> str:
    return _WORDS.get(wanted) or str(getattr(wanted, "__name__", wanted))


def _problem(key: str, message: str) -> Problem:
    return Problem("", None, f"strategy.options.{key}", message)


def _did_you_mean(word: str, known: Mapping[str, object] | list[str]) -> str:
    close = get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else ""
