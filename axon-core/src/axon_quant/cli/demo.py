"""`axon demo`: everything at once on the embedded defaults."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from axon_quant.demo.history import History
    from axon_quant.demo.session import DemoRun
    from axon_quant.events import ModelIdentity


@click.command()
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("axon-demo"),
    show_default=True,
    help="Folder for the page, the journal and the models.",
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Of market and venue.")
def command(folder: Path, seed: int) -> None:
    """Trade a made-up market for a quarter of an hour of its time, and draw what happened.

    Two ONNX models and a rule vote in an ensemble; one model is replaced on disk half-way and picked up; the metrics
    are scraped on the way; the journal is verified at the end. It takes some ten seconds and needs no key and no
    network. The page is demo.html in the folder.
    """
    # Before numpy is imported: its threads would spin on the core that the journal writes from.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from axon_quant.cli.screen import Progress
    from axon_quant.demo.history import read_history
    from axon_quant.demo.market import START, generated
    from axon_quant.demo.page import render
    from axon_quant.demo.session import DemoSession
    from axon_quant.runtime.wiring import build_instruments

    with Progress("demo", shown=sys.stderr.isatty()) as progress:
        run = DemoSession(folder, seed=seed, on_progress=progress.update).run()
    history = read_history(run.config, generated(build_instruments(run.config)[0], seed), START)
    page = folder / "demo.html"
    page.write_text(render(run, history), "utf-8")
    _print(run, history, page)


def _print(run: DemoRun, history: History, page: Path) -> None:
    """The summary of any run, and what is special about this one."""
    from rich.console import Console

    from axon_quant.cli.screen import print_summary
    from axon_quant.report.scales import clock_time

    console = Console()
    print_summary(run.summary, console)
    console.print()
    for swap in history.swaps:
        before, after = swap.before, swap.after
        console.print(
            f"[bold]swapped[/]  {after.name} v{before.number} {before.sha256[:12]} → v{after.number} "
            f"{after.sha256[:12]} at {clock_time(swap.at)} of market time; "
            f"they made {_decisions(history, before)} and {_decisions(history, after)} decisions",
            highlight=False,
            soft_wrap=True,
        )
    orders = run.scraper.total("trading_orders_total")
    scrapes = f"{run.scraper.count} times at 127.0.0.1:{run.scraper.port}, the last one with {orders:.0f} orders"
    console.print(f"[bold]scraped[/]  {scrapes}", highlight=False)
    console.print(
        f"[bold]journal[/]  {run.report.records:,} records verified, head {run.report.head}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"[bold]page[/]     {page.resolve()}", highlight=False, soft_wrap=True)


def _decisions(history: History, model: ModelIdentity) -> str:
    service = history.service(model.name, model.number)
    return f"{0 if service is None else service.decisions:,}"
