"""`axon bench`: what inference costs, beside the raw runtime."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

QUICK = ("--calls", 60, "--rounds", 3)
KEYS = ["model", "backend", "infer_p50_us", "infer_p99_us", "raw_p50_us", "raw_p99_us", "ratio_p50"]


def rows_of(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_installed_backend_is_measured_on_the_built_in_models(axon):
    rows = rows_of(axon("bench", "--json", *QUICK))
    measured = {(row["backend"], row["model"]) for row in rows}
    assert measured >= {(b, m) for b in ("onnx", "safetensors") for m in ("demo-4x1", "demo-64x128")}
    for row in rows:
        assert list(row)[: len(KEYS)] == KEYS
        assert 0 < row["infer_p50_us"] <= row["infer_p99_us"]
        assert (row["calls"], row["rounds"], row["device"]) == (60, 3, "cpu")
        assert row["plan"]["runtime"]
        assert (row["raw_p50_us"] is None) == (row["raw_p99_us"] is None) == (row["ratio_p50"] is None)


def test_a_model_is_measured_beside_its_raw_runtime(axon, mean_model):
    (row,) = rows_of(axon("bench", "--model", mean_model, "--json", *QUICK))
    assert (row["model"], row["backend"], row["input_shape"]) == ("signal", "mean", [1, 2, 2])
    assert 0 < row["raw_p50_us"] <= row["raw_p99_us"]
    assert 0.5 < row["ratio_p50"] < 100  # the checks come on top of the very same call


def test_a_backend_without_a_raw_runtime_has_no_ratio(axon, mean_model, add_backend, plain_backend):
    add_backend("plain", plain_backend)
    chosen = ("--backend", "mean", "--backend", "plain")
    with_raw, without = rows_of(axon("bench", "--model", mean_model, *chosen, "--json", *QUICK))
    assert (with_raw["backend"], without["backend"]) == ("mean", "plain")
    assert [without[key] for key in KEYS[4:]] == [None, None, None]
    result = axon("bench", "--model", mean_model, "--backend", "plain", *QUICK)
    assert result.stdout.count("–") == 3


def test_the_table_says_what_runs_where(axon):
    result = axon("bench", "--backend", "onnx", *QUICK)
    assert result.exit_code == 0, result.output
    assert "demo-64x128" in result.stdout
    assert "1×64×128 on cpu, 3 rounds of 60 calls; runtime onnxruntime" in result.stdout
    assert "safetensors" not in result.stdout


def test_a_slow_model_gets_as_many_calls_as_fit_in_a_second(axon, add_backend, plain_backend, tmp_path):
    import time

    class Slow(plain_backend):
        def build_session(self, path):
            session = super().build_session(path)
            run = session.run

            class Delayed(type(session)):
                def run(self, x):
                    time.sleep(0.02)
                    return run(x)

            return Delayed(session.weights)

    add_backend("slow", Slow, (".slow",))
    path = tmp_path / "m.slow"
    path.write_text("1 2 3")
    (row,) = rows_of(axon("bench", "--model", path, "--rounds", 1, "--json"))
    assert 1 <= row["calls"] <= 50


def test_a_backend_that_has_no_built_in_models_is_noted_and_the_others_are_measured(axon, mean_model):
    result = axon("bench", "--json", "--calls", 2, "--rounds", 1)
    assert {row["backend"] for row in rows_of(result)} >= {"onnx", "safetensors"}
    assert "note: mean has no built-in models: measure one of yours with --model FILE" in result.stderr


def test_a_model_that_cannot_be_measured_is_told_beside_those_that_can(axon, mean_model, add_backend, plain_backend):
    class Broken(plain_backend):
        def build_session(self, path):
            raise OSError("no such library")

    add_backend("broken", Broken)
    chosen = ("--backend", "broken", "--backend", "mean")
    result = axon("bench", "--model", mean_model, *chosen, "--json", *QUICK)
    assert result.exit_code == 1
    assert [row["backend"] for row in json.loads(result.stdout)] == ["mean"]
    assert "note: broken could not be measured on signal" in result.stderr
    assert "no such library" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--backend", "onxx"), 2, "did you mean 'onnx'?"),
        (("--backend", "mean"), 2, "mean has no built-in models"),
        (("--backend", "Not A Name"), 2, "letters, digits and dashes"),
        (("--model", "nowhere.onnx"), 2, "'nowhere.onnx' does not exist"),
        (("--model", __file__), 2, "no installed backend reads 'test_bench.py'"),
        (("--model", "{model}", "--backend", "onnx"), 1, "signal.mean"),
        (("--model", "{model}", "--sha256", "00" * 32), 1, "expected sha256 0000"),
        (("--model", "{model}", "--sha256", "12"), 2, "64 hexadecimal digits"),
        (("--model", "{model}", "--shape", "1x3x3"), 1, "expected [1, 3, 3], found [?, 2, 2]"),
        (("--model", "{model}", "--shape", "big"), 2, "as in 1x64x128"),
        (("--model", "{model}", "--device", "tpu"), 2, "a device is cpu, cuda"),
        (("--sha256", "00" * 32), 2, "--model"),
        (("--calls", 0), 2, "--calls"),
        (("--threads", 0), 2, "--threads"),
    ],
)
def test_what_cannot_be_is_said_in_one_message(axon, mean_model, arguments, code, message):
    result = axon("bench", *(str(word).format(model=mean_model) for word in arguments), "--rounds", 1)
    assert result.exit_code == code, result.output
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_a_device_that_is_not_there_is_told_for_each_model(axon):
    result = axon("bench", "--device", "cuda:77", *QUICK)
    assert (result.exit_code, result.stdout) == (1, "")
    for backend in ("onnx", "safetensors"):
        assert f"note: {backend} could not be measured on demo-64x128" in result.stderr
    assert "cuda:77" in result.stderr


def test_a_batch_is_measured_where_the_shape_asks_for_one(axon, mean_model):
    (row,) = rows_of(axon("bench", "--model", mean_model, "--shape", "8x2x2", "--json", *QUICK))
    assert row["input_shape"] == [8, 2, 2]


def test_a_cache_that_cannot_be_written_is_one_message(axon, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("AXON_CACHE", str(tmp_path / "file"))
    result = axon("bench", *QUICK)
    assert result.exit_code == 1
    assert "the built-in model cannot be written to the cache" in result.stderr
    assert "set AXON_CACHE" in result.stderr


def test_numpy_is_not_imported_before_its_threads_are_set():
    code = "import sys, axon_quant.cli.bench, axon_quant.cli.predict; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"


def _drain(terminal):
    with suppress(OSError):  # what a terminal says once nobody holds its other end
        while os.read(terminal, 65_536):
            pass


def test_ctrl_c_prints_the_rounds_that_are_complete():
    """The progress on the terminal says when there is one."""
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "axon_quant.cli", "bench", "--backend", "onnx", "--rounds", "100000", "--json"],
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    os.close(terminal)
    shown = b""
    while b" 2/200000" not in shown:
        assert select.select([main], [], [], 60)[0], shown
        shown += os.read(main, 65_536)
    process.send_signal(signal.SIGINT)
    drain = threading.Thread(target=_drain, args=(main,), daemon=True)  # a terminal that nobody reads stops the process
    drain.start()
    output, _ = process.communicate(timeout=60)
    os.close(main)
    assert process.returncode == 130
    (row,) = json.loads(output)
    assert (row["backend"], row["model"]) == ("onnx", "demo-4x1")
    assert row["rounds"] >= 2
    assert b"onnx demo-4x1" in shown
