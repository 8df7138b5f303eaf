"""docs/deployment.md: its commands, in order, on the configuration that is shipped, at a simulated Binance."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import sys

from axon_exchange_binance.simulator import BinanceSimulator


def test_the_commands_work_in_order(root, tmp_path, monkeypatch):
    page = (root / "docs" / "deployment.md").read_text()
    (block,) = re.findall(r"```shell\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "production.toml").write_bytes((root / "examples" / "production" / "production.toml").read_bytes())
    monkeypatch.setenv("BINANCE_API_KEY", "YOUR_API_KEY")
    monkeypatch.setenv("BINANCE_API_SECRET", "YOUR_API_SECRET")

    def follow() -> dict[str, tuple[int, str]]:
        done = {}
        for line in block.splitlines()[1:-1]:  # not the keys, nor the run
            command, *arguments = shlex.split(line, comments=True)[1:]
            if command == "load-test":
                arguments[arguments.index("--duration") + 1] = "4"
            axon = [sys.executable, "-m", "axon_quant.cli", command, *arguments]
            result = subprocess.run(axon, capture_output=True, text=True, timeout=120)
            done[command] = result.returncode, result.stdout + result.stderr
        return done

    async def at_the_venue() -> dict[str, tuple[int, str]]:
        simulator = BinanceSimulator(prices={"BTCUSDT": 50_000.0})
        roots = await simulator.start()
        monkeypatch.setenv("AXON_BINANCE_REST_URL", roots["rest"])
        monkeypatch.setenv("AXON_BINANCE_WS_URL", roots["ws"])
        try:
            return await asyncio.to_thread(follow)
        finally:
            await simulator.stop()

    done = asyncio.run(at_the_venue())
    assert list(done) == ["validate-config", "load-test", "backup", "alerts", "preflight"]
    for command in ("validate-config", "backup", "alerts"):
        assert done[command][0] == 0, done[command]
    found = {
        name: status for status, name in re.findall(r"^  (\w+) +(\w[\w ]*?)  ", done["preflight"][1], re.MULTILINE)
    }
    for name in ("configuration", "plugins", "strategy", "metrics", "disk", "backup", "venue", "clock", "symbols"):
        assert found[name] == "pass", done["preflight"][1]
    assert found["load test"] in ("pass", "fail"), (done["load-test"], done["preflight"])
    assert found["issues"] == "unknown"
