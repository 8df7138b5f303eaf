"""The `axon` command. The bodies of its commands are imported when they run, so that `axon --help` stays quick.

Exit codes: 0 ok, 1 a check failed, 2 usage or configuration, 130 interrupted.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import click

from axon_quant.errors import AxonError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LazyGroup", "main"]

FAILED = 1
USAGE = 2
INTERRUPTED = 130

_COMMANDS = {
    "alerts": ("axon_quant.cli.alerts", "Write the alert rules, their runbook and the dashboard."),
    "backup": ("axon_quant.cli.backup", "Copy journal, models and configuration, also while a run writes."),
    "bench": ("axon_quant.cli.bench", "Measure inference beside the raw runtime."),
    "demo": ("axon_quant.cli.demo", "Trade a made-up market and draw what happened."),
    "halt": ("axon_quant.cli.halt", "Stop a running process from trading, and cancel its orders."),
    "journal": ("axon_quant.cli.journal", "Check a journal's hash chain."),
    "load-test": ("axon_quant.cli.load_test", "Put simulated traffic through the pipeline, and judge its latency."),
    "models": ("axon_quant.cli.models", "List, promote and roll back the versions of models."),
    "plugins": ("axon_quant.cli.plugins", "List the plugins found, and why one is not used."),
    "predict": ("axon_quant.cli.predict", "Ask a model about windows in a file."),
    "preflight": ("axon_quant.cli.preflight", "Go through the deployment checklist."),
    "reduce": ("axon_quant.cli.reduce", "Let a running process only lower its positions."),
    "replay": ("axon_quant.cli.replay", "Compute a recorded decision again and compare the bits."),
    "report": ("axon_quant.cli.report", "Write down a recorded decision, and why it was made."),
    "restore": ("axon_quant.cli.restore", "Check a backup, and put it into a folder."),
    "resume": ("axon_quant.cli.resume", "Let a halted process trade again."),
    "rotate-keys": ("axon_quant.cli.rotate_keys", "Have a running process read its keys again."),
    "run": ("axon_quant.cli.run", "Trade a live or a recorded market."),
    "simulate": ("axon_quant.cli.simulate", "Serve a simulated venue on loopback."),
    "status": ("axon_quant.cli.status", "Show what a running process is doing."),
    "validate-config": ("axon_quant.cli.validate_config", "Report every mistake in a configuration."),
    "watchdog": ("axon_quant.cli.watchdog", "Halt a running process that has stopped answering."),
}
"""Name → (module whose `command` is the click command, line in the help)."""


class LazyGroup(click.Group):
    """A click group whose commands live in modules that are imported on use.

    `lazy` maps a command's name to (module, help line); the module's `command` is the click command. An AxonError ends
    the process with its message and no traceback: exit code 2 for a ConfigError, 1 for any other; Ctrl-C with 130.
    """

    def __init__(self, name: str, lazy: Mapping[str, tuple[str, str]], *, help: str) -> None:  # noqa: A002
        super().__init__(name, help=help)
        self.modules = {command: module for command, (module, _) in lazy.items()}
        for command, (_, line) in lazy.items():
            self.add_command(click.Command(command, short_help=line))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, imported now; None when there is no such command."""
        if cmd_name not in self.modules:
            return super().get_command(ctx, cmd_name)
        command = import_module(self.modules[cmd_name]).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.modules[cmd_name]}.command is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands from the table, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(100)) for name, command in self.commands.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; turn what axon raises on purpose into a message and an exit code."""
        try:
            return super().invoke(ctx)
        except AxonError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(USAGE if isinstance(error, ConfigError) else FAILED)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)


def _print_version(ctx: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if not asked:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"axon {version('axon-core')}")
    except PackageNotFoundError:
        click.echo("axon (axon-core is not installed; running from its source)")
    ctx.exit()


main = LazyGroup("axon", _COMMANDS, help="Takes trained trading models to production.")
main.params.append(
    click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_version,
        help="Show the version and exit.",
    )
)
