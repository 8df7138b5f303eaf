"""What is trusted, and what a refusal says. Files that do run code are in test_crafted.py."""

import hashlib
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from axon_backend_torch.backend import TorchBackend  # noqa: E402 (only where torch is there)
from axon_quant.errors import ModelCheckError, ModelLoadError  # noqa: E402
from axon_quant.inference import ModelConfig  # noqa: E402

WINDOW = [1, 4, 3]


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load(path, mlp, **config):
    return TorchBackend(ModelConfig(path, "torch", input_shape=WINDOW, **config), factory=mlp).load()


@pytest.mark.parametrize("kind", ["torchscript", "export"])
def test_the_refusal_says_exactly_what_to_do(kind, mlp, saved):
    path = saved(mlp(), kind)
    own = digest(path)
    with pytest.raises(ModelLoadError) as caught:
        load(path, mlp)
    assert f"a {kind} file holds code that runs when it is loaded" in str(caught.value)
    assert f'set trusted=True and sha256="{own}"; or save module.state_dict()' in str(caught.value)
    with pytest.raises(ModelLoadError, match=f'then set sha256="{own}"; or'):
        load(path, mlp, trusted=True)
    with pytest.raises(ModelLoadError, match="then set trusted=True; or"):
        load(path, mlp, sha256=own)
    assert load(path, mlp, trusted=True, sha256=own).sha256 == own


def test_nothing_is_opened_before_the_pin_is_checked(mlp, saved, monkeypatch):
    opened = []
    for kind, module in (("torchscript", torch.jit), ("export", torch.export)):
        path = saved(mlp(), kind)
        monkeypatch.setattr(module, "load", lambda *given, **_: opened.append(given))
        with pytest.raises(ModelCheckError, match="expected sha256 0000"):
            TorchBackend(ModelConfig(path, "torch", trusted=True, sha256="0" * 64)).build_session(path)
    assert opened == []


def test_a_file_replaced_after_its_pin_was_checked_is_not_what_is_loaded(mlp, saved, monkeypatch):
    path = saved(mlp(), "torchscript")
    load_script = torch.jit.load

    def replace_first(file, **options):
        path.write_bytes(b"another file")
        return load_script(file, **options)

    monkeypatch.setattr(torch.jit, "load", replace_first)
    engine = TorchBackend(ModelConfig(path, "torch", input_shape=WINDOW, trusted=True, sha256=digest(path)))
    assert engine.build_session(path).output_dim == 3  # from the copy whose bytes were the pinned ones
    with pytest.raises((ModelLoadError, ModelCheckError)):
        engine.load()


@pytest.mark.parametrize("trusted", [False, True])
def test_a_pickled_module_is_refused_and_its_class_never_called(trusted, mlp, tmp_path):
    path = tmp_path / "model.pt"
    torch.save(mlp(), path)
    with pytest.raises(ModelLoadError, match=r"holds more than tensors: \S*TorchMlp.*save module\.state_dict\(\)"):
        load(path, mlp, trusted=trusted, sha256=digest(path) if trusted else None)


def test_a_compressed_state_dict_is_refused(mlp, saved, tmp_path):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(saved(mlp(), name="plain.pt")) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info.filename))
    with pytest.raises(ModelLoadError, match="the archive is compressed"):
        load(path, mlp)


def test_a_factory_named_beside_the_model_is_called_only_if_trusted(mlp, saved, tmp_path, monkeypatch):
    (tmp_path / "policies.py").write_text(
        "import torch\n\n\ndef policy():\n    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = saved(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3)))
    (tmp_path / "config.json").write_text('{"factory": "policies:policy", "architecture": "mlp"}')
    config = ModelConfig(path, "torch", input_shape=WINDOW)
    with pytest.raises(ModelLoadError, match=r"config\.json: the factory 'policies:policy' would be.*trusted=True"):
        TorchBackend(config).load()
    assert TorchBackend(ModelConfig(path, "torch", input_shape=WINDOW, trusted=True)).load().output_dim == 3
    with pytest.raises(ModelLoadError, match="the factory 'policies:nothing' cannot be imported"):
        TorchBackend(config, factory="policies:nothing").load()
    assert TorchBackend(config, factory="policies:policy").load().output_dim == 3


def test_tensors_are_data_and_need_no_trust(mlp, saved):
    assert np.isfinite(load(saved(mlp()), mlp).output_dim)
