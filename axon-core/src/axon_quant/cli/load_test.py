"""`axon load-test`: simulated traffic through the real pipeline, in an open loop."""

from __future__ import annotations

import os
import sys
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from axon_quant.cli import FAILED, INTERRUPTED

if TYPE_CHECKING:
    from axon_quant.config import Config
    from axon_quant.load import LoadReport, Quantiles

_FILE = click.Path(path_type=Path)


def _finite(_: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not isfinite(value):  # which a FloatRange lets through
        raise click.BadParameter(f"{value} is no number", param=parameter)
    return value


def _positive(largest: float) -> click.FloatRange:
    return click.FloatRange(0.0, largest, min_open=True)


@click.command("load-test")
@click.option("-c", "--config", "file", required=True, metavar="FILE", type=_FILE, help="The run's TOML file.")
@click.option("--rate", type=_positive(1e6), callback=_finite, metavar="N", help="Messages a second, evenly spaced.")
@click.option(
    "--speed", type=_positive(1e4), callback=_finite, metavar="TIMES", help="Or so many times the market's own pace."
)
@click.option(
    "--duration",
    required=True,
    metavar="SECONDS",
    type=_positive(86_400),
    callback=_finite,
    help="How long, in wall time.",
)
@click.option("--recording", metavar="FILE", type=_FILE, help="Play this recording instead of a made-up market.")
@click.option(
    "--sla-ms",
    metavar="MS",
    type=_positive(6e5),
    callback=_finite,
    help="The p99 to keep; default: [operations] latency_sla_ms.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(
    ctx: click.Context,
    file: Path,
    rate: float | None,
    speed: float | None,
    duration: float,
    recording: Path | None,
    sla_ms: float | None,
    as_json: bool,
) -> None:
    """Send a market through the configured pipeline, on the paper venue, and judge the latency.

    It is an open loop: each message has its time, whether or not the pipeline is done with the one before, and its
    latency counts from that time. The verdict is on the p99 of the messages that led to a decision: pass, fail, or
    insufficient data (a p99 needs 299 of them). No venue is asked, and the run's own journal is left alone; the report
    is kept beside it for `axon preflight`.

    Exits with 0 for pass, else with 1. Ctrl-C ends the test and reports what there is, with 130.

    \b
    axon load-test -c run.toml --rate 2000 --duration 30
    axon load-test -c run.toml --recording market.jsonl.gz --speed 20 --duration 3
    """
    if (rate is None) == (speed is None):
        raise click.UsageError("say how fast: either --rate MESSAGES or --speed TIMES")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in `axon run`
    from axon_quant.load import LoadTest
    from axon_quant.load.traffic import MOST_MESSAGES
    from axon_quant.runtime.names import load_runnable

    if rate is not None and rate * duration > MOST_MESSAGES:
        raise click.UsageError(f"that is more than {MOST_MESSAGES:,} messages; take a shorter --duration")
    config = load_runnable(file)
    from axon_quant.cli.run import interruptible

    if sys.stderr.isatty():
        click.echo("making the market ...", err=True)
    bar = _Bar(shown=sys.stderr.isatty())
    test = LoadTest(
        config, duration=duration, rate=rate, speed=speed, recording=recording, sla_ms=sla_ms, on_progress=bar.show
    )
    bar.total = test.planned
    with bar, interruptible(test.stop):
        report = test.run()
    _keep(report, config)
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        _print(report)
    if report.outcome == "interrupted":
        ctx.exit(INTERRUPTED)
    if report.verdict != "pass":
        ctx.exit(FAILED)


class _Bar:
    """A line that costs the loop it is drawn in some microseconds, twice a second; a thread would disturb it more."""

    _WIDTH = 24

    def __init__(self, *, shown: bool) -> None:
        self.total = 0
        self._shown = shown

    def show(self, done: int) -> None:
        if self._shown and self.total:
            filled = self._WIDTH * done // self.total
            bar = "#" * filled + "-" * (self._WIDTH - filled)
            sys.stderr.write(f"\r[{bar}] {done:,} of {self.total:,} messages")
            sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _keep(report: LoadReport, config: Config) -> None:
    """Keep the report of a whole test; one that cannot be kept is still printed."""
    from axon_quant.load import report_path, write_report

    if report.outcome != "completed":
        return
    try:
        write_report(report, report_path(config))
    except OSError as error:
        click.echo(f"note: the report could not be kept: {error}", err=True)


def _print(report: LoadReport) -> None:
    for notice in report.notices:
        click.echo(f"note: {notice}")
    click.echo(
        f"{report.outcome}: {report.messages:,} messages in {report.seconds:.2f} s, {report.achieved_rate:,.0f}/s "
        f"(asked {report.rate:,.0f}/s), market: {report.market}"
    )
    click.echo(
        f"{report.decisions:,} decisions, {report.orders:,} orders, {report.fills:,} fills, {report.rejects:,} rejects"
    )
    click.echo(f"{'from the intended time, µs':<28}{'samples':>10}{'p50':>12}{'p99':>12}{'max':>12}")
    _row("decision", report.decision_latency_us)
    _row("message", report.message_latency_us)
    _row("the generator's own lateness", report.generator_lateness_us)
    colour = {"pass": "green", "fail": "red"}.get(report.verdict, "yellow")
    click.echo(f"{click.style(report.verdict.upper(), fg=colour, bold=True)}: {report.reason}")


def _row(name: str, found: Quantiles) -> None:
    cells = ("too few" if value is None else f"{value:,.1f}" for value in (found.p50, found.p99, found.max))
    click.echo(f"{name:<28}{found.samples:>10,}" + "".join(f"{cell:>12}" for cell in cells))
