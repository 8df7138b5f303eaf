"""Pauses in a build, in which callers get the GIL.

A thread that holds the GIL in short turns, for a little Python between two short system calls, hardly lets anybody else
have it: until a waiter has woken up it is taken again, and that can go on until Python's switch interval of 5 ms forces
a switch. A build of a small model is such a thread from its beginning to its end. So it sleeps between its steps.
"""

from __future__ import annotations

import threading
import time

PAUSE = 5e-4
"""Seconds: some calls of a small model."""


class _Builds(threading.local):
    quietly = False


_this_thread = _Builds()


def pause() -> None:
    """Let callers in, if this thread builds quietly; else nothing. For builds to call between their steps."""
    if _this_thread.quietly:
        time.sleep(PAUSE)


def pauses_from_now_on() -> None:
    """Make this thread one that pauses."""
    _this_thread.quietly = True
