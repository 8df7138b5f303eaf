"""What a test asks a simulator in another process: the truth, another plan of faults, a transfer, funding."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, TypeAlias

from axon_quant.errors import ConfigError
from axon_quant.exchange.simulator.faults import FaultPlan
from axon_quant.exchange.simulator.refusals import RefusedError

if TYPE_CHECKING:
    from aiohttp import web

    from axon_quant.exchange.simulator.server import Simulator


Handler: TypeAlias = "Callable[[web.BaseRequest], Awaitable[web.Response]]"


def control(simulator: Simulator) -> dict[tuple[str, str], Handler]:
    """What answers below `/simulator`, by method and path."""
    from aiohttp import web

    async def truth(_: web.BaseRequest) -> web.Response:
        return web.json_response(simulator.truth())

    async def faults(request: web.BaseRequest) -> web.Response:
        plan = FaultPlan.of(await request.json(), seed=int(request.query.get("seed", "0")))
        plan.take_over(simulator.faults)
        simulator.faults = plan
        return web.json_response({"rules": len(plan.rules)})

    async def transfer(request: web.BaseRequest) -> web.Response:
        said = await request.json()
        accounts = {account.name: account for account in simulator.exchange.accounts.values()}
        account, asset = accounts[said["account"]], str(said["asset"])
        simulator.exchange.transfer(account, asset, Decimal(str(said["amount"])))
        return web.json_response({"free": f"{account.free(asset):f}"})

    async def swap(request: web.BaseRequest) -> web.Response:
        said, swaps = await request.json(), simulator.exchange.swaps
        symbol = swaps.instruments[said["symbol"]].symbol
        if "mark" in said:
            swaps.set_mark(symbol, None if said["mark"] is None else Decimal(str(said["mark"])))
        if "rate" in said:
            swaps.set_rate(symbol, Decimal(str(said["rate"])))
        if said.get("pay") is True:
            swaps.pay(symbol)
        mark, rate = swaps.mark(symbol), swaps.funding(symbol).rate
        return web.json_response({"mark": None if mark is None else f"{mark:f}", "rate": f"{rate:f}"})

    def reported(handler: Handler) -> Handler:
        async def handle(request: web.BaseRequest) -> web.Response:
            try:
                return await handler(request)
            except (ConfigError, RefusedError, ValueError, LookupError, TypeError, InvalidOperation) as error:
                return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)

        return handle

    return {
        ("GET", "/simulator/truth"): truth,
        ("POST", "/simulator/faults"): reported(faults),
        ("POST", "/simulator/transfer"): reported(transfer),
        ("POST", "/simulator/swap"): reported(swap),
    }
