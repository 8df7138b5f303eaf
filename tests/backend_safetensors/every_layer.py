"""A process that runs each layer with both engines, in batches of 1 and 3; prints the largest differences as JSON."""

import json
import sys
from pathlib import Path

import numpy as np

from axon_backend_safetensors.backend import SafetensorsBackend
from axon_backend_safetensors.reader import ARCHITECTURE
from axon_backend_safetensors.writer import pack
from axon_quant.inference import ModelConfig

TIME, WIDTH, HIDDEN = 9, 10, 7
WINDOW = (TIME, WIDTH)
rng = np.random.default_rng(0)


def noise(*shape):
    return rng.uniform(-0.4, 0.4, shape).astype(np.float32)


def linear(name, outputs, inputs):
    return {f"{name}.weight": noise(outputs, inputs), f"{name}.bias": noise(outputs)}


def recurrent(kind, layers, both):
    gates, tensors = {"gru": 3, "lstm": 4}[kind], {}
    for layer in range(layers):
        inputs = WIDTH if layer == 0 else HIDDEN * (1 + both)
        for suffix in ["", "_reverse"][: 1 + both]:
            shapes = {"weight_ih": (inputs,), "weight_hh": (HIDDEN,), "bias_ih": (), "bias_hh": ()}
            for name, rest in shapes.items():
                tensors[f"r.{name}_l{layer}{suffix}"] = noise(gates * HIDDEN, *rest)
    return tensors


def encoder():
    norms = {f"e.norm{n}.{part}": noise(WIDTH) for n in (1, 2) for part in ("weight", "bias")}
    joined = {"e.self_attn.in_proj_weight": noise(3 * WIDTH, WIDTH), "e.self_attn.in_proj_bias": noise(3 * WIDTH)}
    feed = linear("e.linear1", 13, WIDTH) | linear("e.linear2", WIDTH, 13)
    return norms | joined | linear("e.self_attn.out_proj", WIDTH, WIDTH) | feed


def cases():
    flat, mean = {"type": "flatten"}, {"type": "pool", "how": "mean"}
    for name in ("relu", "tanh", "sigmoid", "silu", "gelu", "elu", "leaky_relu", "softmax", "identity"):
        yield name, {}, [{"type": name}, flat]
    yield "gelu_tanh", {}, [{"type": "gelu", "approximate": "tanh"}, flat]
    yield "linear", linear("l", 6, WIDTH), [{"type": "linear", "name": "l"}, flat]
    yield "linear by one", linear("l", 5, TIME * WIDTH), [flat, {"type": "linear", "name": "l"}]
    for kind in ("gru", "lstm"):
        for output in ("sequence", "hidden"):
            for layers, both in ((1, False), (2, True)):
                spec = {"type": kind, "name": "r", "output": output}
                layers_ = [spec, flat] if output == "sequence" else [spec]
                yield f"{kind} {output} {layers}", recurrent(kind, layers, both), layers_
    yield "layer_norm", {"n.weight": noise(WIDTH), "n.bias": noise(WIDTH)}, [{"type": "layer_norm", "name": "n"}, mean]
    for how in ("mean", "max", "last"):
        for dim in (1, 2):
            yield f"{how} {dim}", {}, [{"type": "pool", "how": how, "dim": dim}]
    yield "transpose", {}, [{"type": "transpose"}, flat]
    yield "positional", {"p": noise(TIME + 3, WIDTH)}, [{"type": "positional", "name": "p"}, flat]
    for first in (False, True):
        spec = {"type": "transformer_encoder_layer", "name": "e", "heads": 2, "norm_first": first, "activation": "gelu"}
        yield f"encoder {first}", encoder(), [spec, mean]
    for options in ({}, {"padding": 2, "stride": 2}, {"padding": "same", "dilation": 2}, {"groups": 5}):
        weight = noise(10, WIDTH // options.get("groups", 1), 3)
        spec = {"type": "conv1d", "name": "c", **options}
        yield f"conv {options}", {"c.weight": weight, "c.bias": noise(10)}, [{"type": "transpose"}, spec, flat]
    table = [{"type": "embedding", "name": "t", "clip": True}, flat]
    yield "embedding", {"t.weight": noise(3, 4)}, table


def main():
    found = {}
    for name, tensors, layers in cases():
        path = Path(sys.argv[1]) / "model.safetensors"
        tensors = tensors or {"unused": noise(1)}
        ignore = {"ignore": ["unused"]} if "unused" in tensors else {}
        window = (TIME,) if name == "embedding" else WINDOW
        architecture = {"input_shape": [1, *window], "layers": layers, **ignore}
        path.write_bytes(pack(tensors, {ARCHITECTURE: json.dumps(architecture)}))
        engines = [SafetensorsBackend(ModelConfig(path, "safetensors"), engine=e) for e in ("numpy", "numba")]
        for engine in engines:
            engine.load()
        differences = []
        for batch in (1, 3):
            x = 3 * rng.standard_normal((batch, *window), np.float32)
            differences.append(float(np.abs(engines[0].infer(x) - engines[1].infer(x)).max()))
        found[name] = max(differences)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
