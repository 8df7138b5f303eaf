"""Versions are copies of one emptied module: each has its own weights, and all of the module's ties."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from axon_backend_torch.prototype import Prototype  # noqa: E402 (only where torch is there)
from axon_quant.errors import ModelLoadError  # noqa: E402

WINDOW = [1, 4, 3]


class Recurrent(torch.nn.Module):
    """Keeps its weights in a list of its own, too."""

    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.GRU(3, 5, 2, batch_first=True)
        self.head = torch.nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


class Tied(torch.nn.Module):
    """One weight under two names, a buffer that no file holds, and one that looks into a weight."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(12, 12)
        self.second = torch.nn.Linear(12, 12)
        self.second.weight = self.first.weight
        self.register_buffer("scale", torch.full((12,), 2.0), persistent=False)
        self.head = torch.nn.Linear(12, 3)
        self.register_buffer("step", torch.ones(()))

    def forward(self, x):
        return self.head(self.second(torch.tanh(self.first(x.flatten(1)))) * self.scale) * self.step


class Normed(torch.nn.Module):
    """Integers among the buffers."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3), torch.nn.BatchNorm1d(3))

    def forward(self, x):
        return self.net(x)


@pytest.mark.parametrize("execution", ["eager", "script"])
@pytest.mark.parametrize("factory", [Recurrent, Tied, Normed])
def test_every_version_has_the_weights_of_its_own_file(factory, execution, saved, serve, noise, eager):
    torch.manual_seed(0)
    modules = [factory().eval() for _ in range(3)]
    engine = serve(saved(modules[0]), factory=factory, execution=execution, input_shape=WINDOW)
    x = noise(2, 4, 3)
    sessions = [engine.session]
    for module in modules[1:]:
        saved(module)
        engine.load()
        sessions.append(engine.session)
    for module, session in zip(modules, sessions, strict=True):
        np.testing.assert_allclose(session.run(x), eager(module, x), rtol=0, atol=1e-6)
    assert len({session.run(x).tobytes() for session in sessions}) == 3


def test_tied_weights_are_one_tensor_in_every_version(saved):
    prototype = Prototype(Tied, {}, torch.float32, ("eager",))
    module = prototype.with_weights(Tied().state_dict(), "eager", torch.device("cpu"))
    assert module.first.weight is module.second.weight
    assert module.scale.tolist() == [2.0] * 12


@pytest.mark.parametrize("execution", ["eager", "script"])
def test_a_buffer_that_no_file_holds_is_refused_in_one(execution, saved, serve):
    module = Tied()
    engine = serve(saved(module), factory=Tied, execution=execution, input_shape=WINDOW)
    torch.save({**module.state_dict(), "scale": torch.ones(12)}, engine.config.path)
    with pytest.raises(ModelLoadError, match=r"(?i)unexpected.*scale"):
        engine.load()


def test_a_prototype_keeps_no_weights(mlp):
    prototype = Prototype(lambda: mlp(width=64), {}, torch.float32, ("eager", "script"))
    for execution in prototype.executions:
        tensors = prototype._modules[execution].state_dict().values()
        assert sum(tensor.untyped_storage().nbytes() for tensor in tensors) == 0


def test_weights_that_share_memory_are_left_as_they_are(saved, serve, noise, eager):
    """Emptied, one of them would have stopped to follow the other."""

    class Shared(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("whole", torch.randn(12, 3))
            self.register_buffer("first", self.whole[:1])

        def forward(self, x):
            return x.flatten(1) @ self.whole + self.first

    torch.manual_seed(0)
    module = Shared()
    engine = serve(saved(module), factory=Shared, execution="eager", input_shape=WINDOW)
    x = noise(1, 4, 3)
    np.testing.assert_allclose(engine.infer(x), eager(module, x), rtol=0, atol=1e-6)


def test_a_version_with_weights_of_other_sizes_is_refused_and_the_next_one_is_not(mlp, saved, serve):
    engine = serve(saved(mlp()), input_shape=WINDOW)
    saved(mlp(width=9))
    with pytest.raises(ModelLoadError, match="size mismatch"):
        engine.load()
    saved(mlp(2))
    assert engine.load().number == 2
