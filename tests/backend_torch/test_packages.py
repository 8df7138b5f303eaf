"""AOTInductor packages: one is compiled for all of these tests, which takes half a minute."""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent))
from crafted import with_member  # noqa: E402

from axon_backend_torch.formats import Format, detect  # noqa: E402 (only where torch is there)
from axon_quant.errors import DeviceError, ModelLoadError  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="an AOTInductor package needs g++, which is not installed"),
]
WINDOW = [1, 4, 3]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A module and its package."""
    from torch._inductor import aoti_compile_and_package

    folder = tmp_path_factory.mktemp("package")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    program = torch.export.export(module.eval(), (torch.zeros(WINDOW),))
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # the compiler's own
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder / "cache"))
        aoti_compile_and_package(program, package_path=str(folder / "model.pt2"))
    return module, folder / "model.pt2"


def test_native_code_gives_the_scores_of_the_eager_module(compiled, serve, noise, eager):
    module, path = compiled
    assert detect(path) is Format.Aoti
    with pytest.raises(ModelLoadError, match="trusted=True"):
        serve(path, input_shape=WINDOW, trusted=False)
    engine = serve(path, input_shape=WINDOW)
    x = noise(1, 4, 3)
    np.testing.assert_allclose(engine.infer(x), eager(module, x), rtol=0, atol=1e-6)
    np.testing.assert_allclose(engine.bare(path)(x), eager(module, x), rtol=0, atol=1e-6)


def test_another_shape_or_precision_than_the_compiled_one_is_refused(compiled, serve):
    with pytest.raises(ModelLoadError, match="unmatched dim value at 2, expected: 3, but got: 5"):
        serve(compiled[1], input_shape=[1, 4, 5])
    with pytest.raises(DeviceError, match="expected float16, found a model that takes another"):
        serve(compiled[1], input_shape=WINDOW, fp16=True)


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ('{"AOTI_DEVICE_KEY": "cuda"}', "expected cpu, found a package compiled for cuda"),
        ('{"AOTI_DEVICE_KEY": "cpu", "AOTI_CPU_ISA": "AVX512 AMX_TILE"}', "a CPU with AVX512 and AMX_TILE"),
    ],
)
def test_a_package_for_another_machine_is_refused_before_its_code_is_loaded(
    says, message, compiled, serve, tmp_path, monkeypatch
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": False, "amx_tile": False})
    path = with_member(compiled[1], tmp_path / "model.pt2", "wrapper_metadata.json", says)
    with_member(path, tmp_path / "broken.pt2", "wrapper.so", b"no library")  # it would fail to load
    with pytest.raises(DeviceError, match=message):
        serve(tmp_path / "broken.pt2", input_shape=WINDOW)


def test_a_package_is_served_where_there_is_no_compiler(compiled):
    code = (
        "import sys, hashlib, pathlib\n"
        "from axon_backend_torch.backend import TorchBackend\n"
        "from axon_quant.inference import ModelConfig\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "sha256 = hashlib.sha256(path.read_bytes()).hexdigest()\n"
        "config = ModelConfig(path, 'torch', input_shape=[1, 4, 3], trusted=True, sha256=sha256)\n"
        "print(TorchBackend(config).load().plan['format'])\n"
    )
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": "/nowhere"}
    run = subprocess.run([sys.executable, "-c", code, compiled[1]], capture_output=True, text=True, env=environment)
    assert (run.stdout, run.stderr) == ("aoti\n", "")
