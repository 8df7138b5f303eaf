"""Where a configuration's run is controlled, read without the rest of it.

Whoever halts a run need not have its secrets in the environment, and a mistake made in the file since must not keep a
halt from coming through.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import attrs

from axon_quant.errors import ConfigError


@attrs.frozen
class ControlPaths:
    """The control socket and the halt file of a live run."""

    socket: Path
    halt_file: Path

    @classmethod
    def beside(cls, journal: Path, socket: Path | None) -> ControlPaths:
        """Those of a run with this journal; `socket` where the configuration names one."""
        return cls(socket or journal.with_name(journal.name + ".sock"), journal.with_name(journal.name + ".halted"))


def control_paths(file: str | Path) -> ControlPaths:
    """The paths that the TOML file at `file` leads to; all else in it may be wrong. Raises ConfigError."""
    file = Path(file)
    try:
        table = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError("no such file", file=file, hint="name a configuration file with -c FILE") from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=file, hint="name a file with -c FILE") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"is not valid TOML: {error}", file=file, hint="or name the run with --socket PATH") from None
    folder = file.absolute().parent
    journal, socket = _text(table, "journal", "path"), _text(table, "operations", "socket")
    if journal is None:
        raise ConfigError("has no [journal] path", file=file, hint="or name the run with --socket PATH")
    return ControlPaths.beside(folder / journal, None if socket is None else folder / socket)


def _text(table: dict[str, object], section: str, key: str) -> str | None:
    found = table.get(section)
    value = found.get(key) if isinstance(found, dict) else None
    return value if isinstance(value, str) and value and "\x00" not in value else None
