"""Calling ccxt: the client of an adapter, and what its exceptions mean."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, TypeVar

from axon_quant.clock import Clock
from axon_quant.errors import AmbiguousError, AxonError, ExchangeError, UnavailableError
from axon_quant.exchange import ccxt_client
from axon_quant.exchange.base import ExchangeAdapter
from axon_quant.exchange.budget import Sleep
from axon_quant.exchange.ccxt_errors import scrubbed, translated
from axon_quant.exchange.config import ExchangeConfig
from axon_quant.exchange.order_log import OrderLog
from axon_quant.exchange.urls import roots
from axon_quant.plugins.capabilities import Capability
from axon_quant.secrets import Secret

_T = TypeVar("_T")


class CcxtCalls(ExchangeAdapter):
    """An adapter with a ccxt client, made on first use and asked through `_asked` and `_changing`."""

    exchange_id: ClassVar[str]
    client_options: ClassVar[Mapping[str, object]] = {}
    error_codes: ClassVar[Mapping[str, type[ExchangeError]]] = {}
    client_mixin: ClassVar[type | None] = None
    request_timeout: ClassVar[float] = 3.0
    watches_account: ClassVar[bool] = True

    def __init__(
        self,
        config: ExchangeConfig | None,
        *,
        clock: Clock | None = None,
        sleep: Sleep | None = None,
        order_log: OrderLog | None = None,
    ) -> None:
        super().__init__(config, clock=clock, sleep=sleep, order_log=order_log)
        self._client: Any = None
        self._market_client: Any = None
        self._signed_with: list[Secret] = []

    @property
    def client(self) -> Any:
        """ccxt's client, for what the adapter has no method for. Made on first use; loads its markets by itself."""
        if self._client is None:
            streams = self.watches_account and Capability.AccountStream in self.capabilities
            self._client = self._make_client(streams=streams, exact=True)
        return self._client

    def _use_keys(self) -> None:
        """ccxt reads its keys for every request."""
        for client in (self._client, self._market_client):
            if client is not None and self.config is not None:
                ccxt_client.give_keys(client, self.config)

    async def _close(self) -> None:
        clients = [client for client in (self._client, self._market_client) if client is not None]
        self._client = self._market_client = None
        for client in clients:
            client.timeout_on_exit = 0
            await client.close()

    def _make_client(self, *, streams: bool, exact: bool) -> Any:
        client = ccxt_client.make(
            self.exchange_id,
            self.config,
            streams=streams,
            exact=exact,
            timeout=self.request_timeout,
            options=self.client_options,
            mixin=self.client_mixin,
        )
        self._point(client, roots(self.name, self.config, {}))
        return client

    def _point(self, client: Any, chosen: Mapping[str, str]) -> None:
        """Have the client use other roots (`rest`, `ws`) than the venue's own; those not named stay."""
        if chosen:
            ccxt_client.point(client, chosen)

    async def _asked(self, symbol: str | None, call: Callable[[], Awaitable[_T]]) -> _T:
        """Ask ccxt something; its exceptions become ours."""
        return await self._translating(symbol, call, changes=False)

    async def _changing(self, symbol: str | None, call: Callable[[], Awaitable[_T]]) -> _T:
        """Have ccxt change something, so that a lost answer leaves the outcome unknown."""
        return await self._translating(symbol, call, changes=True)

    async def _translating(self, symbol: str | None, call: Callable[[], Awaitable[_T]], *, changes: bool) -> _T:
        try:
            return await call()
        except (AxonError, NotImplementedError):
            raise
        except Exception as error:  # noqa: BLE001 - ccxt raises anything; it is reported as what it means
            problem = self._problem(error, symbol, changes=changes)
        # Raised here, so that no cause or context leads to ccxt's exception, whose text may hold a signed URL.
        raise problem

    def _problem(self, error: Exception, symbol: str | None, *, changes: bool) -> ExchangeError:
        if self.config is not None:
            for secret in (self.config.api_key, self.config.api_secret, self.config.passphrase):
                if secret is not None and secret not in self._signed_with:
                    self._signed_with.append(secret)  # an error may tell of a request made before they were changed
        secrets = tuple(secret.reveal() for secret in self._signed_with)
        if not any(above.__module__.startswith("ccxt.") for above in type(error).__mro__):
            # A mistake within ccxt, in an answer it did not expect: for an order, that says nothing of its outcome.
            kind = AmbiguousError if changes else UnavailableError
            return kind(scrubbed(f"ccxt failed: {error!r}", secrets), venue=self.name, symbol=symbol)
        headers = getattr(self._client, "last_response_headers", None) or {}
        after = str(headers.get("Retry-After", ""))
        return translated(
            error,
            venue=self.name,
            symbol=symbol,
            changes=changes,
            retry_after=float(after) if after.isascii() and after.isdecimal() else None,
            codes=self.error_codes,
            secrets=secrets,
        )
