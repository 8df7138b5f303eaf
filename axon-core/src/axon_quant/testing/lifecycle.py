"""The part of the suite of backends about a model's life: prepared, served, rebuilt, reloaded and rolled back."""

from __future__ import annotations

from pathlib import Path

import pytest

from axon_quant.errors import ModelError
from axon_quant.inference.backend import Backend
from axon_quant.inference.reloader import ModelHotReloader
from axon_quant.testing.cases import case
from axon_quant.testing.models import ReferenceModel
from axon_quant.testing.workbench import WINDOW, Workbench, assert_scores, noise, wait_until

DEBOUNCE = 0.05
"""Seconds."""


class Lifecycle:
    """B-080 to B-089; `BackendConformance` has the fixtures."""

    @case("B-080")
    def test_b080_a_prepared_model_serves_when_it_is_told_to(self, bench: Workbench) -> None:
        """`prepare` builds and checks and leaves the old model serving; `serve` then swaps, in any order."""
        models = (bench.model(0), bench.model(1), bench.model(2))
        engine = bench.serve(models[0])
        x = noise(1, *WINDOW)
        prepared = [engine.prepare(model.path) for model in models[1:]]
        assert engine.version == 1
        assert_scores(models[0], x, engine.infer(x))
        for number, which in ((2, 2), (3, 1)):
            assert prepared[which - 1].files.sha256 == models[which].sha256
            found = engine.serve(prepared[which - 1])
            assert (found.number, found.sha256, engine.version) == (number, models[which].sha256, number)
            assert_scores(models[which], x, engine.infer(x))

    @case("B-081")
    def test_b081_a_plan_computes_the_same_bits_again(self, bench: Workbench) -> None:
        """A model that is loaded with the plan of an earlier version gives its bits: replays rely on it."""
        model = bench.model()
        engine = bench.serve(model)
        plan = dict(engine.model.plan)
        again = bench.engine(model.path)
        assert again.load(plan=plan).plan == plan
        for seed in range(10):
            x = noise(1, *WINDOW, seed=seed)
            assert again.infer(x).tobytes() == engine.infer(x).tobytes()

    @case("B-082")
    def test_b082_a_plan_that_cannot_be_kept_is_refused(self, bench: Workbench) -> None:
        """A plan of another runtime, or with an entry that is not known, raises ModelError; the old model serves on."""
        model = bench.model()
        engine = bench.serve(model)
        plan = dict(engine.model.plan)
        x = noise(1, *WINDOW)
        for other in ({**plan, next(iter(plan)): "no such thing"}, {**plan, "moon": "full"}):
            with pytest.raises(ModelError):
                engine.load(plan=other)
            assert engine.version == 1
            assert_scores(model, x, engine.infer(x))

    @case("B-083")
    def test_b083_the_version_before_serves_again_without_the_disk(self, bench: Workbench) -> None:
        """What served before can be served again after its files are gone, as a new version with the same bits."""
        model, other = bench.model(0), bench.model(1)
        path = bench.copy(model)
        engine = bench.engine(path)
        engine.load()
        x = noise(1, *WINDOW)
        before, previous = engine.infer(x).tobytes(), engine.prepared
        engine.load(other.path)
        for file in [file for file in path.parent.rglob("*") if file.is_file()]:
            file.unlink()
        found = engine.serve(previous)
        assert (found.number, found.sha256) == (3, model.sha256)
        assert engine.infer(x).tobytes() == before

    @case("B-084")
    def test_b084_a_file_that_is_replaced_is_served(self, bench: Workbench) -> None:
        """The reloader serves a replaced file as the next version, tells subscribers, and rolls back with one call."""
        models = (bench.model(0), bench.model(1))
        engine, path = _deployed(bench, models[0])
        x = noise(1, *WINDOW)
        before = engine.infer(x).tobytes()
        with ModelHotReloader(engine, engine.config, debounce=DEBOUNCE) as reloader:
            receiver = reloader.subscribe()
            bench.put(models[1], path)
            wait_until(lambda: engine.model.sha256 == models[1].sha256, "the new file serves")
            assert_scores(models[1], x, engine.infer(x))
            wait_until(lambda: receiver.borrow() is engine.model, "the subscribers know")
            assert engine.version >= 2
            if engine.version == 2:  # side files may have been seen before their model
                assert reloader.rollback().number == 3
                assert engine.infer(x).tobytes() == before

    @case("B-085")
    def test_b085_a_bad_file_that_is_put_there_is_refused(self, bench: Workbench) -> None:
        """The reloader says why in `last_error` and leaves the old model serving; the next good file is taken up."""
        models = (bench.model(0), bench.model(1))
        engine, path = _deployed(bench, models[0])
        x = noise(1, *WINDOW)
        with ModelHotReloader(engine, engine.config, debounce=DEBOUNCE) as reloader:
            path.write_bytes(b"this is no model")
            wait_until(lambda: reloader.last_error is not None or engine.version > 1, "the file was looked at")
            assert isinstance(reloader.last_error, ModelError)
            assert engine.version == 1
            assert_scores(models[0], x, engine.infer(x))
            bench.put(models[1], path)
            wait_until(lambda: engine.model.sha256 == models[1].sha256, "the good file serves")
            assert_scores(models[1], x, engine.infer(x))
            wait_until(lambda: reloader.last_error is None, "the error is taken back")


def _deployed(bench: Workbench, model: ReferenceModel) -> tuple[Backend, Path]:
    """An engine that serves a copy of the model, and where the copy is."""
    path = bench.copy(model)
    engine = bench.engine(path)
    engine.load()
    return engine, path
