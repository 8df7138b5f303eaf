"""The socket of a running process: open to its own user only, and never to two processes at once."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pwd
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import attrs

from axon_quant.control.address import reachable
from axon_quant.errors import AxonError, ControlError

logger = logging.getLogger("axon_quant.control")

_LONGEST_LINE = 65_536
_PATIENCE = 5.0
"""Seconds for a client to ask, and to take its answer."""
_CREDENTIALS = struct.Struct("3i")

Answer: TypeAlias = Mapping[str, object]
Operation: TypeAlias = "Callable[[Mapping[str, object], Peer], Awaitable[Answer]]"


@attrs.frozen
class Peer:
    """Who asks, as the kernel says; -1 where it does not say."""

    pid: int = -1
    uid: int = -1

    def __str__(self) -> str:
        if self.uid < 0:
            return "unknown"
        try:
            name = pwd.getpwuid(self.uid).pw_name
        except KeyError:
            name = "unknown"
        return f"{name} (uid {self.uid}, pid {self.pid})"


class ControlServer:
    """Answers on a unix socket with mode 0600, on the running loop; an async context manager.

    A request is one line of JSON, an object whose `op` names one of `operations`; the answer is one line with `ok`, and
    `error` where it is false. An operation gets the request and who asks; an AxonError that it raises is answered, and
    nothing that a client does ends the process. Raises ControlError when another process answers on the socket.
    """

    def __init__(self, path: str | Path, operations: Mapping[str, Operation]) -> None:
        self.path = Path(path).absolute()
        self._operations = dict(operations)
        self._server: asyncio.Server | None = None
        self._inode = 0

    async def start(self) -> None:
        """Take the socket and answer from now on. What a process left that died is removed."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._remove_stale()
            listener = self._listen()
        except OSError as error:
            raise ControlError(f"cannot be made: {error.strerror or error}", file=self.path) from error
        self._inode = self.path.lstat().st_ino
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=_LONGEST_LINE)

    async def stop(self) -> None:
        """Answer nobody any more and remove the socket: whoever looks for it sees that the end was orderly."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        with suppress(OSError):  # somebody else has removed or replaced it
            if self.path.lstat().st_ino == self._inode:
                self.path.unlink()

    async def __aenter__(self) -> ControlServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _remove_stale(self) -> None:
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise ControlError(
                "is there already, and is no socket", file=self.path, hint="give another path as [operations] socket"
            )
        with socket.socket(socket.AF_UNIX) as probe, reachable(self.path) as address:
            probe.settimeout(1.0)
            try:
                probe.connect(address)
            except ConnectionRefusedError:
                self.path.unlink()
                return
            except FileNotFoundError:
                return
            except (BlockingIOError, TimeoutError):  # nobody accepts, but somebody holds it
                pass
            holder = peer_of(probe)
        raise ControlError(
            f"another process (pid {holder.pid if holder.pid > 0 else 'unknown'}) is controlled through this socket",
            file=self.path,
            hint="stop it first, or give this run a socket of its own",
        )

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        try:
            with reachable(self.path) as address:
                listener.bind(address)
            self.path.chmod(0o600)  # nobody can connect before it listens
            listener.listen(16)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
        return listener

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            peer = peer_of(writer.get_extra_info("socket"))
            answer = await self._answer(reader, peer)
            writer.write(json.dumps(answer, default=str).encode() + b"\n")
            async with asyncio.timeout(_PATIENCE):
                await writer.drain()
        except (OSError, TimeoutError, asyncio.CancelledError) as error:
            logger.info("a client of the control socket went away: %r", error)
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, peer: Peer) -> Answer:
        if peer.uid not in (-1, 0, os.getuid()):
            return {"ok": False, "error": f"uid {peer.uid} may not control this process"}
        try:
            async with asyncio.timeout(_PATIENCE):
                line = await reader.readline()
            request = json.loads(line)
            operation = self._operations.get(request["op"])
        except (ValueError, TypeError, KeyError, RecursionError, TimeoutError):
            return {"ok": False, "error": 'a request is one line of JSON with an "op"'}
        if operation is None:
            return {"ok": False, "error": f"no such op; there are {', '.join(sorted(self._operations))}"}
        try:
            return {"ok": True, **await operation(request, peer)}
        except AxonError as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:  # reported to who asked; the run goes on
            logger.exception("the control operation %s failed", request["op"])
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}


def peer_of(connection: socket.socket) -> Peer:
    """The process at the other end of a unix socket."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return Peer()
    try:
        pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    except OSError:
        return Peer()
    return Peer(pid, uid) if pid > 0 else Peer()
