import subprocess
import sys

import pytest
from scripted_okx import ok

import axon_quant
import axon_quant.exchange
from axon_exchange_okx.adapter import OkxAdapter
from axon_exchange_okx.plugin import axon_exchanges


def test_the_descriptor_names_the_adapter_without_importing_it():
    code = (
        "import sys\n"
        "from axon_exchange_okx.plugin import axon_exchanges\n"
        "(descriptor,) = axon_exchanges()\n"
        "assert not {'aiohttp', 'ccxt', 'attrs'} & set(sys.modules)\n"
        "import importlib\n"
        "module, _, name = descriptor.target.partition(':')\n"
        "print(descriptor.name, getattr(importlib.import_module(module), name).__name__)\n"
        "assert 'ccxt' not in sys.modules\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert run.stdout == "okx OkxAdapter\n", run.stderr


def test_descriptor_and_adapter_declare_the_same():
    (descriptor,) = axon_exchanges()
    assert descriptor.capabilities == OkxAdapter.capabilities


def test_the_adapter_is_a_public_name():
    assert axon_quant.OkxAdapter is OkxAdapter
    assert axon_quant.exchange.OkxAdapter is OkxAdapter
    with pytest.raises(AttributeError, match="OnnxBackend"):
        axon_quant.exchange.OnnxBackend  # noqa: B018


def test_without_the_distribution_the_name_says_what_to_install():
    code = "from axon_quant.plugins.first_party import FIRST_PARTY, missing\nprint(missing(FIRST_PARTY['OkxAdapter']))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "axon-exchange-okx"' in run.stdout


async def test_what_the_adapter_has_no_method_for_goes_through_ccxt_to_the_same_venue(trading):
    async with trading() as (venue, adapter):
        venue.answers["GET /api/v5/account/trade-fee"] = ok({"instType": "SPOT", "maker": "-0.0008", "taker": "-0.001"})
        answer = await adapter.client.private_get_account_trade_fee({"instType": "SPOT"})
        (seen,) = venue.asked("GET /api/v5/account/trade-fee")
    assert answer["data"][0]["taker"] == "-0.001"
    assert seen.headers["x-simulated-trading"] == "1"
