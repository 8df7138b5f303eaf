"""Where a venue is reached: its own roots, the user's, or a simulator on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from axon_quant.errors import ConfigError
from axon_quant.exchange.config import ExchangeConfig

_SCHEMES = {"rest": ("http", "https"), "ws": ("ws", "wss")}


def roots(venue: str, config: ExchangeConfig | None, defaults: Mapping[str, str]) -> dict[str, str]:
    """The roots by name (`rest`, `ws`), such as `http://127.0.0.1:8080`, without a slash at the end.

    The environment's `AXON_<VENUE>_REST_URL` and `AXON_<VENUE>_WS_URL` come first and may name loopback only, so that
    whoever sets them cannot send orders and keys elsewhere; then `config.base_urls`; then `defaults`. Raises
    ConfigError for an override that is not on loopback, a root nobody knows, or one that is no URL of its kind.
    """
    chosen = dict(defaults)
    if config is not None:
        unknown = sorted(set(config.base_urls) - set(_SCHEMES))
        if unknown:
            raise ConfigError(f"{venue}: base_urls has {', '.join(unknown)}", hint="its keys are rest and ws")
        chosen.update(config.base_urls)
    for name in _SCHEMES:
        override_name = variable(venue, name)
        override = os.environ.get(override_name)
        if override:
            if not _is_loopback(override):
                raise ConfigError(f"{override_name} names {override!r}, which is not on loopback", hint="use base_urls")
            chosen[name] = override
    return {name: _checked(venue, name, root) for name, root in chosen.items()}


def variable(venue: str, name: str) -> str:
    """The environment's variable for a root of a venue: `AXON_BINANCE_FUTURES_REST_URL`."""
    return f"AXON_{venue.upper().replace('-', '_')}_{name.upper()}_URL"


def _checked(venue: str, name: str, root: str) -> str:
    schemes = _SCHEMES.get(name)
    parts = _split(root)
    if schemes is not None and (parts is None or parts[0] not in schemes or not parts[1]):
        raise ConfigError(f"{venue}: the {name} root {root!r} is no URL", hint=f"it begins with {schemes[0]}://")
    return root.rstrip("/")


def _is_loopback(root: str) -> bool:
    parts = _split(root)
    if parts is None:
        return False
    host = parts[1]
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _split(root: str) -> tuple[str, str] | None:
    """Scheme and host; None for what is no URL, or names a user, which may hide the host that is meant."""
    try:
        parts = urlsplit(root)
        host, user = parts.hostname, parts.username
        parts.port  # noqa: B018 - raises for a port that is no number
    except ValueError:
        return None
    return None if user is not None or "\\" in root else (parts.scheme, host or "")
