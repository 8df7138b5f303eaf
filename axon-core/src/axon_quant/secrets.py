"""Secrets as a type: a value that nothing prints, stores or sends by accident.

A configuration names where a secret is (`env:NAME` or `file:PATH`) and never holds the secret itself. No error here
repeats what it was given: whatever stands in the place of a secret may be one.
"""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, final

from axon_quant.errors import ConfigError

_LARGEST = 65_536
_MASK = "***"


@final
class Secret:
    """A string that only `reveal()` gives away.

    repr, str and format give `***`. Encoding it as JSON, pickling and copying raise TypeError, so that a secret leaves
    the process only where the code says so. Comparison takes constant time; a secret has no hash. Raises TypeError for
    anything but a string and ValueError for an empty one.
    """

    __slots__ = ("_reveal",)
    _reveal: Callable[[], str]

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError("a secret is a string")
        if not value:
            raise ValueError("a secret must not be empty")
        # A closure, so that a tool that walks slots or `vars()` finds a function and not the text.
        object.__setattr__(self, "_reveal", lambda: value)

    @classmethod
    def from_source(cls, source: str, folder: Path | None = None) -> Secret:
        """The secret that `source` points to: `env:NAME`, or `file:PATH` relative to `folder`.

        A file must be readable by its owner only; a line break at its end is left out. Raises ConfigError, which never
        repeats `source`, when it is a literal secret, or when the variable or the file is missing or unfit.
        """
        scheme, name = _source(source)
        if scheme == "env":
            return cls(_from_environment(name))
        return cls(_from_file((Path.cwd() if folder is None else folder) / name))

    @classmethod
    def unread(cls, source: str) -> Secret:
        """A stand-in for whoever needs no secret: it is `source` itself. Raises ConfigError for a literal secret."""
        _source(source)
        return cls(source)

    def reveal(self) -> str:
        """The secret itself. Hand it to what needs it; do not keep it."""
        return self._reveal()

    def __repr__(self) -> str:
        return _MASK

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return _MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    __hash__ = None  # type: ignore[assignment]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a secret cannot be changed")

    def __copy__(self) -> NoReturn:
        raise TypeError("a secret cannot be copied; pass it on")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("a secret cannot be copied; pass it on")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret cannot be pickled; pass where it comes from instead")


def _source(source: str) -> tuple[str, str]:
    scheme, _, name = source.partition(":")
    if name and scheme in ("env", "file"):
        return scheme, name
    raise ConfigError(
        "a secret must not stand in the configuration",
        hint="write 'env:NAME' or 'file:PATH', and replace this secret if the file was ever shared",
    )


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigError(
            "the environment variable that it names is not set or empty", hint="export it before axon starts"
        )
    return value


def _from_file(path: Path) -> str:
    try:
        # Non-blocking, because opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise ConfigError(
            f"the file that it names cannot be read: {reason}",
            hint="relative paths start at the configuration's folder",
        ) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError("the file that it names is not a regular file")
        if os.name == "posix" and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError("the file that it names is open to the group or to everyone", hint="chmod 600 it")
        data = os.read(descriptor, _LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(data) > _LARGEST:
        raise ConfigError(f"the file that it names is larger than {_LARGEST} bytes")
    try:
        text = data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError("the file that it names is not UTF-8 text") from None
    if not text:
        raise ConfigError("the file that it names is empty")
    return text
