"""Files that run code when torch loads them: shown to do so, and refused without doing so."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent))
import crafted  # noqa: E402

from axon_backend_torch.backend import TorchBackend  # noqa: E402 (only where torch is there)
from axon_quant.errors import ModelCheckError, ModelLoadError  # noqa: E402
from axon_quant.inference import ModelConfig  # noqa: E402

CODE = (crafted.program, crafted.torchscript, crafted.package)
PICKLES = (crafted.checkpoint, crafted.plain_pickle)


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "executed"


@pytest.fixture(params=(*CODE, *PICKLES), ids=lambda make: make.__name__)
def make(request):
    return request.param


@pytest.fixture
def path(make, tmp_path, marker):
    path = make(tmp_path, marker)
    assert not marker.exists()
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def attempts(path):
    """Everything short of trusting these very bytes."""
    return [{}, {"trusted": True}, {"sha256": digest(path)}, {"trusted": True, "sha256": "0" * 64}]


def refused(call):
    with pytest.raises((ModelLoadError, ModelCheckError)) as caught:
        call()
    return str(caught.value)


def test_torch_itself_executes_it(make, path, marker):
    """If this fails for a format, torch has closed that hole: the rule stays, because code is code."""
    program = (
        f"import sys, torch\npath = sys.argv[1]\ntry:\n    {crafted.LOADERS[make]}\nexcept Exception as e: print(e)"
    )
    run = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    assert marker.exists(), run.stdout + run.stderr


def test_it_is_refused_and_never_executed(path, marker):
    for options in attempts(path):
        engine = TorchBackend(ModelConfig(path, "torch", input_shape=[1, 4, 3], **options), factory=torch.nn.Identity)
        refused(engine.load)
        refused(lambda engine=engine: engine.build_session(path))  # below the check of the pin in `load`
        refused(lambda engine=engine: engine.rebuild_session(path, {"execution": "script"}))
        refused(lambda engine=engine: engine.bare(path))
        engine.side_files(path)
        assert not marker.exists(), options


@pytest.mark.parametrize("make", CODE, indirect=True)
def test_code_is_not_loaded_because_a_file_beside_it_says_so(path, marker):
    path.with_name(f"{path.name}.sha256").write_text(f"{digest(path)}  {path.name}\n")
    path.with_name("config.json").write_text('{"factory": "os:getcwd", "trusted": true}')
    refused(TorchBackend(ModelConfig(path, "torch", input_shape=[1, 4, 3], trusted=True)).load)
    assert not marker.exists()


@pytest.mark.parametrize("make", PICKLES, indirect=True)
def test_a_pickle_is_refused_even_when_it_is_trusted_and_pinned(path, marker, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    config = ModelConfig(path, "torch", input_shape=[1, 4, 3], trusted=True, sha256=digest(path))
    message = refused(TorchBackend(config, factory=torch.nn.Identity).load)
    assert "weights_only" not in message  # torch's own text explains how to run it
    assert not marker.exists()


@pytest.mark.parametrize("make", [crafted.program], indirect=True)
def test_a_program_that_poses_as_a_state_dict_is_refused(path, marker, tmp_path):
    posing = tmp_path / "posing.pt"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(posing, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info.filename))
        new.writestr("model/data.pkl", b"\x80\x02}.")
    engine = TorchBackend(ModelConfig(posing, "torch", input_shape=[1, 4, 3]), factory=torch.nn.Identity)
    assert "several of torch's formats: export, state-dict" in refused(engine.load)
    assert not marker.exists()


@pytest.mark.parametrize("make", [crafted.torchscript], indirect=True)
def test_what_is_trusted_and_pinned_is_loaded_and_so_does_run(path, marker):
    """Otherwise the tests above would prove nothing about the rule."""
    config = ModelConfig(path, "torch", input_shape=[1, 4, 3], trusted=True, sha256=digest(path))
    assert TorchBackend(config).load().output_dim == 3
    assert marker.exists()
