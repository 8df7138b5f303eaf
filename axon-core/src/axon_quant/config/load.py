"""From a file, or its text, to a Config or one error with every mistake."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias, cast

from axon_quant.config.checks import CHECKS
from axon_quant.config.lines import key_lines
from axon_quant.config.reader import Check, Reader
from axon_quant.config.schema import Config
from axon_quant.errors import ConfigError

_POSITION = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")

Checks: TypeAlias = Mapping[type, tuple[Check, ...]]
"""What to look at in each kind of section."""

_NONE: Final[Checks] = MappingProxyType({})


def load_config(path: str | Path, *, secrets: bool = True, also: Checks = _NONE) -> Config:
    """The configuration in the TOML file at `path`. Paths in it start at its folder, wherever the process runs.

    Without `secrets` they are not read, and what stands for them is of no use at a venue. `also` are checks that need
    more than the file, such as what is installed (`axon_quant.runtime.names`). Raises ConfigError when the file cannot
    be read, is not TOML, or has mistakes: `problems` lists them all, each with its line. No error repeats a secret.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError("no such file", file=path, hint="name a configuration file with -c FILE") from None
    except IsADirectoryError:
        raise ConfigError("is a folder", file=path, hint="name the configuration file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise ConfigError(f"cannot be read: {reason}", file=path, hint="check the path and its permissions") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError("is not UTF-8 text", file=path, line=line, hint="save it as UTF-8") from None
    return parse_config(text, path, secrets=secrets, also=also)


def parse_config(text: str, file: str | Path, *, secrets: bool = True, also: Checks = _NONE) -> Config:
    """The configuration in a TOML text. `file` names it in errors, and its folder is where relative paths start.

    Raises ConfigError as `load_config` does.
    """
    try:
        table = tomllib.loads(text)
        lines = key_lines(text)
    except RecursionError:
        raise ConfigError("is nested too deeply", file=file) from None
    except ValueError as error:
        raise _syntax_error(error, text, file) from None
    folder = Path(file).absolute().parent
    checks = {kind: (*CHECKS.get(kind, ()), *also.get(kind, ())) for kind in CHECKS.keys() | also.keys()}
    reader = Reader(str(file), lines, folder, checks, secrets=secrets)
    config = reader.section(Config, table, (), folder=folder)
    if reader.problems:
        problems = tuple(sorted(reader.problems, key=lambda problem: (problem.line or 0, problem.key)))
        count = "one mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        raise ConfigError(f"has {count}", problems=problems, file=file)
    return cast(Config, config)


def _syntax_error(error: ValueError, text: str, file: str | Path) -> ConfigError:
    message = str(error)
    position = _POSITION.search(message)
    line = None
    if position is not None:
        message = message[: position.start()]
        line = int(position[1]) if position[1] else len(text.splitlines())
    return ConfigError(f"is not valid TOML: {message}", file=file, line=line)
