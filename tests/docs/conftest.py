"""The deployment guide, and a folder to follow it in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def guide(root) -> str:
    """The guide, which is not part of the repository: beside the recorded sessions."""
    data = Path(os.environ.get("AXON_SHARED_DATA", root.parent / "shared" / "data"))
    file = data.parent / "spec" / "scenario-3.md"
    if not file.exists():
        pytest.skip(f"no deployment guide at {file}; AXON_SHARED_DATA names the folder beside its own")
    return file.read_text()


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """The folder `models` of a working directory of its own, empty."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "models"
    folder.mkdir()
    return folder
