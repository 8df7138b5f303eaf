"""Whoever operates a live run: told what it does, halts it, resumes it, and cancels for it when it hangs.

`operations` answers the control socket and halts by itself, `halting` cancels what is open, `status` is what it tells;
`watchdog` is a process of its own, and `sweeping` cancels orders that nobody is left to know of.
"""

from axon_quant.runtime.operations.operations import Operations

__all__ = ["Operations"]
