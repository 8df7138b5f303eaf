"""What stands between a halted run and its next start: a file beside the journal.

It says that the run may not trade, and why. Whoever finds it and cannot read it takes it for a halt: a full disk may
have had room for its name only.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import attrs

from axon_quant.errors import ControlError

_UNREADABLE = "the halt file does not say why; the disk may have been full"


@attrs.frozen
class Standing:
    """The state that lasts, `halted` or `reducing`, why, who brought it about, and when (UTC ns)."""

    state: str
    reason: str
    who: str = ""
    at: int = 0


class HaltFile:
    """The file at `path`; `exists` costs a microsecond or two."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._name = os.fspath(self.path)

    @property
    def exists(self) -> bool:
        """Whether the run may not trade as it likes."""
        return os.path.exists(self._name)  # noqa: PTH110 - it is asked before every order

    def read(self) -> Standing | None:
        """What it says; None when it is not there."""
        try:
            found = json.loads(self.path.read_bytes())
            standing = Standing(found["state"], found["reason"], found["who"], found["at"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            return Standing("halted", _UNREADABLE)
        return standing if standing.state == "reducing" else attrs.evolve(standing, state="halted")

    def write(self, standing: Standing) -> None:
        """Make it durable. Raises ControlError when not even an empty file can be made."""
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        try:
            try:
                with temporary.open("wb") as file:
                    file.write(json.dumps(attrs.asdict(standing), indent=2).encode() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(self.path)
            except OSError:
                temporary.unlink(missing_ok=True)
                # An empty file takes no space, and is read as a halt.
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644))
            self._sync_folder()
        except OSError as error:
            raise ControlError(
                f"the halt cannot be kept for the next start: {error.strerror or error}",
                file=self.path,
                hint="do not start the run again before it can",
            ) from error

    def remove(self) -> None:
        """A human resumed."""
        try:
            self.path.unlink(missing_ok=True)
            self._sync_folder()
        except OSError as error:
            raise ControlError(f"cannot be removed: {error.strerror or error}", file=self.path) from error

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
