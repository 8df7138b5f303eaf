"""Where the architecture comes from, and what of it the identity of a model covers."""

import hashlib
import json

import numpy as np
import pytest

from axon_backend_safetensors.__main__ import main
from axon_backend_safetensors.architecture import MAX_CONFIG
from axon_backend_safetensors.backend import SafetensorsBackend
from axon_quant.errors import ModelCheckError, ModelError, ModelLoadError
from axon_quant.inference import ModelConfig

LINEAR = [{"type": "linear", "name": "l"}]


def test_names_of_a_sequential_tell_an_mlp_with_relu(serve, mlp, mlp_scores, noise):
    for prefix in ("", "net.", "model.body."):
        tensors = mlp(12, 8, 3, prefix=prefix)
        engine = serve(tensors, input_shape=[1, 4, 3])
        x = noise(2, 4, 3)
        np.testing.assert_allclose(engine.infer(x), mlp_scores(tensors, x, prefix=prefix), rtol=1e-5, atol=1e-5)


def test_without_any_description_the_window_is_the_configurations_or_the_first_layers(save, load, mlp):
    path = save(mlp(4, 8, 3))
    assert load(path).model.input_shape == (1, 4)
    model = load(path, input_shape=[1, 4, 1], output_dim=3, num_threads=4).model
    assert (model.input_shape, model.plan["architecture"]) == ((1, 4, 1), "names")
    with pytest.raises(ModelLoadError, match=r"takes \[\?, …, 4\], found \[\?, 15\]"):
        load(path, input_shape=[1, 5, 3])


def test_the_activation_between_the_layers_may_be_told(serve, mlp, mlp_scores, noise):
    tensors = mlp(4, 8, 8, 3)
    x = noise(2, 4)
    engine = serve(tensors, activation="tanh")
    np.testing.assert_allclose(engine.infer(x), mlp_scores(tensors, x, np.tanh), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"0.weight": (4, 4), "1.weight": (3, 4)}, "do not tell whether an activation is between"),
        ({"a.0.weight": (4, 4), "b.0.weight": (3, 4)}, "do not tell the architecture: 'a.', 'b.'"),
        ({"fc1.weight": (4, 4), "fc2.weight": (3, 4)}, "do not tell the architecture: 'fc1.weight', 'fc2.weight'"),
        ({"0.weight": (4, 4, 3), "2.weight": (3, 4)}, "settings that names do not tell"),
        ({"0.weight": (3, 4), "0.running_mean": (3,)}, "'0.running_mean'"),
        ({"0.bias": (3,)}, "'0.weight' is missing"),
    ],
)
def test_names_that_leave_something_open_are_refused(serve, noise, shapes, message):
    with pytest.raises(ModelLoadError, match=message):
        serve({name: noise(*shape) for name, shape in shapes.items()})


def test_a_config_beside_the_file_names_what_names_cannot(save, load, noise):
    path = save({"l.weight": noise(3, 4)}, [*LINEAR, {"type": "tanh"}], (4,), beside=True, actions=["a", "b", "c"])
    model = load(path).model
    assert model.plan["architecture"] == "config.json"
    assert model.actions == ("a", "b", "c")


def test_a_config_counts_for_the_identity_where_it_is_used(save, load, noise):
    path = save({"l.weight": noise(3, 4)}, LINEAR, (4,), beside=True)
    config = path.parent / "config.json"
    model = load(path).model
    assert model.files == {
        "-": hashlib.sha256(path.read_bytes()).hexdigest(),
        "config.json": hashlib.sha256(config.read_bytes()).hexdigest(),
    }
    assert load(path, sha256=model.sha256).model.sha256 == model.sha256
    with pytest.raises(ModelCheckError, match="not the pinned one"):
        load(path, sha256=model.files["-"])
    config.write_text(config.read_text().replace("linear", "identity"))
    with pytest.raises(ModelCheckError, match="not the pinned one"):
        load(path, sha256=model.sha256)
    path = save({"l.weight": noise(3, 4)}, LINEAR, (4,))
    assert load(path).model.files == {"-": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_a_config_can_be_sealed_into_the_file(save, load, noise, monkeypatch, capsys):
    path = save({"l.weight": noise(3, 4)}, LINEAR, (4,), beside=True, metadata={"axon.actions": "a,b,c"})
    config = path.parent / "config.json"
    scores = load(path).infer(noise(1, 4))
    monkeypatch.setattr("sys.argv", ["seal", str(path), str(config)])
    assert main() == 0
    config.unlink()
    engine = load(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert engine.infer(noise(1, 4)).tobytes() == scores.tobytes()
    assert (engine.model.plan["architecture"], engine.model.actions) == ("metadata", ("a", "b", "c"))
    assert main() == 1  # the configuration is gone
    monkeypatch.setattr("sys.argv", ["seal"])
    assert main() == 2
    assert "config.json" in capsys.readouterr().err


def test_metadata_come_before_a_config(save, load, noise):
    path = save({"l.weight": noise(3, 4)}, LINEAR, (4,))
    (path.parent / "config.json").write_text("this is not read")
    assert load(path).model.plan["architecture"] == "metadata"


@pytest.mark.parametrize("there", [True, False], ids=["changes", "appears"])
def test_a_config_that_is_another_one_after_the_load_is_refused(save, noise, there):
    path = save({"0.weight": noise(3, 4)}, *([[{"type": "linear", "name": "0"}], (4,)] if there else []), beside=there)
    config = path.parent / "config.json"

    class Slow(SafetensorsBackend):
        def build_session(self, path):
            session = super().build_session(path)
            config.write_text('{"activation": "tanh"}')
            return session

    with pytest.raises(ModelLoadError, match="changed while"):
        Slow(ModelConfig(path, "safetensors")).load()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "config.json is not JSON"),
        ("[]", "config.json is not a JSON object"),
        ('{"layers": [], "layers": []}', "duplicate name 'layers'"),
        ('{"layers": []}', "layers is empty"),
        ('{"layers": 7}', "layers: expected a list, found 7"),
        ('{"hidden_size": 7}', "unknown hidden_size; known: actions, activation"),
        ('{"input_shape": [4, 4]}', r"input_shape: expected \[1, …\]"),
        ('{"input_shape": [1]}', r"input_shape: expected \[1, …\]"),
        ('{"input_shape": []}', r"input_shape: expected \[1, …\]"),
        ('{"input_shape": [1, 0]}', r"input_shape: expected \[1, …\]"),
        ('{"activation": "relu6"}', "activation: expected identity or dropout"),
        ('{"activation": "relu", "layers": [{"type": "linear", "name": "0"}]}', "layers are given"),
        ('{"actions": "buy,sell"}', "actions: expected a list of texts"),
        ('{"schema_sha256": "abc"}', "64 hexadecimal digits"),
        ('{"ignore": ["value_net.*"]}', "matches no tensor"),
        ('{"layers": [{"type": "linear", "name": "0"}]}', "nothing says what the model's input is"),
        (" " * (MAX_CONFIG + 1), "larger than"),
    ],
)
def test_a_config_that_cannot_be_used_says_why(save, load, mlp, text, message):
    path = save(mlp(4, 3))
    (path.parent / "config.json").write_text(text)
    with pytest.raises(ModelLoadError, match=message):
        load(path)


def test_a_tensor_that_nothing_uses_is_refused_unless_it_is_ignored_by_name(serve, noise):
    tensors = {"l.weight": noise(3, 4), "aux.weight": noise(2, 2), "aux.bias": noise(2)}
    with pytest.raises(ModelLoadError, match=r"does not use 'aux\.bias', 'aux\.weight'"):
        serve(tensors, LINEAR, (4,))
    assert serve(tensors, LINEAR, (4,), ignore=["aux.*"]).model.plan["ignored"] == "aux.*"


def test_a_tensor_that_is_missing_is_refused_by_name(serve, noise):
    with pytest.raises(ModelLoadError, match=r"'head\.weight' is missing"):
        serve({"l.weight": noise(3, 4)}, [*LINEAR, {"type": "linear", "name": "head"}], (4,))


def test_what_metadata_and_description_say_twice_must_agree(serve, noise):
    tensors = {"l.weight": noise(3, 4)}
    schema = "ab" * 32
    model = serve(tensors, LINEAR, (4,), metadata={"axon.actions": "a,b,c", "axon.schema_sha256": schema}).model
    assert (model.actions, model.schema_sha256) == (("a", "b", "c"), schema)
    with pytest.raises(ModelLoadError, match="actions says"):
        serve(tensors, LINEAR, (4,), metadata={"axon.actions": "a,b,c"}, actions=["c", "b", "a"])
    with pytest.raises(ModelCheckError, match="one per output, 3, found 2"):
        serve(tensors, LINEAR, (4,), actions=["a", "b"])


@pytest.fixture
def policy(mlp, noise):
    """A PPO policy with its value net, as `policy.state_dict()` names it."""

    def policy(**more):
        tensors = mlp(12, 8, 8, prefix="mlp_extractor.policy_net.")
        tensors |= mlp(12, 8, 8, prefix="mlp_extractor.value_net.", seed=50)
        tensors |= {"action_net.weight": noise(3, 8), "action_net.bias": noise(3)}
        return {**tensors, "value_net.weight": noise(1, 8), "value_net.bias": noise(1), **more}

    return policy


def test_a_policy_of_stable_baselines(save, load, policy, noise):
    tensors = policy()
    engine = load(save(tensors), input_shape=[1, 4, 3])
    x = noise(2, 4, 3)
    h = x.reshape(2, -1).astype(np.float64)
    for layer in ("mlp_extractor.policy_net.0", "mlp_extractor.policy_net.2"):
        h = np.tanh(h @ tensors[f"{layer}.weight"].T + tensors[f"{layer}.bias"])
    expected = h @ tensors["action_net.weight"].T + tensors["action_net.bias"]
    np.testing.assert_allclose(engine.infer(x), expected, rtol=1e-5, atol=1e-5)
    assert engine.model.plan["ignored"] == "mlp_extractor.value_net.*, value_net.*"


def test_a_policy_without_hidden_layers(serve, noise):
    w = noise(3, 4)
    x = noise(1, 4)
    scores = serve({"action_net.weight": w, "value_net.weight": noise(1, 4)}).infer(x)
    np.testing.assert_allclose(scores, x @ w.T, rtol=1e-5, atol=1e-6)


def test_a_q_network_of_stable_baselines(serve, mlp, mlp_scores, noise):
    tensors = mlp(4, 8, 3, prefix="q_net.q_net.")
    engine = serve({**tensors, **mlp(4, 8, 3, prefix="q_net_target.q_net.", seed=9)})
    x = noise(1, 4)
    np.testing.assert_allclose(engine.infer(x), mlp_scores(tensors, x, prefix="q_net.q_net."), rtol=1e-5, atol=1e-5)
    assert engine.model.plan["ignored"] == "q_net_target.*"


def test_a_policy_that_is_more_than_names_tell_is_refused(serve, policy, noise):
    with pytest.raises(ModelLoadError, match="continuous policy"):
        serve(policy(log_std=noise(3)))
    with pytest.raises(ModelLoadError, match=r"does not use 'features_extractor\.cnn\.0\.weight'"):
        serve(policy(**{"features_extractor.cnn.0.weight": noise(2, 2, 3)}))


@pytest.mark.parametrize(
    ("layers", "window"),
    [
        ([{"type": "positional", "name": "l.weight"}, {"type": "pool", "how": "last"}], (2**20, 2**20)),
        ([{"type": "pool", "how": "last"}, *LINEAR], (2**40, 4)),
    ],
)
def test_a_description_cannot_ask_for_all_memory(serve, noise, layers, window):
    with pytest.raises(ModelError, match=r"too large|takes"):
        serve({"l.weight": noise(3, 4)}, layers, window)


def test_the_description_is_parsed_strictly_whatever_the_case(serve, noise):
    text = json.dumps({"layers": LINEAR, "Input_Shape": [1, 4]})
    with pytest.raises(ModelLoadError, match=r"metadata axon\.architecture: unknown Input_Shape"):
        serve({"l.weight": noise(3, 4)}, metadata={"axon.architecture": text})
