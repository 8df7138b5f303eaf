"""From a configuration to the adapter of its venue."""

from __future__ import annotations

from axon_quant.config import Config
from axon_quant.errors import ConfigError
from axon_quant.exchange import ExchangeAdapter, ExchangeConfig, ForeignOrders, RateLimitConfig, ReconnectConfig
from axon_quant.plugins import load_exchange


def build_adapter(config: Config, *, follow_others: bool = True) -> ExchangeAdapter:
    """The adapter of the configured venue; without `follow_others` it takes no notice of orders that are not its own.

    Raises PluginError for a venue that nobody provides.
    """
    entry = config.exchange
    if entry.api_key is None or entry.api_secret is None:
        raise ConfigError(f"the {entry.name} venue needs [exchange] api_key and api_secret", hint='write "env:NAME"')
    limits, reconnect = entry.rate_limit, entry.reconnect
    return load_exchange(entry.name)(
        ExchangeConfig(
            api_key=entry.api_key,
            api_secret=entry.api_secret,
            passphrase=entry.passphrase,
            testnet=entry.testnet,
            rate_limit=RateLimitConfig(limits.requests_per_second, limits.orders_per_minute),
            reconnect=ReconnectConfig(reconnect.max_retries, reconnect.initial_backoff_ms),
            foreign_orders=ForeignOrders(entry.foreign_orders) if follow_others else ForeignOrders.Ignore,
        )
    )
