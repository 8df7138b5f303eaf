"""`axon run`: the main job."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from axon_quant.cli.screen import Progress
    from axon_quant.config import Config
    from axon_quant.errors import AxonError
    from axon_quant.runtime.summary import RunSummary

_FILE = click.Path(path_type=Path)


@click.command()
@click.option("-c", "--config", "config_file", required=True, metavar="FILE", type=_FILE, help="The run's TOML file.")
@click.option("--replay", "recording", type=_FILE, help="Play this recording: .jsonl, .csv (.gz) or .parquet.")
@click.option("--max-events", type=click.IntRange(min=1), help="End after this many market events.")
@click.option("--watchdog", is_flag=True, help="Have `axon watchdog` look after this run, in a process of its own.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="Of stderr; default: the configuration's.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    config_file: Path,
    recording: Path | None,
    max_events: int | None,
    watchdog: bool,
    log_format: str | None,
    as_json: bool,
) -> None:
    """Trade a market through the configured models, and journal every step.

    With `--replay` and the paper venue a recording is played as fast as it goes, in its own time. Any other venue is
    traded in real time, on its own market or on the recording.

    Ctrl-C ends the run in an orderly way: open orders are cancelled and everything is durable. A second Ctrl-C ends it
    at once; what was acknowledged is durable even then.
    """
    # Before numpy is imported: its threads would spin on the core that the journal writes from.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from axon_quant.cli.logged import logged_as
    from axon_quant.cli.screen import Progress, print_summary
    from axon_quant.runtime.names import load_runnable

    with logged_as(log_format) as begin_json:
        config = load_runnable(config_file)
        in_json = (log_format or config.logging.format) == "json"
        if in_json:
            begin_json()
        title = config_file.name if recording is None else recording.name
        with Progress(title, shown=sys.stderr.isatty() and not in_json) as progress:
            if config.exchange.name == "paper":
                if watchdog:
                    raise click.UsageError(
                        "--watchdog is for a venue outside the process; the paper venue dies with it"
                    )
                summary, failure = _replay(config, recording, max_events, progress)
            else:
                with _watched(config_file, in_json=in_json) if watchdog else nullcontext():
                    summary, failure = _live(config_file, config, recording, max_events, progress)
        if as_json:
            click.echo(_json(summary))
        else:
            print_summary(summary)
        if failure is not None:
            raise failure
    if summary.outcome == "interrupted":
        sys.exit(130)


def _replay(
    config: Config, recording: Path | None, max_events: int | None, progress: Progress
) -> tuple[RunSummary, AxonError | None]:
    """The summary, and why the strategy failed if it did: a run that ends so is told, too."""
    from axon_quant.errors import StrategyError
    from axon_quant.runtime.replay import Replay

    if recording is None:
        raise click.UsageError("the paper venue has no market of its own: give one with --replay FILE")
    replay = Replay(config, recording, max_events=max_events, on_progress=progress.update)
    with interruptible(replay.stop):
        try:
            return replay.run(), None
        except StrategyError as error:
            if replay.summary is None:
                raise
            return replay.summary, error


def _live(
    config_file: Path, config: Config, recording: Path | None, max_events: int | None, progress: Progress
) -> tuple[RunSummary, AxonError | None]:
    """The summary, and why the journal or the strategy failed if it did: a run that ends so is told, too."""
    import asyncio

    from axon_quant.config import load_config
    from axon_quant.errors import JournalError, StrategyError
    from axon_quant.market.recordings import open_recording
    from axon_quant.runtime.live import Live, build_adapter, paced

    async def trade() -> tuple[RunSummary, AxonError | None]:
        feed = None if recording is None else paced(open_recording(recording, config.market.symbols))
        live = Live(
            config,
            build_adapter(config),
            feed=feed,
            recording=recording,
            max_events=max_events,
            on_progress=progress.update,
            read_config=lambda: load_config(config_file),
        )
        loop = asyncio.get_running_loop()
        with interruptible(lambda: loop.call_soon_threadsafe(live.stop)):
            try:
                return await live.run(), None
            except (JournalError, StrategyError) as error:
                if live.summary is None:
                    raise
                return live.summary, error

    return asyncio.run(trade())


def _json(summary: RunSummary) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(summary), indent=2).decode()


@contextmanager
def _watched(config_file: Path, *, in_json: bool) -> Iterator[None]:
    """A watchdog beside this process, which outlives it if it is killed."""
    command = [sys.executable, "-m", "axon_quant.cli", "watchdog", "-c", str(config_file), "--until-end"]
    if in_json:
        command += ["--log-format", "json"]
    process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own
    try:
        yield
    finally:  # an orderly end, after which there is nothing to watch
        process.terminate()
        process.wait(10)


@contextmanager
def interruptible(stop: Callable[[], object]) -> Iterator[None]:
    """The first SIGINT or SIGTERM asks the run to stop; the second one is not held back."""

    def on_signal(number: int, _: FrameType | None) -> None:
        stop()
        signal.signal(number, previous[number])

    previous = {int(number): signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
