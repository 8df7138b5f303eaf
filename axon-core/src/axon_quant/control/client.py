"""Asking a running process."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from time import monotonic

from axon_quant.control.address import reachable
from axon_quant.errors import ControlError, NoAnswerError, NotRunningError

_LONGEST = 16 << 20


def ask(path: str | Path, op: str, *, timeout: float = 10.0, **parameters: object) -> dict[str, object]:
    """The answer of the process behind the socket at `path`.

    Raises NotRunningError when there is none, NoAnswerError when it has not answered after `timeout` seconds, and
    ControlError when it refuses.
    """
    path = Path(path).absolute()
    deadline = monotonic() + timeout
    received = bytearray()
    try:
        with socket.socket(socket.AF_UNIX) as connection, reachable(path) as address:
            connection.settimeout(timeout)
            connection.connect(address)
            connection.sendall(json.dumps({"op": op, **parameters}).encode() + b"\n")
            while not received.endswith(b"\n"):
                connection.settimeout(max(deadline - monotonic(), 0.001))
                part = connection.recv(65_536)
                if not part or len(received) > _LONGEST:
                    break
                received += part
    except FileNotFoundError:
        raise NotRunningError(
            "no run is controlled through this socket", file=path, hint="is it running, with this configuration?"
        ) from None
    except ConnectionRefusedError:
        raise NotRunningError(
            "the run that was controlled through this socket has died", file=path, hint="start it again; see its log"
        ) from None
    except (TimeoutError, BlockingIOError):
        raise NoAnswerError(f"no answer within {timeout:g} s", file=path, hint="the process may hang") from None
    except OSError as error:
        raise ControlError(f"cannot be asked: {error.strerror or error}", file=path) from error
    try:
        answer = json.loads(received)
    except ValueError:
        raise NoAnswerError("the process went away instead of answering", file=path) from None
    if not isinstance(answer, dict) or answer.pop("ok", None) is not True:
        reason = answer.get("error") if isinstance(answer, dict) else answer
        raise ControlError(f"{op} was refused: {reason}")
    return answer
