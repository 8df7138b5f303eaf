"""What the simulators of venues share: accounts and orders, a market, limits, faults, and a server. No protocol.

A venue's distribution adds its protocol: how requests, answers and streams look. Everything that is money or an order
is decided here, by the matching engine that the paper venue stands on, so that `truth()` can be trusted by tests.
"""

from axon_quant.exchange.simulator.account import Account, AccountEvent, SimulatedFill, SimulatedOrder, Transfer
from axon_quant.exchange.simulator.exchange import SimulatedExchange
from axon_quant.exchange.simulator.faults import Fault, FaultPlan, FaultRule
from axon_quant.exchange.simulator.instruments import INSTRUMENTS, START_PRICES
from axon_quant.exchange.simulator.limits import Limit, Meter, Verdict
from axon_quant.exchange.simulator.market import MarketFeed
from axon_quant.exchange.simulator.positions import PositionEvent, SimulatedPosition
from axon_quant.exchange.simulator.refusals import Refusal, RefusedError
from axon_quant.exchange.simulator.server import Answer, Asked, Charge, Simulator
from axon_quant.exchange.simulator.socket import Socket
from axon_quant.exchange.simulator.swaps import Swaps, SwapTerms

__all__ = [
    "INSTRUMENTS",
    "START_PRICES",
    "Account",
    "AccountEvent",
    "Answer",
    "Asked",
    "Charge",
    "Fault",
    "FaultPlan",
    "FaultRule",
    "Limit",
    "MarketFeed",
    "Meter",
    "PositionEvent",
    "Refusal",
    "RefusedError",
    "SimulatedExchange",
    "SimulatedFill",
    "SimulatedOrder",
    "SimulatedPosition",
    "Simulator",
    "Socket",
    "SwapTerms",
    "Swaps",
    "Transfer",
    "Verdict",
]
