"""`axon models`: what is in a model store, and which version is in production."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from axon_quant.cli.engines import MODEL, EngineOptions, engine_options

if TYPE_CHECKING:
    from axon_quant.cli.model_store import Place

_FILE = click.Path(path_type=Path)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_PLACE = (
    click.option("--store", "folder", type=_FOLDER, metavar="DIR", help="The store's folder."),
    click.option("-c", "--config", "config_file", type=_FILE, metavar="FILE", help="A run's TOML file, instead."),
)


def _at_a_store(function: Callable[..., object]) -> Callable[..., object]:
    """Add the options that say which store; the command gets them as one argument, `place`."""
    from functools import wraps

    @wraps(function)
    def placed(*, folder: Path | None, config_file: Path | None, **others: object) -> object:
        from axon_quant.cli.model_store import Place

        return function(place=Place.of(folder, config_file), **others)

    for option in reversed(_PLACE):
        placed = option(placed)
    return placed


@click.group(name="models", help="List, promote and roll back the versions of models.")
def command() -> None:
    """`axon models`."""


@command.command(name="list", short_help="Show the versions of models.")
@click.argument("name", required=False)
@_at_a_store
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of a table.")
def list_command(place: Place, name: str | None, as_json: bool) -> None:
    """Show every version of every model, or of NAME, in the order they were added.

    A version is named by its SHA-256 or the beginning of it, or as NAME@NUMBER, NAME@latest, NAME@production or
    NAME@previous.
    """
    from axon_quant.cli.model_table import print_table, rows, to_json

    found = rows(place.store, name)
    if as_json:
        click.echo(to_json(found))
    else:
        print_table(found, place.store.folder)


@command.command(name="add", short_help="Check a model and keep a copy of it.")
@click.argument("file", type=MODEL)
@_at_a_store
@click.option("--name", metavar="NAME", help="The model it is a version of.  [default: the file's stem]")
@click.option("--backend", metavar="NAME", help="The backend that loads FILE.  [default: by its suffix]")
@click.option("--golden", metavar="FILE.npz", type=_FILE, help="Inputs, and the outputs it must have for them.")
@click.option("--background", metavar="FILE.npy", help="A sample of inputs, for explanations.")
@click.option("--source", metavar="TEXT", help="Where it comes from.  [default: its path]")
@engine_options
def add_command(
    place: Place,
    file: Path,
    name: str | None,
    backend: str | None,
    golden: Path | None,
    background: str | None,
    source: str | None,
    how: EngineOptions,
) -> None:
    """Load FILE, check it, and keep a copy of it and of its side files.

    With -c it must take the configuration's observation, and is loaded as the model NAME in it, if there is one. Golden
    vectors are recorded from seeded noise unless given; a model that does not answer those given is refused.
    """
    from axon_quant.cli.model_store import add

    added = add(place, file, name or file.stem, backend, how, golden=golden, background=background, source=source)
    click.echo(added)


@command.command(name="promote", short_help="Put a version in production.")
@click.argument("version")
@click.option("--name", metavar="NAME", help="The model it is to be in production for.  [default: its own]")
@click.option("--trusted", is_flag=True, help="Allow formats that hold code.")
@_at_a_store
def promote_command(place: Place, version: str, name: str | None, trusted: bool) -> None:
    """Put VERSION (see `axon models list`) in production; a NAME alone is its latest version.

    First its bytes are read again, it is loaded with its backend and must answer its golden vectors; whatever is wrong
    with it, nothing changes.

    With -c, the file that the configuration gives as the path of the model NAME is replaced as well, so that a run that
    watches it takes the version up; FILE.sha256, written before it, keeps anything else from being taken up. What was
    served from there until now is kept in the store. With --store, only the label in the store moves.
    """
    from axon_quant.cli.model_store import promote

    click.echo(promote(place, version, name, trusted=trusted))


@command.command(name="rollback", short_help="Put the version before back in production.")
@click.argument("name")
@click.option("--trusted", is_flag=True, help="Allow formats that hold code.")
@_at_a_store
def rollback_command(place: Place, name: str, trusted: bool) -> None:
    """Put the version of NAME back in production that was there before; again, and it goes further back.

    It is checked as by `promote`, and with -c the file that is served is replaced as well.
    """
    from axon_quant.cli.model_store import rollback

    click.echo(rollback(place, name, trusted=trusted))


@command.command(name="verify", short_help="Read every byte again.")
@click.argument("version", required=False)
@_at_a_store
def verify_command(place: Place, version: str | None) -> None:
    """Read every byte of VERSION, or of all versions, again. Exits with 1 if one is damaged."""
    from axon_quant.cli.model_store import verify

    whole, damaged = verify(place, version)
    for error in damaged:
        click.echo(f"error: {error}", err=True)
    click.echo(f"{whole} whole, {len(damaged)} damaged")
    if damaged:
        raise SystemExit(1)


@command.command(name="prune", short_help="Remove old versions.")
@click.argument("name", required=False)
@click.option("--keep", type=click.IntRange(min=0), required=True, help="How many of the last versions stay.")
@_at_a_store
def prune_command(place: Place, name: str | None, keep: int) -> None:
    """Remove old versions of NAME, or of every model. What is in production, and was before, always stays.

    A decision of a version that was removed can no longer be replayed.
    """
    removed = place.store.prune(keep=keep, name=name)
    for sha256 in removed:
        click.echo(sha256)
    click.echo(f"{len(removed)} removed", err=True)
