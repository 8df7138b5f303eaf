"""What can be asked of OKX, and how often."""

from __future__ import annotations

from typing import Any, NamedTuple

from axon_quant.exchange.simulator import Account

PERIOD = 2.0
"""Seconds that OKX's limits count in."""
ORDERS = 1_000
"""Orders that an account may place or amend in that time."""
SUBSCRIPTIONS = 480
"""Logins and subscriptions that a connection may ask for in an hour."""


class Request(NamedTuple):
    """`limit` of them pass in `PERIOD`: for an address, for an account where they are signed, or for an account and an
    instrument. A batch has at most `batch` parts, which are counted one by one; one alone counts as `single`."""

    name: str
    limit: int = 20
    signed: bool = True
    changes: bool = False
    by_instrument: bool = False
    batch: int = 0
    single: str = ""

    @property
    def takes_orders(self) -> bool:
        """Whether it places or amends orders: it may have an expTime, and counts on the account's limit."""
        return self.name in ("order.place", "orders.place", "order.amend", "orders.amend")


class Call(NamedTuple):
    """What a client asks: by REST, where its key is yet to be checked, or on a WebSocket that has logged in.

    `given` are parameters, or the body as it came; None when that is no JSON.
    """

    request: Request
    given: Any
    account: Account | None = None
    expires: str = ""

    @property
    def parts(self) -> list[dict[str, Any]]:
        """The bodies of a batch, or the one that there is."""
        every = self.given if isinstance(self.given, list) else [self.given]
        return [one for one in every if isinstance(one, dict)]


NOWHERE = Request("", 100, signed=False)


def _trade(name: str, limit: int = 60, batch: int = 0, single: str = "") -> Request:
    return Request(name, limit, changes=True, by_instrument=True, batch=batch, single=single)


REST = {
    ("GET", "/api/v5/public/time"): Request("time", 10, signed=False),
    ("GET", "/api/v5/public/instruments"): Request("instruments", 20, signed=False),
    ("GET", "/api/v5/public/funding-rate"): Request("funding", 20, signed=False),
    ("GET", "/api/v5/public/mark-price"): Request("mark", 10, signed=False),
    ("GET", "/api/v5/system/status"): Request("status", 1, signed=False),
    ("GET", "/api/v5/market/ticker"): Request("ticker", 20, signed=False),
    ("GET", "/api/v5/market/tickers"): Request("tickers", 20, signed=False),
    ("GET", "/api/v5/market/books"): Request("books", 40, signed=False),
    ("GET", "/api/v5/market/trades"): Request("trades", 100, signed=False),
    ("GET", "/api/v5/market/history-trades"): Request("trades.history", 20, signed=False),
    ("GET", "/api/v5/market/candles"): Request("candles", 40, signed=False),
    ("GET", "/api/v5/market/history-candles"): Request("candles.history", 20, signed=False),
    ("GET", "/api/v5/account/config"): Request("config", 5),
    ("GET", "/api/v5/account/balance"): Request("balance", 10),
    ("GET", "/api/v5/account/positions"): Request("positions", 10),
    ("GET", "/api/v5/account/leverage-info"): Request("leverage", 20),
    ("GET", "/api/v5/account/bills"): Request("bills", 10),
    ("GET", "/api/v5/account/bills-archive"): Request("bills.archive", 10),
    ("POST", "/api/v5/account/set-leverage"): Request("leverage.set", 20, changes=True),
    ("POST", "/api/v5/account/set-position-mode"): Request("position-mode.set", 5, changes=True),
    ("GET", "/api/v5/account/trade-fee"): Request("fees", 5),
    ("GET", "/api/v5/asset/currencies"): Request("currencies", 12),
    ("GET", "/api/v5/trade/order"): Request("order.status", 60, by_instrument=True),
    ("GET", "/api/v5/trade/orders-pending"): Request("orders.open", 60),
    ("GET", "/api/v5/trade/orders-history"): Request("orders.history", 40),
    ("GET", "/api/v5/trade/orders-history-archive"): Request("orders.archive", 20),
    ("GET", "/api/v5/trade/fills"): Request("fills", 60),
    ("GET", "/api/v5/trade/fills-history"): Request("fills.history", 10),
    ("GET", "/api/v5/trade/order-algo"): Request("stop.status", 20),
    ("GET", "/api/v5/trade/orders-algo-pending"): Request("stops.open", 20),
    ("GET", "/api/v5/trade/orders-algo-history"): Request("stops.history", 20),
    ("POST", "/api/v5/trade/order"): _trade("order.place"),
    ("POST", "/api/v5/trade/batch-orders"): _trade("orders.place", 300, 20, "order.place"),
    ("POST", "/api/v5/trade/cancel-order"): _trade("order.cancel"),
    ("POST", "/api/v5/trade/cancel-batch-orders"): _trade("orders.cancel", 300, 20, "order.cancel"),
    ("POST", "/api/v5/trade/amend-order"): _trade("order.amend"),
    ("POST", "/api/v5/trade/amend-batch-orders"): _trade("orders.amend", 300, 20, "order.amend"),
    ("POST", "/api/v5/trade/order-algo"): _trade("stop.place", 20),
    ("POST", "/api/v5/trade/cancel-algos"): _trade("stop.cancel", 20, 10),
    ("POST", "/api/v5/trade/amend-algos"): _trade("stop.amend", 20),
    ("POST", "/api/v5/trade/cancel-all-after"): Request("cancel-after", 2, changes=True),
}
OPERATIONS = {
    "order": REST["POST", "/api/v5/trade/order"],
    "batch-orders": REST["POST", "/api/v5/trade/batch-orders"],
    "cancel-order": REST["POST", "/api/v5/trade/cancel-order"],
    "batch-cancel-orders": REST["POST", "/api/v5/trade/cancel-batch-orders"],
    "amend-order": REST["POST", "/api/v5/trade/amend-order"],
    "batch-amend-orders": REST["POST", "/api/v5/trade/amend-batch-orders"],
}
"""Of the private WebSocket."""
LIMITS = {request.name: request.limit for request in (*REST.values(), NOWHERE)}
