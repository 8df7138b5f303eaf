import subprocess
import sys

import pytest

pytest.importorskip("torch")


def python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}
    )


def test_the_descriptor_names_the_backend_without_importing_it():
    run = python(
        "import sys\n"
        "from axon_backend_torch.plugin import axon_backends\n"
        "(descriptor,) = axon_backends()\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
        "import importlib\n"
        "module, _, name = descriptor.target.partition(':')\n"
        "print(descriptor.name, descriptor.suffixes, getattr(importlib.import_module(module), name).kind)\n"
    )
    assert run.stdout == "torch ('.pt', '.pth', '.bin', '.torchscript', '.pt2') torch\n", run.stderr


def test_both_names_come_from_the_package():
    run = python("import axon_backend_torch as a\nprint(a.TorchBackend is a.TchBackend, a.TorchBackend.kind)\n")
    assert run.stdout == "True torch\n", run.stderr


def test_without_torch_the_error_says_what_to_install():
    run = python(
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "try:\n"
        "    from axon_backend_torch import TorchBackend\n"
        "except ImportError as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    assert run.stdout == (
        'PluginMissingError torch: TorchBackend needs torch, which is not installed: pip install "axon-backend-torch"\n'
    ), run.stderr
