"""From `{"type": …}` to a layer. What a small model does without is imported where a model needs it."""

from __future__ import annotations

from collections.abc import Callable

from axon_backend_safetensors.fields import Fields
from axon_backend_safetensors.layers import elementwise
from axon_backend_safetensors.layers.affine import Linear
from axon_backend_safetensors.layers.elementwise import Activation, Elementwise
from axon_backend_safetensors.layers.shaping import Embedding, Flatten, Pool, Positional, Transpose
from axon_backend_safetensors.reader import Tensors
from axon_backend_safetensors.tape import Layer
from axon_quant.errors import ModelLoadError

_PLAIN = {
    "identity": Activation("identity", elementwise.identity),
    "dropout": Activation("identity", elementwise.identity),
    "relu": Activation("relu", elementwise.relu),
    "tanh": Activation("tanh", elementwise.tanh),
    "sigmoid": Activation("sigmoid", elementwise.sigmoid),
    "silu": Activation("silu", elementwise.silu),
}


def activation(fields: Fields, kind: str) -> Activation:
    """The activation of that name with its settings. Raises ModelLoadError for an unknown one."""
    if kind == "gelu":
        exact = fields.choice("approximate", ("none", "tanh"), "none") == "none"
        return Activation("gelu", elementwise.gelu) if exact else Activation("gelu_tanh", elementwise.gelu_tanh)
    if kind == "elu":
        alpha = fields.number("alpha", 1.0)
        return Activation("elu", elementwise.elu(alpha), alpha)
    if kind == "leaky_relu":
        slope = fields.number("negative_slope", 0.01)
        return Activation("leaky_relu", elementwise.leaky_relu(slope), slope)
    if kind == "softmax":
        if fields.integer("dim", -1) != -1:
            raise ModelLoadError(f"{fields.where}: softmax runs over the last axis, dim: -1")
        return Activation("softmax", elementwise.softmax)
    return _PLAIN[kind]


def _conv1d(fields: Fields, tensors: Tensors) -> Layer:
    from axon_backend_safetensors.layers.convolution import Conv1d, ConvOptions

    same = fields.equals("padding", "same")
    options = ConvOptions(
        fields.count("stride", 1),
        None if same else fields.count("padding", 0, least=0),
        fields.count("dilation", 1),
        fields.count("groups", 1),
    )
    return Conv1d(fields.text("name"), tensors, options)


def _recurrent(fields: Fields, tensors: Tensors) -> Layer:
    from axon_backend_safetensors.layers.recurrent import Gru, Lstm

    if not fields.flag("batch_first", True):
        raise ModelLoadError(
            f"{fields.where}: batch_first: a batch of windows is [batch, time, features] here",
            hint="leave it out: the weights are the same either way",
        )
    kind = Gru if fields.equals("type", "gru") else Lstm
    return kind(fields.text("name"), tensors, fields.choice("output", ("sequence", "hidden"), "sequence"))


def _layer_norm(fields: Fields, tensors: Tensors) -> Layer:
    from axon_backend_safetensors.layers.normalisation import LayerNorm

    return LayerNorm(fields.text("name"), tensors, fields.number("eps", 1e-5))


def _attention(fields: Fields, tensors: Tensors) -> Layer:
    from axon_backend_safetensors.layers.attention import MultiheadAttention

    return MultiheadAttention(fields.text("name"), tensors, fields.count("heads"))


def _encoder(fields: Fields, tensors: Tensors) -> Layer:
    from axon_backend_safetensors.layers.attention import EncoderOptions, TransformerEncoderLayer

    options = EncoderOptions(
        fields.count("heads"),
        activation(fields, fields.choice("activation", ("relu", "gelu"), "relu")),
        fields.flag("norm_first", False),
        fields.number("eps", 1e-5),
    )
    return TransformerEncoderLayer(fields.text("name"), tensors, options)


def _embedding(fields: Fields, tensors: Tensors) -> Layer:
    if not fields.flag("clip", False):
        raise ModelLoadError(
            f"{fields.where}: a window may hold numbers that are no row of the table",
            hint='say "clip": true to have them cut to whole numbers and clipped to the rows there are',
        )
    return Embedding(fields.text("name"), tensors)


_MAKERS: dict[str, Callable[[Fields, Tensors], Layer]] = {
    "linear": lambda fields, tensors: Linear(fields.text("name"), tensors),
    "conv1d": _conv1d,
    "gru": _recurrent,
    "lstm": _recurrent,
    "layer_norm": _layer_norm,
    "multihead_attention": _attention,
    "transformer_encoder_layer": _encoder,
    "embedding": _embedding,
    "positional": lambda fields, tensors: Positional(
        fields.text("name"), tensors, fields.text("ids") if "ids" in fields else None
    ),
    "flatten": lambda _fields, _tensors: Flatten(),
    "transpose": lambda _fields, _tensors: Transpose(),
    "pool": lambda fields, _tensors: Pool(fields.choice("how", ("mean", "max", "last")), fields.integer("dim", 1)),
}
ACTIVATIONS = (*_PLAIN, "gelu", "elu", "leaky_relu", "softmax")


def build(spec: object, where: str, tensors: Tensors) -> Layer:
    """The layer that a JSON object describes. Raises ModelLoadError with `where`."""
    fields = Fields(where, spec)
    kind = fields.choice("type", (*_MAKERS, *ACTIVATIONS))
    layer = Elementwise(activation(fields, kind)) if kind in ACTIVATIONS else _MAKERS[kind](fields, tensors)
    fields.done()
    return layer
