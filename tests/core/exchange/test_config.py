"""The exchange configuration constructs as documented and never shows a secret."""

from __future__ import annotations

import copy
import json
import pickle
import traceback

import attrs
import pytest

from axon_quant.exchange import ExchangeConfig, RateLimitConfig, ReconnectConfig
from axon_quant.secrets import Secret

KEY, SECRET, PHRASE = "k3y-in-the-clear", "s3cret-in-the-clear", "phr4se-in-the-clear"


@pytest.fixture
def config() -> ExchangeConfig:
    return ExchangeConfig(api_key=KEY, api_secret=SECRET, passphrase=PHRASE)


def shows_a_secret(text: str) -> bool:
    return any(secret in text for secret in (KEY, SECRET, PHRASE))


def test_the_documented_call_constructs() -> None:
    config = ExchangeConfig(
        api_key="YOUR_API_KEY",
        api_secret="YOUR_API_SECRET",
        testnet=False,
        rate_limit=RateLimitConfig(requests_per_second=10, orders_per_minute=60),
        reconnect=ReconnectConfig(max_retries=10, initial_backoff_ms=500),
    )
    assert config.api_secret.reveal() == "YOUR_API_SECRET"
    assert config.rate_limit == RateLimitConfig()
    assert config.reconnect == ReconnectConfig()


def test_the_test_system_is_the_default(config: ExchangeConfig) -> None:
    assert config.testnet


def test_a_secret_given_as_such_is_kept(config: ExchangeConfig) -> None:
    secret = Secret("x")
    assert ExchangeConfig(secret, secret).api_key is secret


def test_nothing_that_prints_a_configuration_shows_a_secret(config: ExchangeConfig) -> None:
    assert not shows_a_secret(f"{config!r} {config} {attrs.asdict(config)!r} {attrs.astuple(config)!r}")


def test_a_configuration_refuses_to_be_pickled_copied_or_encoded(config: ExchangeConfig) -> None:
    for leak in (pickle.dumps, copy.deepcopy, lambda value: json.dumps(attrs.asdict(value))):
        with pytest.raises(TypeError) as raised:
            leak(config)
        assert not shows_a_secret(str(raised.value))


def test_a_traceback_with_its_locals_shows_no_secret(config: ExchangeConfig) -> None:
    def fail(config: ExchangeConfig) -> None:
        key = config.api_key
        raise RuntimeError(f"{key} was refused")

    with pytest.raises(RuntimeError) as raised:
        fail(config)
    told = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert "***" in told
    assert not shows_a_secret(told)


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        ExchangeConfig("", SECRET)


@pytest.mark.parametrize(
    "build",
    [
        lambda: RateLimitConfig(requests_per_second=0),
        lambda: RateLimitConfig(requests_per_second=float("nan")),
        lambda: RateLimitConfig(orders_per_minute=float("inf")),
        lambda: RateLimitConfig(max_wait_ms=-1),
        lambda: RateLimitConfig(cancel_reserve=1),
        lambda: ReconnectConfig(max_retries=-1),
        lambda: ReconnectConfig(initial_backoff_ms=0),
    ],
)
def test_a_number_out_of_range_is_refused(build: object) -> None:
    with pytest.raises(ValueError, match="must be a number in"):
        build()  # type: ignore[operator]
