"""The disk of the journal: room, and whether it takes what is written."""

from __future__ import annotations

import shutil
import subprocess
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from axon_quant.preflight import CHECKS, Facts, Row, check_all

CHECKED = [check for check in CHECKS if check.name == "disk"]
Usage = namedtuple("Usage", "total used free")


def disk(root: Path, folder: Path, journal: Path) -> Row:
    config = folder / "run.toml"
    text = (root / "examples" / "btcusdt.toml").read_text()
    config.write_text(text.replace('path = "journal/btcusdt.db"', f'path = "{journal}"'))
    (row,) = check_all(Facts(config), CHECKED)
    return row


@pytest.fixture
def small(tmp_path) -> Iterator[Path]:
    """A file system of one MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_small_file_system_fails_with_what_is_free_and_the_fix(root, tmp_path, small):
    row = disk(root, tmp_path, small / "journal" / "run.db")
    assert row.status.value == "fail"
    assert row.evidence == f"1 MiB free at {small}, less than 1.0 GiB"
    assert "make room" in row.fix


def test_a_disk_that_is_nearly_full_fails_where_none_can_be_mounted(root, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1 << 40, (1 << 40) - (1 << 29), 1 << 29))
    row = disk(root, tmp_path, tmp_path / "journal" / "run.db")
    assert row.status.value == "fail"
    assert row.evidence == f"512 MiB free at {tmp_path}, less than 1.0 GiB"


def test_a_disk_with_room_that_takes_nothing_fails_with_the_reason(root, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1 << 40, 0, 1 << 40))
    row = disk(root, tmp_path, Path("/proc/run.db"))
    assert row.status.value == "fail"
    assert row.evidence.startswith("/proc cannot be written: ")


def test_a_file_where_the_folder_is_to_be_fails(root, tmp_path):
    (tmp_path / "journal").write_text("a file")
    row = disk(root, tmp_path, tmp_path / "journal" / "run.db")
    assert row.status.value == "fail"
    assert f"{tmp_path / 'journal'} is no folder" in row.evidence
