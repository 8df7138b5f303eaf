"""`axon predict`: what a model says about windows in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from axon_quant.cli.engines import MODEL, EngineOptions, engine_options, name_for, open_engine

if TYPE_CHECKING:
    from axon_quant.inference.backend import Backend, ModelVersion
    from axon_quant.inference.session import FloatArray


class Prediction(Struct, frozen=True, kw_only=True):
    """The answer for one window. `action` and `confidence` are None for a model whose outputs have no names."""

    row: int
    action: str | None
    index: int
    confidence: float | None
    scores: list[float]
    model: str
    version: int
    sha256: str


def _names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(name.strip() for name in value.split(","))


@click.command("predict")
@click.argument("model", type=MODEL)
@click.option(
    "--input", "source", required=True, metavar="FILE.npy", help="Windows, as numpy.save writes them; - for stdin."
)
@click.option("--backend", metavar="NAME", help="The backend that loads MODEL.  [default: by its suffix]")
@click.option(
    "--actions", callback=_names, metavar="A,B,…", help="Names of the outputs, in their order.  [default: the model's]"
)
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of a table.")
def command(
    model: Path, source: str, backend: str | None, actions: tuple[str, ...] | None, how: EngineOptions, as_json: bool
) -> None:
    """Load MODEL and print action, confidence and scores for each window of the input.

    The input is one array, […window] or [n, …window], of finite real numbers. What is not float32 is converted to it,
    with a note. Every window is answered alone, as a live decision is. Exits with 1 if the model is refused or fails,
    with 2 if the input or an option cannot be used.
    """
    from axon_quant.cli.arrays import as_windows, read_npy

    array = read_npy(source)
    name = backend or name_for(model)
    engine = open_engine(name, model, how, actions=actions)
    windows, note = as_windows(array, engine.model.input_shape[1:])
    if note is not None:
        click.echo(f"note: {note}", err=True)
    predictions = [_predict(engine, windows[row : row + 1], row) for row in range(len(windows))]
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(predictions), indent=2))
    else:
        _print(engine.model, name, predictions)


def _predict(engine: Backend, window: FloatArray, row: int) -> Prediction:
    """`window` is `[1, …window]`."""
    model = engine.model
    action = engine.predict(window) if model.actions else None
    scores = engine.score(window)[1] if action is None else list(action.scores)
    return Prediction(
        row=row,
        action=None if action is None else action.name,
        index=scores.index(max(scores)) if action is None else action.index,
        confidence=None if action is None else action.confidence,
        scores=scores,
        model=model.name,
        version=model.number,
        sha256=model.sha256,
    )


def _print(model: ModelVersion, backend: str, predictions: list[Prediction]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=box.SIMPLE)
    outputs = model.actions or tuple(map(str, range(model.output_dim)))
    columns = ("row", "action", "confidence", *outputs, "version", "sha256")
    for column in columns:
        left = column in ("action", "version", "sha256")
        table.add_column(Text(column), justify="left" if left else "right")
    for one in predictions:
        action = str(one.index) if one.action is None else one.action
        confidence = "–" if one.confidence is None else f"{one.confidence:.3f}"
        scores = (f"{score:.4g}" for score in one.scores)
        table.add_row(str(one.row), Text(action), confidence, *scores, str(one.version), one.sha256[:12])
    console.print(table)
    line = f"{model.name} version {model.number} on {model.device} ({backend}), sha256 {model.sha256}"
    console.print(line, highlight=False, markup=False, soft_wrap=True)
    if not model.actions:
        click.echo("note: the outputs have no names, so there is no decision: give them with --actions", err=True)
