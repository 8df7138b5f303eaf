"""`axon restore`: a backup into a folder."""

from __future__ import annotations

import sys
from pathlib import Path

import click

_FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option(
    "--to", "target", type=_FOLDER, metavar="FOLDER", help="Where to; the configuration's folder from then on."
)
@click.option("--check", "check_only", is_flag=True, help="Check the backup, and restore nothing.")
@click.option("--force", is_flag=True, help="Also into a folder that holds something; what is replaced is kept there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(folder: Path, target: Path | None, check_only: bool, force: bool, as_json: bool) -> None:
    """Check the backup in FOLDER, byte by byte, and put it into another folder.

    Nothing is touched before every file, the journal's hash chain and every model version have been verified. The next
    run goes on from the restored journal; at a venue it first looks up what has become of the orders it knows.
    """
    if check_only == (target is not None):
        raise click.UsageError("give --to FOLDER, or --check")
    from axon_quant.backup import restore
    from axon_quant.backup.restoring import verify_backup
    from axon_quant.cli.backup import as_text, described
    from axon_quant.cli.screen import ByteProgress

    aside = None
    with ByteProgress("restore", shown=sys.stderr.isatty()) as progress:
        if target is None:
            manifest = verify_backup(folder, on_progress=progress.update)
        else:
            manifest, aside = restore(folder, target, force=force, on_progress=progress.update)
    if as_json:
        click.echo(as_text(manifest, replaced=None if aside is None else str(aside)))
        return
    click.echo(f"{folder}: whole; {described(manifest)}")
    if target is not None:
        click.echo(f"{target / manifest.config}: restored; see it with axon validate-config -c")
        if aside is not None:
            click.echo(f"{aside}: what was there before")
