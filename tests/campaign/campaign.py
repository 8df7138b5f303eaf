"""One campaign: a venue's process with faults, a trader's process that is killed now and then, and the verdict."""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from time import monotonic, time_ns
from typing import Any
from urllib.request import Request, urlopen

import attrs
from judge import WRONGS, Verdict, judge, quantile
from plan import silent
from record import known
from venue import SYMBOLS

HERE = Path(__file__).parent
CLIENTS = {
    "axon": ("trader.py", []),
    "ccxt": ("ccxt_trader.py", []),
    "ccxt-resending": ("ccxt_trader.py", ["--retries", "3"]),
}
"""The program of each client, and its arguments. `ccxt-resending` has maxRetriesOnFailure = 3."""
RECONNECT_WITHIN = 2.0
DOUBT_WITHIN = 4.0
"""The validity window (2 s), the engine's timeout (1 s), and a second."""
_ON_THE_WAY = 250_000_000
"""ns: the simulator's `grace`."""
_STUCK_AFTER = 120.0


@attrs.define
class Run:
    """What is known of a campaign that runs."""

    venue: str
    client: str
    orders: int
    kills: int
    seed: int
    placed: int = 0
    killed: int = 0
    reconnects: list[float] = attrs.field(factory=list)
    restarts: list[float] = attrs.field(factory=list)
    doubts: list[float] = attrs.field(factory=list)
    old_doubts: list[float] = attrs.field(factory=list)
    outcomes: dict[str, int] = attrs.field(factory=dict)
    lives: list[int] = attrs.field(factory=list)
    began: float = attrs.field(factory=monotonic)


async def campaign(run: Run, folder: Path, tell: Callable[[Run], None]) -> dict[str, Any]:
    """Run it; the result as plain values. `tell` is called whenever something has moved."""
    async with _serving(run) as roots:
        before = await _ask(roots, "truth")
        final = await _trade(run, roots, folder / "journal.db", tell)
        after = await _ask(roots, "truth")
    verdict = judge(
        known(folder / "journal.db"),
        final,
        before["accounts"]["main"],
        after["accounts"]["main"],
    )
    return _result(run, verdict, after)


def _result(run: Run, verdict: Verdict, after: dict[str, Any]) -> dict[str, Any]:
    account = after["accounts"]["main"]
    wrongs = {wrong: verdict.counts[wrong] for wrong in WRONGS}
    unaware = _unaware(after["late"], run.lives)
    wrongs["requests during a ban"] = len(after["late"]) - unaware
    result: dict[str, Any] = {
        "venue": run.venue,
        "client": run.client,
        "seed": run.seed,
        "orders_sent": run.placed,
        "orders_at_venue": len(account["orders"]),
        "fills": len(account["fills"]),
        "kills": run.killed,
        "seconds": round(monotonic() - run.began, 1),
        "faults": after["faults"],
        "faults_that_never_fired": silent(after["faults"]),
        "requests_in_flight_when_a_ban_began": after["in_flight"],
        "requests_of_a_process_that_was_not_told_of_a_ban": unaware,
        "wrongs": wrongs,
        "reconnect": _spread(run.reconnects),
        "restart": _spread(run.restarts),
        "old_doubt": _spread(run.old_doubts),
        "doubt": {**_spread(run.doubts), "outcomes": run.outcomes},
        "notes": verdict.notes,
    }
    failures = [f"{count} {wrong}" for wrong, count in wrongs.items() if count]
    if result["faults_that_never_fired"]:
        failures.append(f"never fired: {', '.join(result['faults_that_never_fired'])}")
    for name, limit in (("reconnect", RECONNECT_WITHIN), ("doubt", DOUBT_WITHIN)):
        p99 = result[name]["p99"]
        if p99 is not None and not p99 <= limit:
            failures.append(f"{name}: p99 {p99} s is more than {limit:g} s")
    return {**result, "failures": failures}


def _unaware(late: list[tuple[int, int]], lives: list[int]) -> int:
    """How many requests during a ban came from a process that was started during it and not told of it yet.

    `late` has when each request arrived and when its ban began, `lives` when each process was started (UTC ns). Such a
    process is told by the answer to its first request; what it sends within a moment of that one is on its way.
    """
    unaware = 0
    for start, end in pairwise([*sorted(lives), math.inf]):
        untold = [at for at, began in late if began < start <= at < end]
        unaware += sum(at < min(untold) + _ON_THE_WAY for at in untold)
    return unaware


def _spread(values: list[float]) -> dict[str, Any]:
    found = {"p50": quantile(values, 0.5), "p99": quantile(values, 0.99), "max": max(values, default=None)}
    return {"count": len(values), **{name: None if v is None else round(v, 3) for name, v in found.items()}}


@asynccontextmanager
async def _serving(run: Run) -> AsyncIterator[dict[str, str]]:
    arguments = [run.venue, "--orders", str(run.orders), "--seed", str(run.seed)]
    process = await asyncio.create_subprocess_exec(sys.executable, str(HERE / "venue.py"), *arguments, stdout=PIPE)
    try:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise RuntimeError(f"the simulator of {run.venue} did not start")
        yield json.loads(line)
    finally:
        _signal(process, signal.SIGTERM)
        await process.wait()


async def _ask(roots: dict[str, str], what: str, body: object = None) -> Any:
    def ask() -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{roots['rest']}/simulator/{what}", data, {"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)

    return await asyncio.to_thread(ask)


async def _trade(run: Run, roots: dict[str, str], record: Path, tell: Callable[[Run], None]) -> dict[str, Any]:
    """Start the trader, kill it at random moments, start it again; at last let it finish at a venue that behaves."""
    draw = random.Random(run.seed)
    marks = [round(run.orders * (number + draw.uniform(0.2, 0.8)) / (run.kills + 1)) for number in range(run.kills)]
    while True:
        run.lives.append(time_ns())
        process = await _start(run, roots, record)
        try:
            mark = marks[run.killed] if run.killed < run.kills else None
            final = await _live(run, process, roots, record.with_name("log"), mark, draw, tell)
        finally:
            _signal(process, signal.SIGKILL)
            await process.wait()
        if final is not None:
            return final
        run.killed += 1


async def _start(run: Run, roots: dict[str, str], record: Path) -> Process:
    program, more = CLIENTS[run.client]
    arguments = [run.venue, "--rest", roots["rest"], "--ws", roots["ws"], "--symbols", ",".join(SYMBOLS[run.venue])]
    arguments += ["--record", str(record), "--target", str(run.orders), "--seed", str(run.seed), *more]
    path = str(HERE / program)
    with record.with_name("log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, path, *arguments, stdin=PIPE, stdout=PIPE, stderr=log
        )


async def _live(
    run: Run,
    process: Process,
    roots: dict[str, str],
    log: Path,
    mark: int | None,
    draw: random.Random,
    tell: Callable[[Run], None],
) -> dict[str, Any] | None:
    """One life of the trader; what it says at its end, or None when it was killed."""
    assert process.stdout is not None
    assert process.stdin is not None
    killing: asyncio.Task[None] | None = None
    try:
        while True:
            line = await asyncio.wait_for(process.stdout.readline(), _STUCK_AFTER)
            if not line.endswith(b"\n"):
                if killing is not None:
                    return None
                raise RuntimeError(f"the trader ended by itself: {log}")
            said = json.loads(line)
            run.placed = max(run.placed, said.get("placed", 0))
            if "reconnect" in said:
                run.reconnects.append(said["reconnect"])
            if "restart" in said:
                run.restarts.append(said["restart"])
            if "old_doubt" in said:
                run.old_doubts.append(said["old_doubt"])
            if "doubt" in said:
                run.doubts.append(said["doubt"])
                run.outcomes[said["outcome"]] = run.outcomes.get(said["outcome"], 0) + 1
            if "final" in said:
                return said["final"]
            if mark is not None and run.placed >= mark and killing is None:
                killing = asyncio.create_task(_kill(process, draw.uniform(0.0, 0.5)))
            if said.get("done") and killing is None:
                await _ask(roots, "faults", [])
                process.stdin.write(b"finish\n")
            tell(run)
    finally:
        if killing is not None:
            killing.cancel()


async def _kill(process: Process, after: float) -> None:
    await asyncio.sleep(after)
    _signal(process, signal.SIGKILL)


def _signal(process: Process, number: signal.Signals) -> None:
    """Not by the process's own methods: they reap one that has ended, and leave nothing to those who wait for it."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def run_all(runs: list[Run], tell: Callable[[Run], None], keep: Path | None = None) -> list[dict[str, Any]]:
    """One after another; `keep` is a folder where the journals and logs stay."""
    results = []
    for run in runs:
        run.began = monotonic()
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            if keep is not None:
                folder = keep / f"{run.venue}-{run.client}-{run.began:.0f}"
                folder.mkdir(parents=True)
            results.append(asyncio.run(campaign(run, folder, tell)))
    return results
