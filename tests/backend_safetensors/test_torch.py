"""The same weights in torch: the oracle for names and numerics. Skipped where torch is not installed."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axon_backend_safetensors.backend import SafetensorsBackend
from axon_backend_safetensors.reader import ARCHITECTURE
from axon_backend_safetensors.writer import pack
from axon_quant.inference import ModelConfig

torch = pytest.importorskip("torch")
nn = torch.nn

SOME = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Net(nn.Module):
    """Named parts and how they are put together."""

    def __init__(self, forward, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self._forward = forward

    def forward(self, x):
        return self._forward(self, x)


@pytest.fixture
def agree(tmp_path):
    def agree(module, window, layers=None, **config):
        tensors = {name: array.numpy() for name, array in module.eval().state_dict().items()}
        if layers is not None:
            config["layers"] = layers
        path = tmp_path / "m.safetensors"
        path.write_bytes(pack(tensors, {ARCHITECTURE: json.dumps({"input_shape": [1, *window], **config})}))
        engine = SafetensorsBackend(ModelConfig(path, "safetensors"))
        engine.load()
        for batch in (1, 3):
            x = torch.randn(batch, *window)
            with torch.inference_mode():
                expected = module(x).numpy()
            assert np.abs(engine.infer(x.numpy()) - expected).max() <= 1e-5

    torch.manual_seed(0)
    return agree


@SOME
@given(hidden=st.lists(st.integers(1, 40), max_size=3), rows=st.integers(1, 9), features=st.integers(1, 9))
def test_a_sequential_by_its_names(agree, hidden, rows, features):
    sizes = [rows * features, *hidden, 3]
    parts = [nn.Flatten()]
    for a, b in pairwise(sizes):
        parts += [nn.Linear(a, b), nn.ReLU()]
    agree(nn.Sequential(*parts[:-1]), (rows, features))


def test_a_sequential_with_norms_and_dropout_by_its_names(agree):
    net = nn.Sequential(
        nn.Linear(8, 16), nn.LayerNorm(16), nn.Tanh(), nn.Linear(16, 9), nn.Tanh(), nn.Dropout(), nn.Linear(9, 3)
    )
    agree(Net(lambda s, x: s.net(x.flatten(1)), net=net), (4, 2), activation="tanh")


@pytest.mark.parametrize(
    ("spec", "module"),
    [
        ({"type": "relu"}, nn.ReLU()),
        ({"type": "tanh"}, nn.Tanh()),
        ({"type": "sigmoid"}, nn.Sigmoid()),
        ({"type": "gelu"}, nn.GELU()),
        ({"type": "gelu", "approximate": "tanh"}, nn.GELU(approximate="tanh")),
        ({"type": "silu"}, nn.SiLU()),
        ({"type": "elu", "alpha": 0.7}, nn.ELU(0.7)),
        ({"type": "leaky_relu", "negative_slope": 0.3}, nn.LeakyReLU(0.3)),
        ({"type": "softmax"}, nn.Softmax(-1)),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_activations_of_torch(agree, spec, module):
    agree(nn.Sequential(nn.Linear(9, 50), module), (9,), [{"type": "linear", "name": "0"}, spec])


@SOME
@given(
    kind=st.sampled_from(["GRU", "LSTM"]),
    layers=st.integers(1, 3),
    both=st.booleans(),
    bias=st.booleans(),
    hidden=st.integers(1, 9),
    window=st.tuples(st.integers(1, 9), st.integers(1, 5)),
    pool=st.sampled_from(["last", "mean", "max"]),
)
def test_recurrent_layers_of_torch(agree, kind, layers, both, bias, hidden, window, pool):
    rnn = getattr(nn, kind)(window[1], hidden, layers, batch_first=True, bidirectional=both, bias=bias)
    pools = {"last": lambda y: y[:, -1], "mean": lambda y: y.mean(1), "max": lambda y: y.amax(1)}
    net = Net(lambda s, x: s.head(pools[pool](s.rnn(x)[0])), rnn=rnn, head=nn.Linear(hidden * (1 + both), 3))
    spec = {"type": kind.lower(), "name": "rnn", "batch_first": True}
    agree(net, window, [spec, {"type": "pool", "how": pool}, {"type": "linear", "name": "head"}])


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_the_last_hidden_states_of_torch(agree, kind):
    def forward(s, x):
        last = s.rnn(x)[1]
        last = last[0] if isinstance(last, tuple) else last
        return torch.cat([last[-2], last[-1]], 1)

    net = Net(forward, rnn=getattr(nn, kind)(5, 4, 2, batch_first=True, bidirectional=True))
    agree(net, (6, 5), [{"type": kind.lower(), "name": "rnn", "output": "hidden"}])


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@SOME
@given(
    groups=st.sampled_from([1, 2, 3]),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3) | st.just("same"),
    dilation=st.integers(1, 3),
    length=st.integers(10, 16),
)
def test_convolutions_of_torch(agree, groups, kernel, stride, padding, dilation, length):
    stride = 1 if padding == "same" else stride
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    net = Net(lambda s, x: s.conv(x.transpose(1, 2)).flatten(1), conv=nn.Conv1d(6, 6, kernel, **options))
    agree(net, (length, 6), [{"type": "transpose"}, {"type": "conv1d", "name": "conv", **options}, {"type": "flatten"}])


@pytest.mark.parametrize("bias", [True, False])
def test_attention_of_torch(agree, bias):
    attention = nn.MultiheadAttention(12, 3, batch_first=True, bias=bias)
    net = Net(lambda s, x: s.mha(x, x, x, need_weights=False)[0].flatten(1), mha=attention)
    agree(net, (7, 12), [{"type": "multihead_attention", "name": "mha", "heads": 3}, {"type": "flatten"}])


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_a_transformer_of_torch(agree, norm_first, activation):
    layer = nn.TransformerEncoderLayer(
        16, 4, 24, activation=activation, batch_first=True, norm_first=norm_first, layer_norm_eps=1e-4
    )
    net = Net(
        lambda s, x: s.head(s.norm(s.encoder(s.embed(x) + s.position[:, : x.shape[1]])).mean(1)),
        embed=nn.Linear(5, 16),
        position=nn.Parameter(torch.randn(1, 40, 16)),
        encoder=nn.TransformerEncoder(layer, 2),
        norm=nn.LayerNorm(16),
        head=nn.Linear(16, 3),
    )
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.3)  # fresh norms and biases are ones and zeros
    options = {"heads": 4, "activation": activation, "norm_first": norm_first, "eps": 1e-4}
    layers = [
        {"type": "linear", "name": "embed"},
        {"type": "positional", "name": "position"},
        *({"type": "transformer_encoder_layer", "name": f"encoder.layers.{i}", **options} for i in range(2)),
        {"type": "layer_norm", "name": "norm"},
        {"type": "pool", "how": "mean"},
        {"type": "linear", "name": "head"},
    ]
    agree(net, (9, 5), layers)


def test_an_embedding_of_torch(save, load):
    module = nn.Embedding(6, 4)
    layers = [{"type": "embedding", "name": "e", "clip": True}, {"type": "flatten"}]
    engine = load(save({"e.weight": module.weight.detach().numpy()}, layers, (3,)))
    rows = np.array([[0, 5, 2]])
    expected = module(torch.from_numpy(rows)).flatten(1).detach().numpy()
    assert engine.infer(rows.astype(np.float32)).tolist() == expected.tolist()
