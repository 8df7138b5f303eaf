"""OKX's limits per endpoint: it counts each by itself, so that 10 balances in two seconds leave room for 60 fills.

Orders are not here: the rate budget's limit is theirs, because it may refuse one instead of holding it back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from axon_quant.clock import NANOSECONDS, Clock
from axon_quant.exchange.budget import Sleep

PERIOD = 2.1
"""Seconds. OKX's are two; requests that left in step arrive with less between them."""
LIMITS = {
    "GET /api/v5/account/balance": 10,
    "GET /api/v5/account/config": 5,
    "GET /api/v5/account/positions": 10,
    "GET /api/v5/market/history-trades": 20,
    "GET /api/v5/public/funding-rate": 10,
    "GET /api/v5/public/instruments": 20,
    "GET /api/v5/public/time": 10,
    "GET /api/v5/trade/fills": 60,
    "GET /api/v5/trade/fills-history": 10,
    "GET /api/v5/trade/order": 60,
    "GET /api/v5/trade/order-algo": 20,
    "GET /api/v5/trade/orders-algo-pending": 20,
    "GET /api/v5/trade/orders-history": 40,
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
"""Requests per two seconds."""
_BY_INSTRUMENT = frozenset({"POST /api/v5/trade/amend-order", "POST /api/v5/trade/cancel-order"})
"""Where OKX counts each instrument by itself and the difference matters."""


class Pace:
    """Waits until an endpoint may be asked once more, by a sliding window for each."""

    def __init__(self, limits: Mapping[str, int], clock: Clock, sleep: Sleep) -> None:
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._period = round(PERIOD * NANOSECONDS)
        self._taken: dict[tuple[str, str], deque[int]] = {}

    async def wait(self, endpoint: str, symbol: str | None = None) -> None:
        """Return when a request to `endpoint` may leave; it counts from then on."""
        limit = self._limits.get(endpoint)
        if limit is None:
            return
        key = endpoint, symbol if symbol is not None and endpoint in _BY_INSTRUMENT else ""
        taken = self._taken.get(key)
        if taken is None:
            taken = self._taken[key] = deque(maxlen=limit)
        while True:
            now = self._clock.now()
            if len(taken) < limit or taken[0] + self._period <= now:
                taken.append(now)
                return
            await self._sleep((taken[0] + self._period - now) / NANOSECONDS)
