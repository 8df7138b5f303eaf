"""Half a minute of the soak in benchmarks/soak.py: swap, disconnect, full disk, kill -9, and nothing lost or untold."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("axon_exchange_binance")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_nothing_is_lost_when_everything_goes_wrong_in_one_market(root):
    command = [sys.executable, str(root / "benchmarks" / "soak.py"), "--minutes", "8", "--tmpfs-mb", "64"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert found["amiss"] == [], done.stdout
    assert done.returncode == 0, done.stderr
    assert found["ledger"]["orders_at_venue"] > 0
    assert {"swap", "disconnect", "full_disk", "kill", "stop"} == set(found["happened"])
    if "skipped" in found["happened"]["full_disk"]:
        pytest.skip(f"all but the full disk: {found['happened']['full_disk']['skipped']}")
    assert found["happened"]["full_disk"]["exit_code"] == 1
    assert found["happened"]["full_disk"]["left_open"] == 0
