"""numpy or compiled kernels: what they compute, which one is chosen, and that a plan decides for good."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from axon_backend_safetensors import choice
from axon_backend_safetensors.backend import SafetensorsBackend
from axon_quant.errors import ModelCheckError, ModelError, UnsupportedError
from axon_quant.inference import ModelConfig


@pytest.fixture
def open_with(monkeypatch, tmp_path):
    """Load a file with an engine; what is found about engines is kept in a folder of the test's own."""
    monkeypatch.setenv("AXON_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(choice, "_choices", {})

    def open_with(path, engine="auto", *, plan=None):
        backend = SafetensorsBackend(ModelConfig(path, "safetensors"), engine=engine)
        backend.load(plan=plan)
        return backend

    return open_with


def test_an_engine_that_is_not_known_is_refused(save, mlp):
    with pytest.raises(ValueError, match="engine must be one of auto, numpy, numba, got 'blas'"):
        SafetensorsBackend(ModelConfig("m.safetensors", "safetensors"), engine="blas")


def test_numpy_computes_where_it_was_asked_for(save, mlp, open_with):
    assert open_with(save(mlp(4, 8, 3)), "numpy").model.plan["engine"] == "numpy"


def test_without_numba_asking_for_it_is_an_error_that_names_the_extra_and_auto_is_numpy(save, mlp):
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "import importlib.util; find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, package=None: None if name == 'numba' else find(name, package)\n"
        "from axon_backend_safetensors import SafetensorsBackend\n"
        "from axon_quant.errors import PluginMissingError\n"
        "from axon_quant.inference import ModelConfig\n"
        f"config = ModelConfig({str(save(mlp(4, 8, 3)))!r}, 'safetensors')\n"
        "print(SafetensorsBackend(config).load().plan['engine'])\n"
        "for plan, engine in ((None, 'numba'), ({'engine': 'numba 0.61.0'}, 'auto')):\n"
        "    try:\n"
        "        SafetensorsBackend(config, engine=engine).load(plan=plan)\n"
        "    except PluginMissingError as error:\n"
        "        print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    lines = run.stdout.splitlines()
    assert lines[0] == "numpy", run.stderr
    assert len(lines) == 3
    assert all('pip install "axon-backend-safetensors[numba]"' in line for line in lines[1:])


def test_bare_is_the_same_network_in_plain_numpy(save, mlp, open_with, noise):
    engine = open_with(save(mlp(12, 8, 3), input_shape=[1, 4, 3]))
    x = noise(1, 4, 3)
    np.testing.assert_allclose(engine.bare(engine.config.path)(x), engine.infer(x), rtol=1e-5, atol=1e-6)
    norm = save({"l.weight": np.ones(4, np.float32)}, [{"type": "layer_norm", "name": "l"}], (4,))
    with pytest.raises(UnsupportedError, match="no layer 'layer_norm'"):
        engine.bare(norm)


class TestNumba:
    """Skipped where the extra is not installed; `nox -s numba` runs it."""

    @pytest.fixture(autouse=True)
    def _needs_numba(self):
        pytest.importorskip("numba")

    def test_the_plan_names_version_and_processor(self, save, mlp, open_with):
        import numba

        plan = open_with(save(mlp(4, 8, 3)), "numba").model.plan
        assert plan["engine"] == f"numba {numba.__version__}"
        assert plan["processor"]
        assert plan["threads"] == "1"

    def test_a_small_network_is_computed_by_numba_unless_told_otherwise(self, save, mlp, open_with):
        assert open_with(save(mlp(4, 64, 64, 3))).model.plan["engine"].startswith("numba ")

    @pytest.mark.parametrize("batch", [1, 2, 5, 64, 130])
    def test_a_row_gets_the_same_bits_in_every_batch(self, save, mlp, mlp_scores, open_with, noise, batch):
        tensors = mlp(24, 33, 17, 3)
        engine = open_with(save(tensors, input_shape=[1, 6, 4]), "numba")
        x = noise(batch, 6, 4)
        y = engine.infer(x)
        np.testing.assert_allclose(y, mlp_scores(tensors, x), rtol=1e-5, atol=1e-5)
        assert y.tobytes() == b"".join(engine.infer(row[None]).tobytes() for row in x)

    def test_a_plan_decides_for_good(self, save, mlp, open_with, noise, monkeypatch):
        path, x = save(mlp(4, 64, 64, 3)), noise(1, 4)
        plans = {name: dict(open_with(path, name).model.plan) for name in ("numpy", "numba")}
        scores = {name: open_with(path, name).infer(x).tobytes() for name in plans}
        monkeypatch.setattr(choice, "_share", lambda *_: pytest.fail("nothing is timed where there is a plan"))
        for name, plan in plans.items():
            for wanted in ("auto", "numpy", "numba"):
                engine = open_with(path, wanted, plan=plan)
                assert engine.model.plan == plan
                assert engine.infer(x).tobytes() == scores[name]

    def test_a_plan_of_another_version_or_processor_is_refused(self, save, mlp, open_with):
        path = save(mlp(4, 8, 3))
        plan = dict(open_with(path, "numba").model.plan)
        for key, value in (("engine", "numba 0.1.0"), ("processor", "z80")):
            with pytest.raises(ModelCheckError, match=f"plan: {key}: expected {value}"):
                open_with(path, plan={**plan, key: value})

    def test_a_choice_is_made_once_and_kept(self, save, mlp, open_with, monkeypatch):
        shares = []

        def share(*_):
            shares.append(0.74 if len(shares) % 2 == 0 else 0.76)  # a machine whose timings flip
            return shares[-1]

        monkeypatch.setattr(choice, "_share", share)
        engines = set()
        for seed in range(4):
            monkeypatch.setattr(choice, "_choices", {})  # as in another process
            engines.add(open_with(save(mlp(4, 8, 3, seed=seed))).model.plan["engine"].split()[0])
        assert (engines, len(shares)) == ({"numba"}, 1)
        assert open_with(save(mlp(4, 9, 3))).model.plan["engine"] == "numpy"  # another architecture, slower this time
        assert len(shares) == 2

    def test_where_the_cache_cannot_be_written_a_warning_says_so_and_the_process_remembers(
        self, save, mlp, open_with, monkeypatch, tmp_path
    ):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("AXON_CACHE", str(tmp_path / "file"))
        shares = []
        monkeypatch.setattr(choice, "_share", lambda *_: shares.append(1) or 0.1)
        with pytest.warns(RuntimeWarning, match="the choice of"):
            first = open_with(save(mlp(4, 8, 3)))
        with pytest.warns(RuntimeWarning, match="cannot be read"):
            second = open_with(save(mlp(4, 8, 3)))
        assert first.model.plan == second.model.plan
        assert len(shares) == 1

    def test_scores_that_numba_rounds_too_differently_are_numpys(self, save, open_with, noise):
        # the difference of two large and almost equal sums is what rounding made of them
        sums = np.float32(1e6) * noise(1, 4096).repeat(2, axis=0)
        sums[1] = np.nextafter(sums[0], np.float32(np.inf))
        tensors = {"a.weight": sums, "b.weight": np.full((3, 2), [0.1, -0.1], np.float32)}
        path = save(tensors, [*({"type": "linear", "name": name} for name in "ab"), {"type": "tanh"}], (4096,))
        assert open_with(path).model.plan["engine"] == "numpy"
        with pytest.raises(ModelCheckError, match=r"numba's differ from numpy's by .*load the model with engine"):
            open_with(path, "numba")

    @pytest.mark.parametrize(
        "middle",
        ["relu", "tanh", "sigmoid", "silu", "gelu", "elu", "leaky_relu", "softmax", "layer_norm", "max", "gru"],
    )
    def test_an_overflow_never_ends_as_a_sound_score(self, save, open_with, noise, middle):
        # inf − inf is NaN before the layer, which must not be lost in it
        first = np.array([[100, 0, 0, 0], [0, 1, 0, 0], [100, 0, 0, 0], [0, 0, 1, 0]], np.float32)
        second = np.array([[1, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 1, 0, 1]], np.float32)
        tensors = {"a.weight": first, "b.weight": second, "c.weight": np.ones((3, 4), np.float32)}
        between = [{"type": middle}]
        if middle == "layer_norm":
            tensors["n.weight"] = np.ones(4, np.float32)
            between = [{"type": middle, "name": "n"}]
        elif middle == "max":
            between = [{"type": "pool", "how": "max"}]
        elif middle == "gru":
            tensors |= {"g.weight_ih_l0": noise(12, 4), "g.weight_hh_l0": noise(12, 4)}
            between = [{"type": "gru", "name": "g", "output": "hidden"}]
        names = [{"type": "linear", "name": name} for name in "abc"]
        tail = [] if middle in ("max", "gru") else [{"type": "pool", "how": "mean"}]
        engine = open_with(save(tensors, [*names[:2], *between, *tail, names[2]], (2, 4)), "numba")
        engine.infer(noise(1, 2, 4))
        for batch in (1, 3):
            with pytest.raises(ModelError, match="scores: expected finite"):
                engine.infer(np.full((batch, 2, 4), 1e37, np.float32))
        engine.infer(noise(1, 2, 4))

    def test_four_threads_share_a_session(self, save, mlp, open_with, noise):
        engine = open_with(save(mlp(512, 600, 64, 3)), "numba")  # large enough to release the interpreter lock
        inputs = [noise(1, 512, seed=seed) for seed in range(4)]
        expected = [engine.infer(x).tobytes() for x in inputs]
        wrong = []

        def ask(index):
            wrong.extend(index for _ in range(300) if engine.infer(inputs[index]).tobytes() != expected[index])

        threads = [threading.Thread(target=ask, args=(index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_where_kernels_cannot_be_kept_they_are_compiled_with_a_warning(self, save, mlp, tmp_path):
        (tmp_path / "file").write_text("")
        code = (
            "from axon_backend_safetensors import SafetensorsBackend\n"
            "from axon_quant.inference import ModelConfig\n"
            f"config = ModelConfig({str(save(mlp(4, 8, 3)))!r}, 'safetensors')\n"
            "print(SafetensorsBackend(config, engine='numba').load())\n"
        )
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "NUMBA_CACHE_DIR": str(tmp_path / "file" / "x"),
            "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator",
        }
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        assert run.stdout == "1\n", run.stderr
        assert "compiled kernels cannot be kept" in run.stderr

    def test_no_kernel_leaves_its_arrays(self, tmp_path):
        """Compiled with checks of every place, all layers run without one message."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
            "NUMBA_BOUNDSCHECK": "1",
            "NUMBA_CACHE_DIR": str(tmp_path / "numba"),
            "AXON_CACHE": str(tmp_path / "axon"),
        }
        run = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("every_layer.py")), str(tmp_path)],
            capture_output=True,
            text=True,
            env=environment,
        )
        assert (run.returncode, run.stderr) == (0, "")
        found = json.loads(run.stdout)
        assert len(found) >= 20
        assert max(found.values()) <= 1e-5
