import hashlib
import importlib.util
import warnings

import numpy as np
import pytest

if importlib.util.find_spec("torch") is not None:  # where it is not, the tests are skipped
    import torch

    from axon_backend_torch.backend import TorchBackend
    from axon_quant.inference import ModelConfig

    class TorchMlp(torch.nn.Module):
        """Flatten → Linear → ReLU → Linear."""

        def __init__(self, window=(4, 3), width=8, outputs=3):
            super().__init__()
            flat = int(np.prod(window))
            self.net = torch.nn.Sequential(
                torch.nn.Flatten(), torch.nn.Linear(flat, width), torch.nn.ReLU(), torch.nn.Linear(width, outputs)
            )

        def forward(self, x):
            return self.net(x)


@pytest.fixture(autouse=True)
def _no_deprecations_of_our_own_torch_jit_calls():
    """Tests write TorchScript files; what the backend itself warns of is tested with a filter of its own."""
    warnings.filterwarnings("ignore", r"`?torch\.jit\.", DeprecationWarning)


@pytest.fixture
def mlp():
    def seeded(seed=0, **sizes):
        torch.manual_seed(seed)
        return TorchMlp(**sizes).eval()

    return seeded


@pytest.fixture
def noise():
    def noise(*shape, seed=0):
        return np.random.default_rng(seed).standard_normal(shape, np.float32)

    return noise


@pytest.fixture
def eager():
    """What torch itself answers."""

    def eager(module, x):
        with torch.inference_mode():
            return module(torch.from_numpy(x.copy())).numpy()

    return eager


@pytest.fixture
def saved(tmp_path):
    """Write a module in one of the formats."""

    def saved(module, kind="state-dict", *, name=None, example=None, dynamic=True, extra=None):
        example = torch.zeros(2, 4, 3) if example is None else example
        files = {} if extra is None else {"axon.json": extra}
        if kind == "state-dict":
            path = tmp_path / (name or "model.pt")
            torch.save(module.state_dict(), path)
        elif kind == "safetensors":
            path = tmp_path / (name or "model.safetensors")
            pytest.importorskip("safetensors.torch").save_file(module.state_dict(), path)
        elif kind == "torchscript":
            path = tmp_path / (name or "model.torchscript")
            torch.jit.save(torch.jit.script(module), path, _extra_files=files)
        else:
            path = tmp_path / (name or "model.pt2")
            shapes = ({0: torch.export.Dim("batch", min=1, max=64)},) if dynamic else None
            program = torch.export.export(module, (example,), dynamic_shapes=shapes)
            torch.export.save(program, path, extra_files=files)
        return path

    return saved


@pytest.fixture
def serve(mlp):
    """Load a file, pinned and trusted unless told otherwise."""

    def serve(path, *, factory=mlp, execution=None, **config):
        if path.suffix in (".torchscript", ".pt2"):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            config = {"trusted": True, "sha256": digest, **config}
        engine = TorchBackend(ModelConfig(path, "torch", **config), factory=factory, execution=execution)
        engine.load()
        return engine

    return serve
