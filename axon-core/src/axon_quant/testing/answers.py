"""The part of the suite of backends that gives a model inputs and looks at its answers."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from axon_quant.errors import ModelCheckError, ModelError, ModelInputError
from axon_quant.inference.action import TRADING_ACTIONS, Action
from axon_quant.inference.backend import Backend
from axon_quant.inference.session import FloatArray
from axon_quant.testing.cases import case
from axon_quant.testing.workbench import WINDOW, Workbench, assert_scores, noise

ODD_ORDER = ("sell", "hold", "buy")
"""Neither the usual order nor the alphabet's."""


class Answers:
    """B-010 to B-023; `BackendConformance` has the fixtures."""

    # What it computes

    @case("B-010")
    def test_b010_scores_are_those_of_the_reference(self, bench: Workbench) -> None:
        """`infer` agrees with the NumPy reference on noise, small and large numbers and zeros."""
        model = bench.model()
        engine = bench.serve(model)
        windows = [noise(1, *WINDOW, seed=seed) for seed in range(20)]
        for x in [*windows, 100.0 * windows[0], 1e-3 * windows[1], np.zeros((1, *WINDOW), np.float32)]:
            assert_scores(model, x, engine.infer(x))

    @case("B-011", skip_when="the format cannot hold other sizes")
    @pytest.mark.parametrize(("window", "outputs"), [((6,), 2), ((16, 8), 5)], ids=["6-to-2", "16x8-to-5"])
    def test_b011_other_sizes_are_served(self, bench: Workbench, window: tuple[int, ...], outputs: int) -> None:
        """Windows of one and of two dimensions, with two and with five outputs, agree with the reference."""
        model = bench.model(1, window=window, outputs=outputs)
        engine = bench.serve(model)
        for seed in range(5):
            x = noise(1, *window, seed=seed)
            assert_scores(model, x, engine.infer(x))

    @case("B-012")
    def test_b012_the_same_file_gives_the_same_bits(self, bench: Workbench) -> None:
        """The same window gives the same bits again, from the same engine and from another one: replays rely on it."""
        model = bench.model()
        first, second = bench.serve(model), bench.serve(model)
        for seed in range(10):
            x = noise(1, *WINDOW, seed=seed)
            assert len({engine.infer(x).tobytes() for engine in (first, second, first)}) == 1

    @case("B-013")
    def test_b013_inputs_are_read_as_they_look_and_left_alone(self, bench: Workbench) -> None:
        """Strided, reversed and read-only inputs give the answers of their contiguous copies and are not written to."""
        engine = bench.serve(bench.model())
        rows, columns = WINDOW
        wide = noise(1, 2 * rows, 2 * columns)
        wide.flags.writeable = False
        before = wide.tobytes()
        for view in (wide[:, ::2, ::2], wide[:, rows - 1 :: -1, :columns], wide[:, :rows, columns:]):
            assert engine.infer(view).tobytes() == engine.infer(np.array(view, order="C")).tobytes()
        assert wide.tobytes() == before

    @case("B-014")
    def test_b014_the_caller_owns_the_scores(self, bench: Workbench) -> None:
        """Scores are writable float32, stay as they are during later calls, and writing to them changes no answer."""
        engine = bench.serve(bench.model())
        first, second = noise(1, *WINDOW, seed=1), noise(1, *WINDOW, seed=2)
        scores = engine.infer(first)
        assert scores.dtype == np.float32
        assert scores.shape == (1, 3)
        kept = scores.tobytes()
        other = engine.infer(second)
        assert scores.tobytes() == kept, "a later call changed scores that the caller holds"
        assert not np.shares_memory(scores, other), "two calls returned the same memory"
        scores[...] = 0.0
        assert engine.infer(first).tobytes() == kept

    @case("B-015")
    def test_b015_configured_actions_name_the_outputs_in_order(self, bench: Workbench) -> None:
        """With `actions` in the configuration, `predict` names the highest score by its position there."""
        model = bench.model()
        engine = bench.engine(model.path, actions=ODD_ORDER)
        engine.load()
        for seed in range(20):
            x = noise(*WINDOW, seed=seed)
            _assert_action(engine.predict(x), model.reference(x[None])[0], ODD_ORDER)

    @case("B-016", skip_when="the format holds no names of outputs")
    def test_b016_the_files_actions_name_the_outputs_in_order(self, bench: Workbench) -> None:
        """Names stored in the file are those of the outputs, in order; a configuration that differs is refused."""
        model = bench.model(actions=ODD_ORDER)
        engine = bench.serve(model)
        if engine.session.actions is None:
            pytest.skip("the format holds no names of outputs")
        assert engine.model.actions == ODD_ORDER
        for seed in range(10):
            x = noise(*WINDOW, seed=seed)
            _assert_action(engine.predict(x), model.reference(x[None])[0], ODD_ORDER)
        with pytest.raises(ModelCheckError):
            bench.engine(model.path, actions=TRADING_ACTIONS).load()

    @case("B-017", skip_when="the format cannot hold two outputs")
    def test_b017_three_outputs_without_names_are_buy_sell_hold(self, bench: Workbench) -> None:
        """Three unnamed outputs are buy, sell, hold; two unnamed ones can be inferred but not decided on."""
        model = bench.model()
        engine = bench.serve(model)
        x = noise(*WINDOW)
        _assert_action(engine.predict(x), model.reference(x[None])[0], TRADING_ACTIONS)
        pair = bench.model(outputs=2)
        engine = bench.serve(pair)
        assert_scores(pair, x[None], engine.infer(x[None]))
        with pytest.raises(ModelError):
            engine.predict(x)

    @case("B-018")
    def test_b018_a_window_may_come_with_or_without_its_batch(self, bench: Workbench) -> None:
        """`predict` decides the same for `[…window]` and `[1, …window]`."""
        engine = bench.serve(bench.model())
        x = noise(*WINDOW)
        assert engine.predict(x) == engine.predict(x[None])

    @case("B-019")
    def test_b019_a_memory_map_is_read_as_the_array_it_is(self, bench: Workbench) -> None:
        """A memory map gives the answers of its copy, and the scores are a plain array; masked numbers are refused."""
        engine = bench.serve(bench.model())
        x = noise(1, *WINDOW)
        mapped = np.memmap(bench.folder() / "window", np.float32, "w+", shape=x.shape)
        mapped[...] = x
        scores = engine.infer(mapped)
        assert type(scores) is np.ndarray, f"the scores of a {type(mapped).__name__} are a {type(scores).__name__}"
        assert scores.tobytes() == engine.infer(x).tobytes()
        assert engine.predict(mapped[0]) == engine.predict(x[0])
        masked = np.ma.array(x, mask=np.zeros_like(x, bool))
        masked[0, 0] = np.ma.masked
        _assert_input_refused(engine, masked)

    # What it refuses to compute

    @case("B-020")
    def test_b020_inputs_of_another_shape_are_refused(self, bench: Workbench) -> None:
        """`infer` and `predict` raise ModelInputError for another window, rank or an empty batch."""
        engine = bench.serve(bench.model())
        rows, columns = WINDOW
        wrong: list[tuple[int, ...]] = [
            (1, rows, columns + 1),
            (1, rows + 1, columns),
            (1, columns, rows),
            (1, rows * columns),
            (1, 1, rows, columns),
            (1, rows, columns, 1),
            (1, rows, 0),
            (0, rows, columns),
            (0,),
            (),
        ]
        for shape in wrong:
            _assert_input_refused(engine, np.ones(shape, np.float32))

    @case("B-021")
    def test_b021_inputs_of_another_type_are_refused(self, bench: Workbench) -> None:
        """`infer` and `predict` raise ModelInputError for another dtype or byte order, and for lists: no conversion."""
        engine = bench.serve(bench.model())
        ones = np.ones((1, *WINDOW), np.float32)
        foreign = np.dtype(np.float32).newbyteorder()
        for dtype in (
            np.float64,
            np.float16,
            foreign,
            np.int32,
            np.int64,
            np.uint8,
            np.bool_,
            np.complex64,
            object,
            "U3",
        ):
            _assert_input_refused(engine, ones.astype(dtype))
        for x in (ones.tolist(), None, 1.0, "a window"):
            _assert_input_refused(engine, x)

    @case("B-022")
    def test_b022_inputs_that_are_not_finite_are_refused(self, bench: Workbench) -> None:
        """NaN or infinity anywhere in the window raises ModelInputError; a network can turn it into a sound score."""
        engine = bench.serve(bench.model())
        for value in (np.nan, np.inf, -np.inf):
            for place in np.ndindex(*WINDOW):
                x = noise(1, *WINDOW)
                x[0][place] = value
                _assert_input_refused(engine, x)

    @case("B-023")
    def test_b023_scores_that_are_not_finite_are_an_error(self, bench: Workbench) -> None:
        """Finite inputs at the edge of float32 give finite scores or ModelError, never NaN or infinity."""
        engine = bench.serve(bench.model())
        for seed in range(5):
            x = np.sign(noise(1, *WINDOW, seed=seed)) * np.float32(3e38)
            try:
                scores = engine.infer(x)
            except ModelError:
                continue
            assert np.isfinite(scores).all()

    @case("B-024")
    def test_b024_a_decision_is_about_one_window(self, bench: Workbench) -> None:
        """`predict` raises ModelInputError for a batch of two: there is no telling which of them is meant."""
        engine = bench.serve(bench.model())
        with pytest.raises(ModelInputError):
            engine.predict(noise(2, *WINDOW))


def _assert_action(action: Action, expected: FloatArray, names: tuple[str, ...]) -> None:
    """Fail unless the action is the reference's best, by its name, and carries the scores in the declared order."""
    np.testing.assert_allclose(action.scores, expected, rtol=1e-3, atol=1e-3)
    best = int(np.argmax(action.scores))
    assert (action.index, action.name) == (best, names[best])
    assert 0.0 < action.confidence <= 1.0


def _assert_input_refused(engine: Backend, x: object) -> None:
    """Fail unless both ways in raise ModelInputError."""
    for call in (engine.infer, engine.predict):
        with pytest.raises(ModelInputError):
            call(cast("FloatArray", x))
