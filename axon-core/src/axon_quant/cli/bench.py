"""`axon bench`: what a decision costs, beside the raw runtime in the same run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from axon_quant.cli import FAILED, INTERRUPTED
from axon_quant.cli.engines import MODEL, EngineOptions, engine_options, load_class, name_for, open_engine
from axon_quant.errors import AxonError, UnsupportedError
from axon_quant.plugins import installed

if TYPE_CHECKING:
    from axon_quant.inference.timing import Round

DEMOS = ("demo-4x1", "demo-64x128")
MOST_CALLS = 1000
ROUND_SECONDS = 1.0
"""Of one round of one model, unless --calls says how many calls it has."""


class BenchRow(Struct, frozen=True, kw_only=True):
    """One line of `axon bench`: medians over the rounds, in µs; None where the backend has no raw runtime to ask."""

    model: str
    backend: str
    infer_p50_us: float
    infer_p99_us: float
    raw_p50_us: float | None
    raw_p99_us: float | None
    ratio_p50: float | None
    device: str
    plan: dict[str, str]
    input_shape: tuple[int, ...]
    sha256: str
    calls: int
    """Of each kind, in a round."""
    rounds: int


class Subject(Struct, frozen=True):
    """A model to be measured with a backend."""

    model: str
    backend: str
    path: Path


@click.command("bench")
@click.option("--backend", "names", multiple=True, metavar="NAME", help="Only this one; may be given several times.")
@click.option("--model", "model", type=MODEL, metavar="FILE", help="This model instead of the built-in ones.")
@click.option("--calls", type=click.IntRange(min=1), help="Of each kind per round.  [default: 1000, or one second]")
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Figures are their medians.")
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of a table.")
def command(
    names: tuple[str, ...], model: Path | None, calls: int | None, rounds: int, how: EngineOptions, as_json: bool
) -> None:
    """Measure p50 and p99 of inference beside the raw runtime.

    One window at a time, with every installed backend on the built-in models, or on FILE with the backend that reads
    it. After a warm-up, blocks of calls take turns between axon and the raw runtime, so that their ratio holds on a
    busy machine, too. Ctrl-C prints the rounds that are complete. Exits with 1 if a model could not be measured.
    """
    from axon_quant.cli.screen import StepProgress

    if model is None and (how.shape or how.sha256 or how.trusted):
        raise click.UsageError("--shape, --sha256 and --trusted say something about a --model")
    subjects, notes = _subjects(names, model)
    rows: dict[Subject, BenchRow] = {}
    failed = interrupted = False
    with StepProgress("bench", len(subjects) * rounds, shown=sys.stderr.isatty()) as progress:
        try:
            for subject in subjects:
                progress.describe(f"{subject.backend} {subject.model}")
                try:
                    for row in measure(subject, how, calls, rounds):
                        rows[subject] = row
                        progress.advance()
                except AxonError as error:
                    if model is not None and len(subjects) == 1:
                        raise
                    failed = True
                    notes.append(f"{subject.backend} could not be measured on {subject.model}: {error}")
        except KeyboardInterrupt:
            interrupted = True
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if rows or as_json:
        _print(list(rows.values()), as_json=as_json)
    if interrupted:
        click.echo("interrupted: these are the rounds that were complete", err=True)
        sys.exit(INTERRUPTED)
    if failed or not rows:
        sys.exit(FAILED)


def measure(subject: Subject, how: EngineOptions, calls: int | None, rounds: int) -> Iterator[BenchRow]:
    """The row of a model, once after each round. Raises what loading it raises."""
    from axon_quant.inference.checks import probe
    from axon_quant.inference.timing import median_ratio, median_round, one_round, warm_up

    engine = open_engine(subject.backend, subject.path, how)
    model = engine.model
    x = probe(model.input_shape)
    kinds: dict[str, Callable[[], object]] = {"infer": partial(engine.infer, x)}
    with suppress(UnsupportedError):
        kinds["raw"] = partial(engine.bare(subject.path), x)
    seconds = warm_up(kinds)
    count = calls or (MOST_CALLS if seconds * MOST_CALLS < ROUND_SECONDS else max(1, int(ROUND_SECONDS / seconds)))
    found: list[Round] = []
    for _ in range(rounds):
        found.append(one_round(kinds, count))
        figures = median_round(found)
        infer, raw = figures["infer"], figures.get("raw")
        yield BenchRow(
            model=subject.model,
            backend=subject.backend,
            infer_p50_us=round(infer.p50, 2),
            infer_p99_us=round(infer.p99, 2),
            raw_p50_us=None if raw is None else round(raw.p50, 2),
            raw_p99_us=None if raw is None else round(raw.p99, 2),
            ratio_p50=None if raw is None else round(median_ratio(found, "infer", "raw"), 3),
            device=str(model.device),
            plan=dict(model.plan),
            input_shape=model.input_shape,
            sha256=model.sha256,
            calls=count,
            rounds=len(found),
        )


def _subjects(names: tuple[str, ...], model: Path | None) -> tuple[list[Subject], list[str]]:
    """What to measure, and notes on what will be missing."""
    if model is not None:
        return [Subject(model.stem, name, model) for name in names or (name_for(model),)], []
    subjects: list[Subject] = []
    notes = []
    for name in names or [descriptor.name for descriptor in installed().descriptors("backend")]:
        try:
            backend = load_class(name)
        except click.UsageError as error:
            if names:
                raise
            notes.append(error.message)
            continue
        try:
            subjects += [Subject(demo, name, backend.builtin(demo)) for demo in DEMOS]
        except UnsupportedError:
            notes.append(f"{name} has no built-in models: measure one of yours with --model FILE")
    if not subjects:
        raise click.UsageError("; ".join(notes) or "no backend is installed: see axon plugins")
    return subjects, notes


def _print(rows: list[BenchRow], *, as_json: bool) -> None:
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
        return
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("model", "backend", box=box.SIMPLE, title="µs per call")
    for column in ("infer p50", "p99", "raw p50", "p99", "ratio"):
        table.add_column(column, justify="right")
    for row in rows:
        figures = (row.infer_p50_us, row.infer_p99_us, row.raw_p50_us, row.raw_p99_us)
        ratio = "–" if row.ratio_p50 is None else f"{row.ratio_p50:.2f}"
        cells = ("–" if figure is None else f"{figure:,.1f}" for figure in figures)
        table.add_row(escape(row.model), row.backend, *cells, ratio)
    console = Console()
    console.print(table)
    for row in rows:
        plan = ", ".join(f"{key} {value}" for key, value in row.plan.items())
        shape = "×".join(map(str, row.input_shape))
        console.print(
            f"{row.backend} {row.model}: {shape} on {row.device}, {row.rounds} rounds of {row.calls:,} calls; {plan}",
            style="dim",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
