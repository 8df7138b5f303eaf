"""What keeps a halted run halted over a restart is there after a crash, and never misread as permission."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axon_quant.control import HaltFile, Standing
from axon_quant.errors import ControlError


def test_it_says_what_was_written_until_it_is_removed(tmp_path):
    file = HaltFile(tmp_path / "run.db.halted")
    assert (file.exists, file.read()) == (False, None)
    standing = Standing("reducing", "end of the day — “late”", "me (uid 1, pid 2)", 7)
    file.write(standing)
    assert (file.exists, file.read()) == (True, standing)
    file.write(Standing("halted", "enough"))
    assert file.read() == Standing("halted", "enough")
    file.remove()
    file.remove()
    assert (file.exists, file.read()) == (False, None)
    assert not list(tmp_path.iterdir())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=100))
def test_what_cannot_be_read_is_a_halt(tmp_path, data):
    path = tmp_path / "run.db.halted"
    path.write_bytes(data)
    assert HaltFile(path).read().state == "halted"


@pytest.mark.parametrize("before", [None, Standing("reducing", "slowly")])
def test_a_full_disk_still_takes_a_halt(tmp_path, monkeypatch, before):
    file = HaltFile(tmp_path / "run.db.halted")
    if before is not None:
        file.write(before)

    def full(descriptor):
        if descriptor > 2 and not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    file.write(Standing("halted", "the journal failed"))
    assert file.read().state == "halted"
    assert [path.name for path in tmp_path.iterdir()] == ["run.db.halted"]


def test_where_nothing_can_be_written_it_says_so(tmp_path):
    with pytest.raises(ControlError, match="cannot be kept for the next start"):
        HaltFile(Path(tmp_path / "no such folder" / "halted")).write(Standing("halted", "x"))
