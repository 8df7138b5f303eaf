"""`axon backup`: journal, models and configuration into a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from axon_quant.backup import Manifest

_FOLDER = click.Path(path_type=Path)


@click.command()
@click.option("-c", "--config", "config_file", required=True, metavar="FILE", type=_FOLDER, help="The run's TOML file.")
@click.option("--out", "folder", required=True, type=_FOLDER, metavar="FOLDER", help="A new folder for the backup.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(config_file: Path, folder: Path, as_json: bool) -> None:
    """Copy the journal, the model stores, the model files, the strategy and the configuration into FOLDER.

    A run may go on writing. The copy of the journal has its hash chain verified, and every byte of every model version
    is read again. Secrets are not needed and never copied: only `env:NAME` and `file:PATH` are. FOLDER is a backup once
    it holds manifest.json; one that was interrupted is started anew by the same command. `axon restore` checks it.
    """
    from axon_quant.backup import back_up
    from axon_quant.cli.screen import ByteProgress

    with ByteProgress("backup", shown=sys.stderr.isatty()) as progress:
        manifest = back_up(config_file, folder, on_progress=progress.update)
    if as_json:
        click.echo(as_text(manifest))
        return
    click.echo(f"{folder}: {described(manifest)}")
    for key, path in manifest.moved.items():
        click.echo(f"  {key} = {path} lies outside the configuration's folder; it is restored inside")


def described(manifest: Manifest) -> str:
    """What a backup holds, in one line."""
    records = sum(run.records for run in manifest.runs)
    runs = f"{len(manifest.runs)} runs with {records:,} records" if manifest.journal else "no journal yet"
    return f"{runs}, {manifest.models} model versions, {len(manifest.files)} files, {manifest.size / 1e6:,.1f} MB"


def as_text(manifest: Manifest, **more: object) -> str:
    """A manifest as one JSON object, without the list of files."""
    import msgspec

    fields = msgspec.to_builtins(manifest)
    return msgspec.json.encode({**fields, "files": len(manifest.files), "bytes": manifest.size, **more}).decode()
