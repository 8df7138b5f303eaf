"""What `axon halt`, `reduce`, `resume` and `status` share: finding the run and asking it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path)


def which_run(function: _F) -> _F:
    """The options that say which run is meant."""
    function = click.option("--socket", type=_FILE, help="Its control socket, instead of -c.")(function)
    return click.option(
        "-c", "--config", "config_file", metavar="FILE", type=_FILE, help="The TOML file that it runs with."
    )(function)


def socket_of(config_file: Path | None, socket: Path | None) -> Path:
    """The control socket that the options name."""
    if (config_file is None) == (socket is None):
        raise click.UsageError("say which run: either -c FILE or --socket PATH")
    if socket is not None:
        return socket
    assert config_file is not None  # noqa: S101 - one of them is given
    from axon_quant.config.paths import control_paths

    return control_paths(config_file).socket
