"""ccxt's client, corrected: it never sends anything twice, waits for nobody, and logs nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from axon_quant.errors import ConfigError, PluginMissingError
from axon_quant.exchange.config import ExchangeConfig

_SILENT = logging.Logger("axon_quant.exchange.ccxt")
_SILENT.disabled = True
"""At DEBUG, ccxt logs signed URLs and the headers with the key."""


class Corrections:
    """Mixed into the client's class, before ccxt's own."""

    logger = _SILENT
    on_json_response = staticmethod(lambda text: json.loads(text, parse_float=str))
    """Numbers that the venue does not quote keep their digits."""

    def log(self, *_: object) -> None:
        """Say nothing: what `verbose` prints holds signatures and keys."""


def make(
    exchange_id: str,
    config: ExchangeConfig | None,
    *,
    streams: bool,
    exact: bool,
    timeout: float,
    options: Mapping[str, object],
    mixin: type | None = None,
) -> Any:
    """A client of ccxt (of ccxt.pro with `streams`); `exact` has it keep numbers as text instead of floats.

    Raises PluginMissingError without ccxt, ConfigError for a venue that ccxt does not know, or that has no test system.
    """
    module = _module(streams)
    original = getattr(module, exchange_id, None)
    if original is None or exchange_id not in module.exchanges:
        kind = "streams of" if streams else "venue"
        raise ConfigError(f"ccxt {module.__version__} knows no {kind} {exchange_id!r}")
    bases = (Corrections, original) if mixin is None else (mixin, Corrections, original)
    settings: dict[str, object] = {
        "enableRateLimit": False,  # the adapter's budget does that, and does not hold back what may go
        "timeout": round(timeout * 1000),
        "options": {"maxRetriesOnFailure": 0, **options},
    }
    if exact:
        settings["number"] = str
    if config is not None:
        settings |= {"apiKey": config.api_key.reveal(), "secret": config.api_secret.reveal()}
        if config.passphrase is not None:
            settings["password"] = config.passphrase.reveal()
    client = type(original.__name__, bases, {})(settings)
    client.logger = _SILENT
    if config is not None and config.testnet:
        if not client.urls.get("test"):
            raise ConfigError(f"{exchange_id} has no test system", hint="testnet=False trades for real")
        client.set_sandbox_mode(True)
    return client


def give_keys(client: Any, config: ExchangeConfig) -> None:
    """Have a client sign with the keys of `config` from now on."""
    client.apiKey, client.secret = config.api_key.reveal(), config.api_secret.reveal()
    if config.passphrase is not None:
        client.password = config.passphrase.reveal()


def point(client: Any, roots: Mapping[str, str]) -> None:
    """Replace scheme and host of every URL of the client by the roots `rest` and `ws`, where they are given."""

    def moved(value: object) -> object:
        if isinstance(value, dict):
            return {name: moved(entry) for name, entry in value.items()}
        if not isinstance(value, str):
            return value
        parts = urlsplit(value)
        root = roots.get("ws" if parts.scheme in ("ws", "wss") else "rest")
        return value if not root else f"{root}{parts.path}"

    client.urls["api"] = moved(client.urls["api"])


def _module(streams: bool) -> ModuleType:
    try:
        if streams:
            import ccxt.pro as module
        else:
            import ccxt.async_support as module
    except ImportError:
        raise PluginMissingError(
            'ccxt is not installed: pip install "axon-core[ccxt]"',
        ) from None
    return module  # type: ignore[no-any-return]
