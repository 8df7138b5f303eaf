"""How a running process is controlled from outside: one line of JSON asked over a unix socket, one answered."""

from axon_quant.control.client import ask
from axon_quant.control.halt_file import HaltFile, Standing
from axon_quant.control.server import ControlServer, Peer

__all__ = ["ControlServer", "HaltFile", "Peer", "Standing", "ask"]
