"""`axon alerts`: the alert rules, their runbook and the dashboard, written where Prometheus and Grafana read them."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import click
import msgspec

from axon_quant.cli import FAILED
from axon_quant.errors import ConfigError
from axon_quant.metrics.dashboard import dashboard

_SHIPPED = ("trading.yml", "operations.yml", "runbook.md")


@click.command("alerts")
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="The folder; it is made.")
@click.option("--job", default="axon", show_default=True, help="What the scrape configuration calls the job.")
@click.option(
    "--runbook",
    default="runbook.md",
    show_default=True,
    metavar="URL",
    help="Where your team reads the runbook; each alert links to its entry there.",
)
@click.option("--force", is_flag=True, help="Overwrite files that were changed.")
@click.pass_context
def command(ctx: click.Context, out: Path, job: str, runbook: str, force: bool) -> None:
    """Write the Prometheus alert rules, their runbook and the Grafana dashboard.

    trading.yml has the latency and the drawdown, operations.yml the process, its market data and its models,
    runbook.md what to do about each alert, and dashboard.json is for Grafana's import.
    """
    if not re.fullmatch(r"[\w.:/-]+", job):
        raise click.BadParameter(f"{job!r} has characters other than letters, digits and _ . : / -", param_hint="--job")
    if not re.fullmatch(r"[^\s\"\\#]+", runbook):
        raise click.BadParameter(f"{runbook!r} cannot be linked to", param_hint="--runbook")
    texts = render(job, runbook)
    changed = [name for name, text in texts.items() if not _may_write(out / name, text)]
    if changed and not force:
        click.echo(f"error: {', '.join(changed)} in {out} would be changed; --force overwrites", err=True)
        ctx.exit(FAILED)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (out / name).write_text(text, "utf-8")
            click.echo(out / name)
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}", file=error.filename, hint="choose another --out"
        ) from error


def render(job: str = "axon", runbook: str = "runbook.md") -> dict[str, str]:
    """The files by name, for a job and for links to a runbook at that address."""
    folder = files("axon_quant.metrics") / "alerts"
    texts = {name: (folder / name).read_text("utf-8") for name in _SHIPPED}
    rules = texts["operations.yml"].replace('job="axon"', f'job="{job}"')
    texts["operations.yml"] = rules.replace('runbook_url: "runbook.md#', f'runbook_url: "{runbook}#')
    texts["dashboard.json"] = msgspec.json.format(msgspec.json.encode(dashboard()), indent=2).decode() + "\n"
    return texts


def _may_write(file: Path, text: str) -> bool:
    return not file.exists() or file.read_text("utf-8", "replace") == text
