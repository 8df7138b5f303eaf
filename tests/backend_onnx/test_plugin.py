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


def test_the_runtime_sends_nothing_home_and_leaves_nothing_in_it(tmp_path):
    code = (
        "from axon_quant import ModelConfig, OnnxBackend\n"
        "backend = OnnxBackend(ModelConfig(OnnxBackend.builtin('demo-4x1'), 'onnx'))\n"
        "backend.load()\n"
    )
    environment = {
        "PYTHONPATH": ":".join(sys.path),
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "home" / ".cache"),
        "AXON_CACHE": str(tmp_path / "axon"),
    }
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert [path.name for path in tmp_path.iterdir()] == ["axon"]


def test_somebody_who_wants_the_runtime_to_send_events_may_say_so():
    code = "import os, axon_backend_onnx; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {"PYTHONPATH": ":".join(sys.path), "ORT_DISABLE_TELEMETRY": "0"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout == "0\n"
