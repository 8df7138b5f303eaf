"""`axon run`: the main job."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from axon_quant.runtime.replay import Replay
    from axon_quant.runtime.summary import RunSummary


@click.command()
@click.option("-c", "--config", "config_file", required=True, type=click.Path(path_type=Path), help="The run's TOML file.")
@click.option(
    "--replay", "recording", type=click.Path(path_type=Path), help="Play this recording: .jsonl, .csv (.gz) or .parquet."
)
@click.option("--max-events", type=click.IntRange(min=1), help="End after this many market events.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(config_file: Path, recording: Path | None, max_events: int | None, as_json: bool) -> None:
    """Trade a market through the configured models, and journal every step.

    Ctrl-C ends the run in an orderly way: open orders are cancelled and everything is durable. A second Ctrl-C ends it
    at once; what was acknowledged is durable even then.
    """
    # Before numpy is imported: its threads would spin on the core that the journal writes from.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from axon_quant.cli.screen import Progress, print_summary
    from axon_quant.config import load_config
    from axon_quant.runtime.replay import Replay

    config = load_config(config_file)
    if recording is None:
        raise click.UsageError(f"the {config.exchange.name} venue has no market of its own: give one with --replay FILE")
    with Progress(recording, shown=sys.stderr.isatty()) as progress:
        replay = Replay(config, recording, max_events=max_events, on_progress=progress.update)
        with _interruptible(replay):
            summary = replay.run()
    if as_json:
        click.echo(_json(summary))
    else:
        print_summary(summary)
    if summary.outcome == "interrupted":
        sys.exit(130)


def _json(summary: RunSummary) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(summary), indent=2).decode()


@contextmanager
def _interruptible(replay: Replay) -> Iterator[None]:
    """The first SIGINT or SIGTERM stops the replay after the event at hand; the second one is not held back."""

    def stop(number: int, _: FrameType | None) -> None:
        replay.stop()
        signal.signal(number, previous[number])

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
