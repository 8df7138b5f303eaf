"""Signatures are those that Binance publishes."""

from __future__ import annotations

import json

import pytest
from scripted_binance import SHARED

from axon_exchange_binance.signing import escaped, signer
from axon_quant.errors import ConfigError
from axon_quant.exchange import ExchangeConfig

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
TERMS = "symbol={}&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"


@pytest.mark.parametrize(
    ("payload", "signature"),
    [
        (
            TERMS.format("LTCBTC"),
            "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
        ),
        (
            TERMS.format(escaped("１２３４５６")),
            "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
        ),
    ],
    ids=["ascii", "escaped"],
)
def test_the_published_examples(payload, signature):
    assert signer(ExchangeConfig(KEY, SECRET))(payload) == signature


def test_every_vector_of_the_documentation():
    path = SHARED / "binance_signing_vectors.json"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    vectors = json.loads(path.read_text())["hmac"]
    assert vectors
    for vector in vectors:
        sign = signer(ExchangeConfig(vector["apiKey"], vector["secretKey"]))
        assert sign(vector["payload"]) == vector["signature"]
        assert sign(vector["payload"]) == vector["signature"]  # signing changes nothing


def test_a_private_key_is_refused_without_showing_it():
    with pytest.raises(ConfigError, match="only HMAC keys") as caught:
        signer(ExchangeConfig(KEY, "-----BEGIN PRIVATE KEY-----abc"))
    assert "abc" not in str(caught.value)
