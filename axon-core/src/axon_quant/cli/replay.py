"""`axon replay`: a recorded decision, computed again and compared bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from axon_quant.runtime.decisions import DecisionRecord, MemberReplay, ReplayResult

_FILE = click.Path(path_type=Path)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_SHOWN = 8


@click.command(name="replay")
@click.argument("decision_id")
@click.option("-c", "--config", "config_file", type=_FILE, metavar="FILE", help="The run's TOML file.")
@click.option("--journal", type=_FILE, metavar="PATH", help="The journal, instead.")
@click.option("--store", type=_FOLDER, metavar="DIR", help="Take the models from this model store.")
@click.option(
    "--member", "members", multiple=True, metavar="NAME=MODULE:ATTR", help="A member of the ensemble that is code."
)
@click.option("--trusted", is_flag=True, help="Allow formats that hold code.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    decision_id: str,
    config_file: Path | None,
    journal: Path | None,
    store: Path | None,
    members: tuple[str, ...],
    trusted: bool,
    as_json: bool,
) -> None:
    """Compute a decision again, with the very models that made it, and compare bit for bit.

    DECISION_ID is RUN:NUMBER, NUMBER for the last run, `last` for its last decision, or the client id of an order that
    came of it. The observation comes from the journal, and every record that is used is held to the hash chain. The
    models come from the model store by their SHA-256, or from the copies beside the journal, and compute by the plan
    they had.

    Exits with 0 if every score, the decision's included, came out in the same bits; with 1 if one did not or could not
    be computed, saying which and why; with 2 if there is no such decision or an option cannot be used.
    """
    from axon_quant.cli import USAGE
    from axon_quant.config import load_config
    from axon_quant.errors import JournalError, JournalTamperedError
    from axon_quant.runtime.decisions import find_decision, open_versions, replay_decision

    if (config_file is None) == (journal is None):
        raise click.UsageError("which journal? give -c FILE or --journal PATH, and not both")
    config = None if config_file is None else load_config(config_file)
    path = journal if config is None else config.journal.path
    if path is None:
        raise AssertionError("neither a configuration nor a journal")
    code = dict(map(code_member, members))
    configured = None if config is None or config.model_store is None else config.model_store.path
    try:
        record = find_decision(path, decision_id)
        versions = open_versions(path, record.run, store=store, configured=configured, trusted=trusted)
    except JournalTamperedError:
        raise
    except JournalError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(USAGE) from None
    strategy = None if config is None else config.ensemble.strategy
    result = replay_decision(record, versions, strategy=strategy, members=code)
    if as_json:
        click.echo(_json(result))
    else:
        _print(record, result)
    if not result.agreed:
        raise SystemExit(1)


def code_member(text: str) -> tuple[str, object]:
    """`NAME=MODULE:ATTR` → the name and what is there, made if it is a class."""
    from importlib import import_module

    name, equals, target = text.partition("=")
    module, colon, attribute = target.partition(":")
    if not (name and equals and module and colon and attribute):
        raise click.BadParameter(f"expected NAME=MODULE:ATTR, got {text!r}", param_hint="--member")
    try:
        found = getattr(import_module(module), attribute)
        return name, found() if isinstance(found, type) else found
    except (ImportError, AttributeError, TypeError) as error:
        raise click.BadParameter(f"{target}: {error}", param_hint="--member") from error


def _json(result: ReplayResult) -> str:
    import attrs
    import msgspec

    found = attrs.asdict(result, recurse=True)
    found = {"agreed": result.agreed, **found}
    for member, replayed in zip(found["members"], result.members, strict=True):
        member["verdict"] = replayed.verdict
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def _print(record: DecisionRecord, result: ReplayResult) -> None:
    from datetime import UTC, datetime

    event = record.event
    at = datetime.fromtimestamp(event.at / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    click.echo(f"decision {record.decision_id}  {event.symbol}  {at}  {record.mode}  record {record.sequence}")
    rows, features = record.observation.shape
    click.echo(f"observation {rows} × {features}, sha256 {event.observation_sha256[:16]}…: as it was seen")
    for member in result.members:
        _print_member(member)
    click.echo(f"{'decision':<14}{event.action}, confidence {event.confidence!r}")
    if result.action_recomputed is not None and result.action_recomputed != event.action:
        click.echo(f"{'':<14}recomputed {result.action_recomputed}, confidence {result.confidence_recomputed!r}")
    for difference in result.differences[:_SHOWN]:
        click.echo(f"  {difference}")
    if len(result.differences) > _SHOWN:
        click.echo(f"  … and {len(result.differences) - _SHOWN} more")
    for remark in result.remarks:
        click.echo(f"note: {remark}")
    click.echo(f"{_WORDS[result.verdict.value]}: {result.reason}")


_WORDS = {"agreed": "agreed", "differs": "differs", "not-replayed": "cannot be replayed"}


def _print_member(member: MemberReplay) -> None:
    model = "code" if member.model is None else f"{member.model.name}@{member.model.number} {member.model.sha256[:16]}…"
    click.echo(f"{member.name:<14}{member.verdict.value:<14}weight {member.weight:.4f}  {model}")
    if member.plan_used:
        click.echo(f"{'':<14}{_plan(member)}")


def _plan(member: MemberReplay) -> str:
    now = ", ".join(f"{key} {value}" for key, value in (member.plan_used or {}).items())
    if member.plan_recorded is None:
        return f"plan made now, because none is recorded: {now}"
    return f"plan {'as recorded' if member.plan_recorded == member.plan_used else 'not as recorded'}: {now}"
