"""The part of the suite of backends about many windows at once."""

from __future__ import annotations

import asyncio
from typing import cast

import numpy as np
import pytest

from axon_quant.errors import ModelCheckError, ModelInputError
from axon_quant.inference.action import Action
from axon_quant.inference.batching import MicroBatcher
from axon_quant.inference.session import FloatArray
from axon_quant.plugins import BackendDescriptor, Capability
from axon_quant.testing.cases import ask, case
from axon_quant.testing.workbench import WINDOW, Workbench, assert_scores, noise


class Batches:
    """B-060, B-063 and B-070 to B-079; `BackendConformance` has the fixtures."""

    @case("B-060", capability=Capability.Batch)
    def test_b060_a_batch_gives_the_scores_of_its_rows(self, bench: Workbench, descriptor: BackendDescriptor) -> None:
        """`infer` takes several windows at once and answers each as it does alone."""
        model = bench.model()
        engine = bench.serve(model)
        for rows in (2, 7):
            x = noise(rows, *WINDOW, seed=rows)
            scores = ask(descriptor, Capability.Batch, lambda x=x: engine.infer(x))  # type: ignore[misc]
            if scores is not None:
                assert_scores(model, x, scores)
                kept = scores.tobytes()
                engine.infer(noise(rows, *WINDOW, seed=rows + 1))
                assert scores.tobytes() == kept, "a later call changed scores that the caller holds"

    @case("B-063", capability=Capability.Batch)
    def test_b063_batching_changes_no_score(self, bench: Workbench, descriptor: BackendDescriptor) -> None:
        """Batches of 2 to 64 give each window what it gets alone, within 1e-6; undeclared, nothing may be batched."""
        check = bench.serve(bench.model()).check_batches()
        if Capability.Batch in descriptor.capabilities:
            assert check.passed, check.reason
        else:
            assert not check.passed, "batch is not declared, but batches are answered"

    @case("B-070")
    def test_b070_many_windows_get_their_own_answers_in_order(self, bench: Workbench) -> None:
        """`infer_batch` answers any number of windows as the reference does, all by the version that it names."""
        model = bench.model()
        engine = bench.serve(model)
        assert len(engine.infer_batch([])) == 0
        for count in (1, 7, 70):
            x = noise(count, *WINDOW, seed=count)
            result = engine.infer_batch(list(x))
            assert (len(result), result.errors, result.model) == (count, {}, engine.model)
            assert_scores(model, x, result.scores())
            assert engine.infer_batch(x).scores().tobytes() == result.scores().tobytes()

    @case("B-071")
    def test_b071_one_bad_window_discards_no_other(self, bench: Workbench) -> None:
        """In `infer_batch`, a window of another shape or dtype or with NaN gets its error, all others their scores."""
        model = bench.model()
        engine = bench.serve(model)
        windows: list[FloatArray] = [*noise(9, *WINDOW)]
        bad = {2: windows[2][:-1], 4: windows[4] * np.float32(np.nan), 7: cast("FloatArray", windows[7].astype(float))}
        for place, window in bad.items():
            windows[place] = window
        result = engine.infer_batch(windows)
        assert set(result.errors) == set(bad)
        assert all(isinstance(error, ModelInputError) for error in result.errors.values())
        for window, scores in zip(windows, result, strict=True):
            if isinstance(scores, np.ndarray):
                assert_scores(model, window[None], scores[None])

    @case("B-072")
    def test_b072_a_micro_batcher_answers_every_request(self, bench: Workbench) -> None:
        """Forty coroutines that ask at once, over a swap, all get an answer, that of the version which it names."""
        models = (bench.model(0), bench.model(1))
        engine = bench.serve(models[0])
        windows = noise(40, *WINDOW)

        async def ask(batcher: MicroBatcher, number: int) -> list[Action]:
            return [await batcher.predict(windows[number]) for _ in range(3)]

        async def scenario() -> list[list[Action]]:
            async with asyncio.timeout(60), MicroBatcher(engine, max_batch=16) as batcher, asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask(batcher, number)) for number in range(len(windows))]
                await asyncio.sleep(0)
                engine.load(models[1].path)
            return [task.result() for task in tasks]

        if not engine.check_batches(16).passed:
            with pytest.raises(ModelCheckError):
                MicroBatcher(engine, max_batch=16)
            return
        for window, actions in zip(windows, asyncio.run(scenario()), strict=True):
            for action in actions:
                assert_scores(models[action.version - 1], window[None], [action.scores])
