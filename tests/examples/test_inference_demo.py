"""examples/12_inference runs anywhere, with whatever backends are installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


def demo(root: Path, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = root / "examples" / "12_inference" / "inference_demo.py"
    return subprocess.run(
        [sys.executable, script, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_backends_agree_and_the_update_goes_unnoticed(root, tmp_path):
    done = demo(root, tmp_path, "--swaps", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    for backend in ("onnx", "safetensors"):
        (line,) = re.findall(rf"^  {backend} .*", done.stdout, re.MULTILINE)
        assert len(re.findall(r"-?\d+\.\d+", line)) >= 6
    assert re.findall(r"^  version (\d+)  sha256", done.stdout, re.MULTILINE) == ["2", "3"]
    found = re.search(r"made ([\d,]+) calls meanwhile: (\d+) failed, (\d+) mixed", done.stdout)
    calls, failed, torn = (int(text.replace(",", "")) for text in found.groups())
    assert calls > 10
    assert (failed, torn) == (0, 0)
    assert "versions only rise" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("absent", "left"), [("axon-backend-onnx", "safetensors"), ("axon-backend-safetensors", "onnx")]
)
def test_one_backend_is_enough(root, tmp_path, absent, left):
    done = demo(root, tmp_path, "--swaps", "1", AXON_DISABLE_PLUGINS=absent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"while it serves, with {left}" in done.stdout
    assert f"AXON_DISABLE_PLUGINS names {absent}" in done.stdout


def test_without_a_backend_it_says_what_to_install(root, tmp_path):
    done = demo(root, tmp_path, AXON_LOAD_PLUGINS="")
    assert done.returncode == 1
    assert 'pip install "axon-backend-' in done.stderr
    assert "Traceback" not in done.stderr
