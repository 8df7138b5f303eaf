"""OKX's limits per endpoint: it counts each by itself, so that 10 balances in two seconds leave room for 60 fills.

Orders are not here: the rate budget's limit is theirs, because it may refuse one instead of holding it back.
"""

from __future__ import annotations

from collections import deque

from axon_quant.clock import NANOSECONDS, Clock
from axon_quant.exchange.budget import Sleep

PERIOD = 2.1
"""Seconds. OKX's are two; requests that left in step arrive with less between them."""
LIMITS = {
    "GET /api/v5/account/balance": 10,
    "GET /api/v5/account/config": 5,
    "GET /api/v5/account/positions": 10,
    "GET /api/v5/public/funding-rate": 10,
    "GET /api/v5/public/instruments": 20,
    "GET /api/v5/public/time": 10,
    "GET /api/v5/trade/fills": 60,
    "GET /api/v5/trade/fills-history": 10,
    "GET /api/v5/trade/order": 60,
    "GET /api/v5/trade/order-algo": 20,
    "GET /api/v5/trade/orders-algo-pending": 20,
    "GET /api/v5/trade/orders-pending": 60,
    "POST /api/v5/account/set-leverage": 20,
    "POST /api/v5/trade/amend-algos": 20,
    "POST /api/v5/trade/amend-order": 60,
    "POST /api/v5/trade/cancel-algos": 20,
    "POST /api/v5/trade/cancel-all-after": 2,
    "POST /api/v5/trade/cancel-batch-orders": 15,  # 300 orders, 20 in each
    "POST /api/v5/trade/cancel-order": 60,
    "POST /api/v5/trade/order-algo": 20,
}
"""Requests per two seconds. Where OKX counts per instrument, ours are per account, which is never more."""


class Pace:
    """Waits until an endpoint may be asked once more, by a sliding window for each."""

    def __init__(self, clock: Clock, sleep: Sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._period = round(PERIOD * NANOSECONDS)
        self._taken = {endpoint: deque[int](maxlen=limit) for endpoint, limit in LIMITS.items()}

    async def wait(self, endpoint: str) -> None:
        """Return when a request to `endpoint` may leave; it counts from then on."""
        taken = self._taken.get(endpoint)
        if taken is None:
            return
        while True:
            now = self._clock.now()
            if len(taken) < LIMITS[endpoint] or taken[0] + self._period <= now:
                taken.append(now)
                return
            await self._sleep((taken[0] + self._period - now) / NANOSECONDS)
