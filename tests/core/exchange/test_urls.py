"""Where a venue is reached, and that the environment cannot send orders elsewhere."""

from __future__ import annotations

import pytest

from axon_quant.errors import ConfigError
from axon_quant.exchange import ExchangeConfig, roots

DEFAULTS = {"rest": "https://api.example.com/", "ws": "wss://stream.example.com"}


def config(**base_urls: str) -> ExchangeConfig:
    return ExchangeConfig("key", "secret", base_urls=base_urls)


def test_the_venues_own_roots_are_the_default() -> None:
    assert roots("acme", config(), DEFAULTS) == {"rest": "https://api.example.com", "ws": "wss://stream.example.com"}


def test_a_configured_root_replaces_the_default() -> None:
    assert roots("acme", config(rest="http://10.0.0.1:80"), DEFAULTS)["rest"] == "http://10.0.0.1:80"


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost:9", "[::1]:9", "127.9.9.9"])
def test_the_environment_comes_first_on_loopback(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("AXON_ACME_REST_URL", f"http://{host}")
    monkeypatch.setenv("AXON_ACME_WS_URL", f"ws://{host}/")
    assert roots("acme", config(rest="http://10.0.0.1"), DEFAULTS) == {"rest": f"http://{host}", "ws": f"ws://{host}"}


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1",
        "https://evil.example.com",
        "http://127.0.0.1.evil.example.com",
        "http://localhost.evil.example.com",
        "http://127.0.0.1@evil.example.com",
        "http://evil.example.com#127.0.0.1",
        "http://evil.example.com\\@127.0.0.1",
        "http://127.0.0.1:port",
        "http://[::1",
        "127.0.0.1:80",
        "nonsense",
    ],
)
def test_the_environment_names_nothing_but_loopback(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("AXON_ACME_REST_URL", url)
    with pytest.raises(ConfigError):
        roots("acme", config(), DEFAULTS)


@pytest.mark.parametrize(
    ("base_urls", "told"),
    [({"wss": "ws://x"}, "its keys are rest and ws"), ({"rest": "ws://x"}, "http://"), ({"ws": "nonsense"}, "ws://")],
)
def test_a_configured_root_that_cannot_be_one_is_refused(base_urls: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        roots("acme", config(**base_urls), DEFAULTS)
