"""Commands whose stderr is JSON where that is asked for, their errors included."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from axon_quant.cli import FAILED, INTERRUPTED, USAGE
from axon_quant.errors import AxonError, ConfigError
from axon_quant.logs import log_json


@contextmanager
def logged_as(asked: str | None) -> Iterator[Callable[[], None]]:
    """Have errors logged, not printed, once logs are JSON: now if `json` is `asked`, or when what it gives is called.

    Exit codes are as without.
    """
    in_json = False

    def begin() -> None:
        nonlocal in_json
        if not in_json:
            in_json = True
            log_json()

    if asked == "json":
        begin()
    try:
        yield begin
    except (AxonError, click.ClickException, KeyboardInterrupt) as error:
        if not in_json:
            raise
        sys.exit(_log(error))


def _log(error: BaseException) -> int:
    logger = logging.getLogger("axon_quant.cli")
    if isinstance(error, KeyboardInterrupt):
        logger.warning("interrupted")
        return INTERRUPTED
    logger.critical("%s", error.format_message() if isinstance(error, click.ClickException) else error)
    if isinstance(error, click.ClickException):
        return error.exit_code
    return USAGE if isinstance(error, ConfigError) else FAILED
