"""Every layer against its formula, written out in float64. No torch."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axon_backend_safetensors.backend import SafetensorsBackend
from axon_quant.errors import ModelLoadError
from axon_quant.inference import ModelConfig

BATCHES = (1, 2, 5, 64, 70)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


ERF = np.vectorize(math.erf, otypes=[np.float64])
ACTIVATIONS = [
    ({"type": "identity"}, lambda x: x),
    ({"type": "dropout"}, lambda x: x),
    ({"type": "relu"}, lambda x: np.maximum(x, 0)),
    ({"type": "tanh"}, np.tanh),
    ({"type": "sigmoid"}, sigmoid),
    ({"type": "silu"}, lambda x: x * sigmoid(x)),
    ({"type": "gelu"}, lambda x: x * (1 + ERF(x / math.sqrt(2))) / 2),
    (
        {"type": "gelu", "approximate": "tanh"},
        lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    ),
    ({"type": "elu"}, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    ({"type": "elu", "alpha": 0.3}, lambda x: np.where(x > 0, x, 0.3 * np.expm1(np.minimum(x, 0)))),
    ({"type": "leaky_relu"}, lambda x: np.where(x > 0, x, 0.01 * x)),
    ({"type": "leaky_relu", "negative_slope": 0.2}, lambda x: np.where(x > 0, x, 0.2 * x)),
    ({"type": "softmax"}, lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
]


@pytest.fixture
def agree(serve, noise):
    """The model's scores are those of `reference`, whatever the batch."""

    def agree(tensors, layers, window, reference, **options):
        engine = serve(tensors, layers, window, **options)
        for batch in BATCHES:
            x = noise(batch, *window, seed=batch)
            np.testing.assert_allclose(engine.infer(x), reference(x.astype(np.float64)), rtol=1e-5, atol=2e-6)
        return engine

    return agree


@pytest.mark.parametrize(("spec", "function"), ACTIVATIONS, ids=[str(list(a[0].values())) for a in ACTIVATIONS])
def test_activations(agree, spec, function):
    weight = np.eye(7, dtype=np.float32) * 3
    agree(
        {"l.weight": weight},
        [{"type": "linear", "name": "l"}, spec],
        (7,),
        lambda x: function(3 * x),
    )


@pytest.mark.parametrize("spec", [a[0] for a in ACTIVATIONS if a[0]["type"] != "softmax"], ids=str)
def test_activations_of_large_numbers_neither_overflow_nor_warn(serve, spec):
    function = next(f for s, f in ACTIVATIONS if s == spec)
    engine = serve({"l.weight": np.eye(4, dtype=np.float32)}, [{"type": "linear", "name": "l"}, spec], (4,))
    x = np.array([[-1e4, -90, 90, 1e4]], np.float32)
    with np.errstate(over="ignore"):
        expected = function(x.astype(np.float64))
    np.testing.assert_allclose(engine.infer(x), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_over_the_last_axis(agree, noise, bias):
    w, b = noise(5, 3, seed=1), noise(5, seed=2)
    tensors = {"l.weight": w, "l.bias": b} if bias else {"l.weight": w}
    agree(
        tensors,
        [{"type": "linear", "name": "l"}, {"type": "flatten"}],
        (4, 3),
        lambda x: (x @ w.T + (b if bias else 0)).reshape(len(x), -1),
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    window=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    hidden=st.lists(st.integers(1, 9), max_size=3),
    batch=st.integers(1, 9),
    seed=st.integers(0, 1000),
)
def test_an_mlp_of_any_shape(save, mlp, mlp_scores, noise, window, hidden, batch, seed):
    tensors = mlp(math.prod(window), *hidden, 3, seed=seed)
    engine = SafetensorsBackend(ModelConfig(save(tensors, window=window), "safetensors"))
    engine.load()
    x = noise(batch, *window, seed=seed)
    np.testing.assert_allclose(engine.infer(x), mlp_scores(tensors, x), rtol=1e-4, atol=1e-5)


def test_layer_norm(agree, noise):
    w, b = noise(6, seed=1), noise(6, seed=2)

    def reference(x):
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return ((x - mean) / np.sqrt(variance + 1e-3) * w + b).mean(1)

    layers = [{"type": "layer_norm", "name": "n", "eps": 1e-3}, {"type": "pool", "how": "mean"}]
    agree({"n.weight": w, "n.bias": b}, layers, (4, 6), reference)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
    dilation=st.integers(1, 3),
    groups=st.sampled_from([1, 2]),
    length=st.integers(10, 14),
)
def test_convolution(save, noise, kernel, stride, padding, dilation, groups, length):
    w, b = noise(4, 6 // groups, kernel, seed=1), noise(4, seed=2)
    conv = {"type": "conv1d", "name": "c", "stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    path = save({"c.weight": w, "c.bias": b}, [conv, {"type": "flatten"}], (6, length))
    engine = SafetensorsBackend(ModelConfig(path, "safetensors"))
    engine.load()
    x = noise(3, 6, length)
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (padding, padding)))
    steps = (padded.shape[2] - dilation * (kernel - 1) - 1) // stride + 1
    expected = np.zeros((3, 4, steps)) + b[:, None]
    for out in range(4):
        first = out // (4 // groups) * (6 // groups)
        for t in range(steps):
            for k in range(kernel):
                column = padded[:, first : first + 6 // groups, t * stride + k * dilation]
                expected[:, out, t] += column @ w[out, :, k]
    np.testing.assert_allclose(engine.infer(x), expected.reshape(3, -1), rtol=1e-5, atol=1e-5)


def test_convolution_with_padding_same_keeps_the_length(serve, noise):
    layers = [{"type": "conv1d", "name": "c", "padding": "same"}, {"type": "pool", "how": "last", "dim": -1}]
    engine = serve({"c.weight": np.ones((1, 1, 4), np.float32)}, layers, (1, 5))
    x = noise(1, 1, 5)
    np.testing.assert_allclose(engine.infer(x)[0, 0], x[0, 0, 3:].sum(), rtol=1e-5)  # torch pads more on the right


def recurrent_tensors(noise, gates, inputs, hidden, layers, directions, seed=0):
    tensors = {}
    for layer in range(layers):
        for direction in range(directions):
            suffix = f"l{layer}" + "_reverse" * direction
            given = inputs if layer == 0 else hidden * directions
            for offset, (name, shape) in enumerate(
                {"weight_ih": (given,), "weight_hh": (hidden,), "bias_ih": (), "bias_hh": ()}.items()
            ):
                array = noise(gates * hidden, *shape, seed=seed + 100 * layer + 10 * direction + offset)
                tensors[f"r.{name}_{suffix}"] = array * np.float32(0.5)
    return tensors


def recurrent_reference(kind, tensors, x, layers, directions):
    """(sequence, last states of the last layer), in float64."""
    for layer in range(layers):
        outs, lasts = [], []
        for direction in range(directions):
            w, u, b, c = (
                tensors[f"r.{name}_l{layer}" + "_reverse" * direction].astype(np.float64)
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            h = cell = np.zeros((len(x), u.shape[1]))
            out = np.zeros((len(x), x.shape[1], u.shape[1]))
            for t in range(x.shape[1])[:: -1 if direction else 1]:
                a, s = x[:, t] @ w.T + b, h @ u.T + c
                if kind == "gru":
                    (ar, az, an), (sr, sz, sn) = np.split(a, 3, 1), np.split(s, 3, 1)
                    r, z = sigmoid(ar + sr), sigmoid(az + sz)
                    h = (1 - z) * np.tanh(an + r * sn) + z * h
                else:
                    i, f, g, o = np.split(a + s, 4, 1)
                    cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
                    h = sigmoid(o) * np.tanh(cell)
                out[:, t] = h
            outs.append(out)
            lasts.append(h)
        x = np.concatenate(outs, 2)
    return x, np.concatenate(lasts, 1)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_layers(agree, noise, kind, layers, directions):
    tensors = recurrent_tensors(noise, 3 if kind == "gru" else 4, 5, 4, layers, directions)
    spec = {"type": kind, "name": "r"}
    agree(
        tensors,
        [spec, {"type": "flatten"}],
        (6, 5),
        lambda x: recurrent_reference(kind, tensors, x, layers, directions)[0].reshape(len(x), -1),
    )
    agree(
        tensors,
        [{**spec, "output": "hidden"}],
        (6, 5),
        lambda x: recurrent_reference(kind, tensors, x, layers, directions)[1],
        name="hidden.safetensors",
    )


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_a_recurrent_layer_starts_every_window_anew(serve, noise, kind):
    tensors = recurrent_tensors(noise, 3 if kind == "gru" else 4, 5, 4, 1, 1)
    engine = serve(tensors, [{"type": kind, "name": "r", "output": "hidden"}], (6, 5))
    x = noise(1, 6, 5)
    first = engine.infer(x)
    engine.infer(noise(1, 6, 5, seed=1) * 100)
    assert engine.infer(x).tobytes() == first.tobytes()


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def attention_reference(tensors, prefix, x, heads):
    t = {name.removeprefix(prefix): array.astype(np.float64) for name, array in tensors.items()}
    q, k, v = np.split(x @ t["in_proj_weight"].T + t["in_proj_bias"], 3, -1)
    size = x.shape[-1] // heads
    mixed = np.zeros_like(x)
    for head in range(heads):
        at = slice(head * size, (head + 1) * size)
        weights = softmax(q[..., at] @ k[..., at].transpose(0, 2, 1) / math.sqrt(size))
        mixed[..., at] = weights @ v[..., at]
    return mixed @ t["out_proj.weight"].T + t["out_proj.bias"]


def attention_tensors(noise, prefix, width):
    shapes = {
        "in_proj_weight": (3 * width, width),
        "in_proj_bias": (3 * width,),
        "out_proj.weight": (width, width),
        "out_proj.bias": (width,),
    }
    return {prefix + name: noise(*s, seed=i) * np.float32(0.4) for i, (name, s) in enumerate(shapes.items())}


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention(agree, noise, heads):
    tensors = attention_tensors(noise, "a.", 8)
    layers = [{"type": "multihead_attention", "name": "a", "heads": heads}, {"type": "flatten"}]
    agree(tensors, layers, (5, 8), lambda x: attention_reference(tensors, "a.", x, heads).reshape(len(x), -1))


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_transformer_encoder_layer(agree, noise, norm_first, activation):
    tensors = attention_tensors(noise, "e.self_attn.", 8)
    shapes = {"linear1.weight": (12, 8), "linear1.bias": (12,), "linear2.weight": (8, 12), "linear2.bias": (8,)}
    shapes |= {"norm1.weight": (8,), "norm1.bias": (8,), "norm2.weight": (8,), "norm2.bias": (8,)}
    tensors |= {f"e.{name}": noise(*s, seed=50 + i) * np.float32(0.4) for i, (name, s) in enumerate(shapes.items())}
    t = {name[2:]: array.astype(np.float64) for name, array in tensors.items()}
    function = next(f for spec, f in ACTIVATIONS if spec == {"type": activation})

    def norm(x, name):
        scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return scaled * t[f"{name}.weight"] + t[f"{name}.bias"]

    def feed(x):
        return function(x @ t["linear1.weight"].T + t["linear1.bias"]) @ t["linear2.weight"].T + t["linear2.bias"]

    def reference(x):
        def attend(x):
            return attention_reference({k: v for k, v in t.items() if "attn" in k}, "self_attn.", x, 2)

        if norm_first:
            x = x + attend(norm(x, "norm1"))
            x = x + feed(norm(x, "norm2"))
        else:
            x = norm(x + attend(x), "norm1")
            x = norm(x + feed(x), "norm2")
        return x.mean(1)

    spec = {"type": "transformer_encoder_layer", "name": "e", "heads": 2}
    spec |= {"norm_first": norm_first, "activation": activation}
    agree(tensors, [spec, {"type": "pool", "how": "mean"}], (5, 8), reference)


@pytest.mark.parametrize(
    ("spec", "function"),
    [
        ({"how": "mean"}, lambda x: x.mean(1)),
        ({"how": "max"}, lambda x: x.max(1)),
        ({"how": "last"}, lambda x: x[:, -1]),
        ({"how": "mean", "dim": -1}, lambda x: x.mean(2)),
        ({"how": "max", "dim": 2}, lambda x: x.max(2)),
        ({"how": "last", "dim": -2}, lambda x: x[:, -1]),
    ],
)
def test_pooling(agree, noise, spec, function):
    w = noise(3, 3)
    agree(
        {"l.weight": w},
        [{"type": "linear", "name": "l"}, {"type": "pool", **spec}],
        (4, 3),
        lambda x: function(x @ w.T),
    )


@pytest.mark.parametrize("shape", [(9, 3), (1, 9, 3), (9, 1, 3)])
def test_positions_are_added_row_by_row(agree, noise, shape):
    table = noise(*shape)
    layers = [{"type": "positional", "name": "p"}, {"type": "flatten"}]
    agree({"p": table}, layers, (4, 3), lambda x: (x + table.reshape(9, 3)[:4]).reshape(len(x), -1))


def test_a_transposed_window_is_flattened_in_its_new_order(agree):
    layers = [{"type": "transpose"}, {"type": "flatten"}, {"type": "linear", "name": "l"}]
    weight = np.eye(12, dtype=np.float32)[[0, 1, 11]]
    agree({"l.weight": weight}, layers, (4, 3), lambda x: x.transpose(0, 2, 1).reshape(len(x), -1)[:, [0, 1, 11]])


def test_an_embedding_looks_rows_up_and_clips_what_is_outside(serve, noise):
    table = noise(4, 2)
    layers = [{"type": "embedding", "name": "e", "clip": True}, {"type": "flatten"}]
    engine = serve({"e.weight": table}, layers, (3,))
    x = np.array([[0, 3, 2.9], [-5, 9, 1]], np.float32)
    assert engine.infer(x).tolist() == table[[[0, 3, 2], [0, 3, 1]]].reshape(2, -1).tolist()
    with pytest.raises(ModelLoadError, match='say "clip": true'):
        serve({"e.weight": table}, [{"type": "embedding", "name": "e"}, {"type": "flatten"}], (3,))


@pytest.mark.parametrize(
    ("tensors", "layers", "window", "message"),
    [
        ({"l.weight": (3, 4)}, [{"type": "linear", "name": "l"}], (5,), r"takes \[\?, …, 4\], found \[\?, 5\]"),
        ({"l.weight": (3,)}, [{"type": "linear", "name": "l"}], (3,), r"'l.weight': expected \[\?, \?\], found \[3\]"),
        ({"l.weight": (3, 4), "l.bias": (4,)}, [{"type": "linear", "name": "l"}], (4,), r"expected \[3\], found \[4\]"),
        ({"n.weight": (3,)}, [{"type": "layer_norm", "name": "n"}], (4,), "takes 3 features"),
        ({"n.weight": (3,)}, [{"type": "layer_norm", "name": "n", "eps": 0}], (3,), "eps"),
        ({"c.weight": (2, 4, 3)}, [{"type": "conv1d", "name": "c"}], (9, 4), "put a transpose in front"),
        ({"c.weight": (2, 4, 3)}, [{"type": "conv1d", "name": "c"}], (4, 2), "shorter than its kernel"),
        ({"c.weight": (2, 4, 3)}, [{"type": "conv1d", "name": "c", "groups": 3}], (12, 9), "3 groups"),
        (
            {"c.weight": (2, 4, 3)},
            [{"type": "conv1d", "name": "c", "padding": "same", "stride": 2}],
            (4, 9),
            "needs a stride of 1",
        ),
        ({"r.weight_hh_l0": (9, 2)}, [{"type": "gru", "name": "r"}], (4, 3), r"expected \[6, 2\], found \[9, 2\]"),
        (
            {"r.weight_hh_l0": (6, 2), "r.weight_ih_l0": (6, 3)},
            [{"type": "gru", "name": "r", "batch_first": False}],
            (4, 3),
            "batch_first",
        ),
        (
            {"r.weight_hh_l0": (6, 2), "r.weight_ih_l0": (6, 3)},
            [{"type": "gru", "name": "r", "output": "hidden"}],
            (4, 5),
            r"takes \[time, 3\]",
        ),
        (
            {"a.in_proj_weight": (18, 6), "a.out_proj.weight": (6, 6)},
            [{"type": "multihead_attention", "name": "a", "heads": 4}],
            (4, 6),
            "a multiple of 4 heads",
        ),
        ({"p": (3, 6)}, [{"type": "positional", "name": "p"}], (4, 6), r"takes \[up to 3, 6\]"),
        ({"l.weight": (3, 4)}, [{"type": "linear", "name": "l"}], (5, 4), r"expected \[batch, scores\]"),
        ({"l.weight": (3, 4)}, [{"type": "linear", "name": "l", "bias": True}], (4,), "unknown bias; known: name"),
        ({"l.weight": (3, 4)}, [{"type": "Linear", "name": "l"}], (4,), "type: expected linear or conv1d"),
        ({"l.weight": (3, 4)}, ["linear"], (4,), "layer 0: expected an object"),
    ],
)  # fmt: skip
def test_layers_that_do_not_fit_are_refused(serve, noise, tensors, layers, window, message):
    with pytest.raises(ModelLoadError, match=message):
        serve({name: noise(*shape) for name, shape in tensors.items()}, layers, window)
