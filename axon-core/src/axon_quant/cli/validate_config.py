"""`axon validate-config`: every mistake in a configuration at once, or a summary of what it would run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from axon_quant.cli import USAGE
from axon_quant.config import Config
from axon_quant.errors import ConfigError
from axon_quant.runtime.names import load_runnable


@click.command("validate-config")
@click.option(
    "-c",
    "--config",
    "file",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The run's TOML file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Report every mistake in a configuration.

    Nothing is connected or loaded; files, secrets and plugins that it names must be there. Exits with 2 on any mistake.
    """
    try:
        config = load_runnable(file)
    except ConfigError as error:
        if as_json:
            click.echo(json.dumps({"ok": False, "file": str(file), "problems": _problems(error)}))
        else:
            click.echo("\n".join(map(str, error.problems)) or str(error), err=True)
        ctx.exit(USAGE)
    if as_json:
        click.echo(json.dumps({"ok": True, "file": str(file), "problems": [], "sha256": config.sha256}))
    else:
        click.echo("\n".join([f"{file} is valid", *_summary(config)]))


def _problems(error: ConfigError) -> list[dict[str, object]]:
    if not error.problems:
        message = error.message if error.hint is None else f"{error.message} ({error.hint})"
        return [{"line": error.line, "key": None, "message": message}]
    return [
        {"line": problem.line, "key": problem.key or None, "message": problem.message} for problem in error.problems
    ]


def _summary(config: Config) -> Iterator[str]:
    observation, ensemble, risk = config.observation, config.ensemble, config.risk
    rows = {
        "market": ", ".join(config.market.symbols),
        "observation": f"{observation.features}, {observation.window} rows of {observation.interval_ms} ms",
        "models": ", ".join(f"{model.name} ({model.backend} on {model.device})" for model in config.models),
        **({} if config.model_store is None else {"model store": str(config.model_store.path)}),
        **_rollout(config),
        "ensemble": f"{ensemble.strategy} over {ensemble.performance_window} returns",
        "strategy": config.strategy.name,
        "risk": f"of equity: order ≤ {risk.max_notional}, position ≤ {risk.max_position}, "
        f"daily loss ≤ {risk.max_daily_loss}, drawdown ≤ {risk.max_drawdown}",
        "exchange": _exchange(config),
        "journal": f"{config.journal.path}{', strict' if config.journal.strict else ''}",
        "metrics": "off" if config.metrics.port is None else f"http://127.0.0.1:{config.metrics.port}/metrics",
        "seed": str(config.run.seed),
        "sha256": config.sha256,
    }
    for name, text in rows.items():
        yield f"  {name:<12} {text}"


def _rollout(config: Config) -> dict[str, str]:
    rollout = config.rollout
    if rollout is None:
        return {}
    candidate = rollout.stored or rollout.builtin if rollout.path is None else rollout.path.name
    if rollout.mode == "shadow":
        return {"rollout": f"{candidate} in the shadow of {rollout.model}"}
    where = ", ".join(rollout.keys) if rollout.keys else " → ".join(f"{share:.0%}" for share in rollout.shares)
    return {"rollout": f"{candidate} as a canary of {rollout.model} by {rollout.by}: {where}, ≤ {rollout.max_notional}"}


def _exchange(config: Config) -> str:
    exchange = config.exchange
    if exchange.name == "paper":
        balances = ", ".join(f"{amount} {asset}" for asset, amount in exchange.balances.items())
        return f"paper with {balances}"
    keys = "with keys" if exchange.api_key is not None else "without keys"
    return f"{exchange.name}, {'testnet' if exchange.testnet else 'PRODUCTION'}, {keys}"
