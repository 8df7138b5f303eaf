import subprocess
import sys


def test_the_descriptor_names_the_backend_without_importing_it():
    code = (
        "import sys\n"
        "from axon_backend_onnx.plugin import axon_backends\n"
        "(descriptor,) = axon_backends()\n"
        "assert 'onnxruntime' not in sys.modules and 'numpy' not in sys.modules\n"
        "import importlib\n"
        "module, _, name = descriptor.target.partition(':')\n"
        "print(descriptor.name, descriptor.suffixes, getattr(importlib.import_module(module), name).kind)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert run.stdout == "onnx ('.onnx',) onnx\n", run.stderr
