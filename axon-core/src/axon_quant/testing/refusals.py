"""The part of the suite of backends about models that must not serve."""

from __future__ import annotations

import numpy as np
import pytest

from axon_quant.errors import ModelCheckError, ModelError, ModelLoadError
from axon_quant.testing.cases import case
from axon_quant.testing.workbench import WINDOW, Workbench, assert_refused, assert_scores, noise


class Refusals:
    """B-030 to B-039; `BackendConformance` has the fixtures."""

    @case("B-030")
    def test_b030_a_missing_file_is_refused(self, bench: Workbench) -> None:
        """A file that is not there, and a folder, raise ModelLoadError with the path; the old model keeps serving."""
        model = bench.model()
        engine = bench.serve(model)
        assert_refused(engine, bench.folder() / model.path.name, ModelLoadError, model)
        assert_refused(engine, bench.folder(), ModelLoadError, model)

    @case("B-031")
    def test_b031_garbage_is_refused(self, bench: Workbench) -> None:
        """An empty file, zeros, text and noise raise ModelError with the path; the old model keeps serving."""
        model = bench.model()
        engine = bench.serve(model)
        for data in (b"", b"\0" * 100, b"\xff" * 100, b"this is no model", np.random.default_rng(0).bytes(4096)):
            assert_refused(engine, bench.file(model, data), ModelError, model)

    @case("B-032")
    def test_b032_a_truncated_file_is_refused(self, bench: Workbench) -> None:
        """A file cut off anywhere raises ModelError with the path; the old model keeps serving."""
        model = bench.model()
        engine = bench.serve(model)
        data = model.path.read_bytes()
        for length in (1, len(data) // 4, len(data) // 2, 3 * len(data) // 4, len(data) - 1):
            assert_refused(engine, bench.file(model, data[:length]), ModelError, model)

    @case("B-033", skip_when="the format cannot hold other sizes")
    def test_b033_another_shape_than_configured_is_refused(self, bench: Workbench) -> None:
        """Another window or number of outputs than configured raises ModelCheckError; the old model keeps serving."""
        model = bench.model()
        engine = bench.engine(model.path, input_shape=(1, *WINDOW), output_dim=3)
        engine.load()
        assert_refused(engine, bench.model(window=(4, 5)).path, ModelCheckError, model)
        assert_refused(engine, bench.model(outputs=2).path, ModelCheckError, model)

    @case("B-034", skip_when="the format cannot hold NaN")
    def test_b034_weights_that_are_not_finite_are_refused(self, bench: Workbench) -> None:
        """A model whose scores are NaN raises ModelCheckError when it is loaded; the old model keeps serving."""
        model, broken = bench.model(), bench.model(finite=False)
        assert_refused(bench.serve(model), broken.path, ModelCheckError, model)

    @case("B-035")
    def test_b035_another_hash_than_the_pinned_one_is_refused(self, bench: Workbench) -> None:
        """With `sha256` in the configuration only those bytes are served; others raise ModelCheckError."""
        model, other = bench.model(), bench.model(1)
        engine = bench.engine(model.path, sha256=model.sha256)
        engine.load()
        assert_refused(engine, other.path, ModelCheckError, model)
        with pytest.raises(ModelCheckError):
            bench.engine(model.path, sha256="0" * 64).load()

    @case("B-036")
    def test_b036_after_a_refusal_a_good_file_is_served(self, bench: Workbench) -> None:
        """A refused file leaves nothing behind: the next good one becomes version 2 and answers as its reference."""
        model, other = bench.model(), bench.model(1)
        engine = bench.serve(model)
        assert_refused(engine, bench.file(model, b"this is no model"), ModelError, model)
        assert engine.load(other.path).number == 2
        x = noise(1, *WINDOW)
        assert_scores(other, x, engine.infer(x))

    @case("B-037", skip_when="the format cannot hold a second output")
    def test_b037_a_second_output_is_refused(self, bench: Workbench) -> None:
        """A file with more in it than the scores raises ModelError; the old model keeps serving."""
        model, wider = bench.model(), bench.model(1, extra_output=True)
        assert_refused(bench.serve(model), wider.path, ModelError, model)

    @case("B-038", skip_when="the format cannot hold weights that do not fit")
    def test_b038_weights_that_do_not_fit_together_are_refused(self, bench: Workbench) -> None:
        """Widths that do not match raise ModelError when the model is loaded; the old model keeps serving."""
        model, unfit = bench.model(), bench.model(1, fits=False)
        assert_refused(bench.serve(model), unfit.path, ModelError, model)

    @case("B-039")
    def test_b039_a_damaged_file_is_refused_or_computes(self, bench: Workbench) -> None:
        """With any bit turned over, a file raises ModelError with its path, or serves under its own SHA-256."""
        model = bench.model()
        engine = bench.serve(model)
        data, rng, x = model.path.read_bytes(), np.random.default_rng(0), noise(1, *WINDOW)
        early = rng.integers(0, min(len(data), 256), 8)  # where formats keep what they are
        for place in (*early.tolist(), *rng.integers(0, len(data), 16).tolist()):
            damaged = bytearray(data)
            damaged[place] ^= 1 << int(rng.integers(8))
            path = bench.file(model, bytes(damaged))
            before = engine.version
            try:
                found = engine.load(path)
            except ModelError:
                assert engine.version == before, "the version changed, although the model was refused"
                continue
            assert (found.number, found.sha256) == (before + 1, engine.files(path).sha256)
            assert np.isfinite(engine.infer(x)).all()
            engine.load(model.path)
        assert_scores(model, x, engine.infer(x))
