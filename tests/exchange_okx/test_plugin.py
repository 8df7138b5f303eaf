import subprocess
import sys

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
