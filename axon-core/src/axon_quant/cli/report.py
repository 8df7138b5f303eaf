"""`axon report`: a recorded decision as a page, a print or JSON."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

if TYPE_CHECKING:
    from axon_explain import Report
    from axon_quant.runtime.decisions import DecisionRecord, ReplayResult, Versions

_FILE = click.Path(path_type=Path)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_SUFFIXES = (".html", ".pdf", ".json")


@click.command(name="report")
@click.argument("decision_id")
@click.option("-c", "--config", "config_file", type=_FILE, metavar="FILE", help="The run's TOML file.")
@click.option("--journal", type=_FILE, metavar="PATH", help="The journal, instead.")
@click.option(
    "--out",
    "targets",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="Where to write it: .html, .pdf or .json; may be given several times.  [default: decision-ID.html]",
)
@click.option("--store", type=_FOLDER, metavar="DIR", help="Take the models from this model store.")
@click.option(
    "--member", "members", multiple=True, metavar="NAME=MODULE:ATTR", help="A member of the ensemble that is code."
)
@click.option("--trusted", is_flag=True, help="Allow formats that hold code.")
@click.option("--action", metavar="NAME", help="Explain this action.  [default: what was decided]")
@click.option("--no-shap", is_flag=True, help="Leave out what each feature contributed.")
@click.option("--no-counterfactuals", is_flag=True, help="Leave out what would have changed the decision.")
@click.option(
    "--budget", type=click.IntRange(min=4), metavar="N", help="Coalitions of an explanation.  [default: 2048]"
)
@click.option(
    "--background-windows",
    "windows",
    type=click.IntRange(min=0),
    default=16,
    show_default=True,
    help="Earlier windows of the run to compare with, where no store keeps a sample.",
)
@click.option("--pdf-standard", "standard", metavar="NAME", help="Keep a PDF to a standard, as in a-2b.")
def command(
    decision_id: str,
    config_file: Path | None,
    journal: Path | None,
    targets: tuple[Path, ...],
    store: Path | None,
    members: tuple[str, ...],
    trusted: bool,
    action: str | None,
    no_shap: bool,
    no_counterfactuals: bool,
    budget: int | None,
    windows: int,
    standard: str | None,
) -> None:
    """Write down a recorded decision: what was decided, why, what would have changed it, and what came of it.

    DECISION_ID is RUN:NUMBER, NUMBER for the last run, `last` for its last decision, or the client id of an order that
    came of it. Everything comes from the journal, held to its hash chain. The exact models are taken from the model
    store by their SHA-256, or from the copies beside the journal, to explain the decision and to replay it; where one
    is gone, the report says so and has no explanation. Needs axon-explain.

    Exits with 0 if the report is written, whatever the replay says; with 1 if it cannot be made; with 2 if there is no
    such decision or an option cannot be used.
    """
    # Before numpy is imported: its threads wait for each other by spinning, many small factorisations long.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if (config_file is None) == (journal is None):
        raise click.UsageError("which journal? give -c FILE or --journal PATH, and not both")
    for target in targets:
        if target.suffix.lower() not in _SUFFIXES:
            raise click.UsageError(f"{target}: a report is one of {', '.join(_SUFFIXES)}")
    if standard is not None and not any(target.suffix.lower() == ".pdf" for target in targets):
        raise click.UsageError("--pdf-standard is for a PDF: give --out FILE.pdf")
    from axon_quant.cli.replay import code_member
    from axon_quant.explain import ReportGenerator

    decided = _Decided.of(decision_id, config_file, journal, store, dict(map(code_member, members)), trusted=trusted)
    record = decided.record
    with _waiting(f"decision {record.decision_id}"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "no background data", UserWarning)  # the report says so, and a note below
        generator = ReportGenerator.for_decision(
            decided.journal,
            record,
            decided.versions,
            windows=windows,
            budget=budget,
            strategy=decided.strategy,
            members=decided.code,
        )
        report = generator.generate_report(
            action=action,
            include_shap=not no_shap,
            include_feature_importance=not no_shap,
            include_counterfactuals=not no_counterfactuals,
            record=record,
            replay=decided.replayed(),
        )
    for caution in report.facts.cautions:
        click.echo(f"note: {caution}", err=True)
    for target in targets or (Path(f"decision-{record.decision_id.replace(':', '-')}.html"),):
        click.echo(_write(report, target, standard))


@attrs.frozen(eq=False)
class _Decided:
    """A decision, and where its models are."""

    journal: Path
    record: DecisionRecord
    versions: Versions
    strategy: str | None
    code: dict[str, object]

    @classmethod
    def of(
        cls,
        decision_id: str,
        config_file: Path | None,
        journal: Path | None,
        store: Path | None,
        code: dict[str, object],
        *,
        trusted: bool,
    ) -> _Decided:
        """Exits with a message where there is no such decision. Raises ConfigError, JournalTamperedError."""
        from axon_quant.cli import USAGE
        from axon_quant.config import load_config
        from axon_quant.errors import JournalError, JournalTamperedError
        from axon_quant.runtime.decisions import find_decision, open_versions

        config = None if config_file is None else load_config(config_file)
        path = journal if config is None else config.journal.path
        if path is None:
            raise AssertionError("neither a configuration nor a journal")
        configured = None if config is None or config.model_store is None else config.model_store.path
        try:
            record = find_decision(path, decision_id)
            versions = open_versions(path, record.run, store=store, configured=configured, trusted=trusted)
        except JournalTamperedError:
            raise
        except JournalError as error:
            click.echo(f"error: {error}", err=True)
            raise SystemExit(USAGE) from None
        return cls(path, record, versions, None if config is None else config.ensemble.strategy, code)

    def replayed(self) -> ReplayResult:
        """The decision computed again."""
        from axon_quant.runtime.decisions import replay_decision

        return replay_decision(self.record, self.versions, strategy=self.strategy, members=self.code)


def _waiting(what: str) -> AbstractContextManager[object]:
    """A sign of life on a terminal."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(what)


def _write(report: Report, target: Path, standard: str | None) -> Path:
    try:
        if target.suffix.lower() == ".pdf":
            return report.export_pdf(target, standard=standard)
        return report.export_html(target) if target.suffix.lower() == ".html" else report.export_json(target)
    except OSError as error:
        click.echo(f"error: {target}: cannot be written: {error.strerror or error} (choose another --out)", err=True)
        raise SystemExit(1) from None
