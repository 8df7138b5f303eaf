import gc
import json
import shutil
import weakref

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from axon_backend_torch.formats import detect  # noqa: E402 (only where torch is there)
from axon_quant.errors import ModelCheckError, ModelInputError, ModelLoadError  # noqa: E402
from axon_quant.inference import Device  # noqa: E402

WINDOW = [1, 4, 3]
KINDS = ["state-dict", "safetensors", "torchscript", "export"]


@pytest.mark.parametrize("batch", [1, 2, 17])
@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_the_eager_module(kind, batch, mlp, saved, serve, noise, eager):
    module = mlp(1)
    engine = serve(saved(module, kind), input_shape=WINDOW)
    x = noise(batch, 4, 3)
    y = engine.infer(x)
    assert (y.shape, y.dtype) == ((batch, 3), np.float32)
    np.testing.assert_allclose(y, eager(module, x), rtol=0, atol=1e-6)
    assert engine.model.plan["format"] == kind


@pytest.mark.parametrize("kind", KINDS)
def test_the_name_of_a_file_plays_no_part(kind, mlp, saved, tmp_path):
    path = saved(mlp(), kind)
    disguised = tmp_path / "policy.onnx"
    shutil.copy(path, disguised)
    assert detect(path) == detect(disguised) == kind


def test_an_older_pickled_state_dict_is_read(mlp, serve, noise, eager, tmp_path):
    module = mlp(1)
    path = tmp_path / "model.bin"
    torch.save(module.state_dict(), path, _use_new_zipfile_serialization=False)
    engine = serve(path, input_shape=WINDOW)
    x = noise(1, 4, 3)
    np.testing.assert_allclose(engine.infer(x), eager(module, x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict"])
def test_a_checkpoint_holds_its_state_dict_and_says_what_it_is(key, mlp, serve, tmp_path):
    path = tmp_path / "checkpoint.pth"
    says = {"input_shape": [None, 4, 3], "actions": ["up", "down", "stay"], "schema_sha256": "ab" * 32}
    torch.save({key: mlp().state_dict(), "epoch": 7, "axon": says}, path)
    model = serve(path).model
    assert (model.input_shape, model.actions, model.schema_sha256) == ((1, 4, 3), ("up", "down", "stay"), "ab" * 32)


@pytest.mark.parametrize("kind", ["torchscript", "export"])
def test_an_archive_says_what_it_is_in_axon_json(kind, mlp, saved, serve):
    says = json.dumps({"input_shape": [None, 4, 3], "output_dim": 3, "actions": ["up", "down", "stay"]})
    model = serve(saved(mlp(), kind, extra=says)).model
    assert (model.input_shape, model.actions) == ((1, 4, 3), ("up", "down", "stay"))


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ({"input_shape": [1, 0, 3]}, r"axon\.json: .*>= 1.*input_shape"),
        ({"outputs": 3}, r"axon\.json: .*unknown field `outputs`"),
        ({"input_shape": [None, 4, 3], "output_dim": 5}, "the model declares 5, and gives 3"),
    ],
)
def test_metadata_that_is_wrong_is_refused_by_name(says, message, mlp, saved, serve):
    with pytest.raises((ModelLoadError, ModelCheckError), match=message):
        serve(saved(mlp(), "torchscript", extra=json.dumps(says)))


def test_a_safetensors_file_names_its_actions_as_an_onnx_file_does(mlp, serve, tmp_path):
    path = tmp_path / "model.safetensors"
    save = pytest.importorskip("safetensors.torch").save_file
    save(mlp().state_dict(), path, metadata={"axon.actions": "up,down,stay"})
    assert serve(path, input_shape=WINDOW).model.actions == ("up", "down", "stay")


def test_a_program_says_its_shape_itself(mlp, saved, serve, noise):
    engine = serve(saved(mlp(), "export"))
    assert engine.model.input_shape == (1, 4, 3)
    with pytest.raises(ModelInputError, match="batches from 1 to 64, found 65"):
        engine.infer(noise(65, 4, 3))


def test_a_program_with_a_fixed_batch_keeps_it(mlp, saved, serve, noise, eager):
    module = mlp()
    engine = serve(saved(module, "export", dynamic=False))
    assert engine.model.input_shape == (2, 4, 3)
    x = noise(2, 4, 3)
    np.testing.assert_allclose(engine.infer(x), eager(module, x), rtol=0, atol=1e-6)
    with pytest.raises(ModelInputError, match="batch is fixed, expected 2, found 1"):
        engine.predict(x[0])


def test_a_shape_that_nothing_says_is_asked_for_by_the_field_s_name(mlp, saved, serve):
    for kind in ("state-dict", "torchscript"):
        with pytest.raises(ModelLoadError, match=rf"input_shape: a {kind} file does not say it.*set input_shape="):
            serve(saved(mlp(), kind))


def test_another_window_than_the_model_s_is_refused(mlp, saved, serve):
    with pytest.raises(ModelCheckError, match=r"expected \[1, 4, 5\], found \[\?, 4, 3\]"):
        serve(saved(mlp(), "export"), input_shape=[1, 4, 5])
    with pytest.raises(ModelLoadError, match=r"model\.pt: .*mat1 and mat2 shapes"):
        serve(saved(mlp()), input_shape=[1, 4, 5])


def test_the_plan_says_how_and_where_it_runs(mlp, saved, serve):
    model = serve(saved(mlp()), input_shape=WINDOW, execution="eager").model
    assert model.device == Device.CPU
    assert model.plan == {
        "runtime": f"torch {torch.__version__}",
        "device": "cpu",
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "matmul": "highest",
        "precision": "float32",
        "threads": "1",
        "format": "state-dict",
        "execution": "eager",
    }


def test_one_file_after_another_is_freed_without_the_garbage_collector(mlp, saved, serve, noise):
    for kind in ("state-dict", "torchscript"):
        engine = serve(saved(mlp(), kind), input_shape=WINDOW)
        engine.infer(noise(1, 4, 3))
        session = weakref.ref(engine.session)
        gc.disable()
        try:
            engine.load()
            assert session() is None, kind
        finally:
            gc.enable()


def test_garbage_is_in_no_format(tmp_path):
    path = tmp_path / "model.pt"
    for data in (b"", b"\x00" * 100, b"this is no model at all", b"PK\x03\x04 but no archive"):
        path.write_bytes(data)
        with pytest.raises(ModelLoadError) as caught:
            detect(path)
        assert caught.value.file == str(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_off_anywhere_is_refused(kind, mlp, saved, serve):
    path = saved(mlp(), kind)
    data = path.read_bytes()
    for length in (1, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(ModelLoadError) as caught:
            serve(path, input_shape=WINDOW)
        assert caught.value.file == str(path), length
