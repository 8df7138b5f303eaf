from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from axon_quant.cli import LazyGroup, main
from axon_quant.errors import AxonError, ConfigError, ExchangeError, Problem


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> LazyGroup:
    """A group with a command that raises whatever ERRORS names."""

    @click.command()
    @click.argument("name")
    def command(name: str) -> None:
        raise ERRORS[name]

    module = types.ModuleType("axon_test_commands")
    vars(module)["command"] = command
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return LazyGroup(
        "axon",
        {"fail": (module.__name__, "Fail."), "broken": ("axon_test_no_such_module", "Not there.")},
        help="A test.",
    )


ERRORS: dict[str, BaseException] = {
    "config": ConfigError("has one mistake", file="c.toml", problems=(Problem("c.toml", 3, "run.seed", "wrong"),)),
    "axon": AxonError("it broke", hint="mend it"),
    "exchange": ExchangeError("no", venue="paper"),
    "interrupt": KeyboardInterrupt(),
    "usage": click.UsageError("not like that"),
    "bug": ZeroDivisionError("a bug"),
}


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("config", 2, "error: c.toml: has one mistake\nc.toml:3: run.seed: wrong\n"),
        ("axon", 1, "error: it broke (mend it)\n"),
        ("exchange", 1, "error: paper: no\n"),
        ("interrupt", 130, "interrupted\n"),
    ],
)
def test_an_error_is_one_message_and_an_exit_code(cli: LazyGroup, name: str, code: int, message: str) -> None:
    result = CliRunner().invoke(cli, ["fail", name])
    assert result.exit_code == code
    assert result.stderr == message
    assert result.stdout == ""


def test_wrong_usage_exits_with_2(cli: LazyGroup) -> None:
    assert CliRunner().invoke(cli, ["fail", "usage"]).exit_code == 2
    assert CliRunner().invoke(cli, ["fail"]).exit_code == 2


def test_a_bug_is_not_hidden(cli: LazyGroup) -> None:
    assert isinstance(CliRunner().invoke(cli, ["fail", "bug"]).exception, ZeroDivisionError)


def test_a_mistyped_command_gets_a_suggestion() -> None:
    result = CliRunner().invoke(main, ["validate-confg"])
    assert result.exit_code == 2
    assert "Did you mean 'validate-config'?" in result.stderr


def test_the_help_lists_commands_without_importing_them(cli: LazyGroup) -> None:
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    assert "Not there." in result.stdout
    assert isinstance(CliRunner().invoke(cli, ["broken"]).exception, ModuleNotFoundError)


def test_every_command_is_listed_with_a_line() -> None:
    text = CliRunner().invoke(main, ["--help"]).stdout
    for name in ("run", "validate-config", "plugins", "journal", "bench", "predict"):
        assert name in main.commands
        assert f"  {name} " in text


def test_the_version_is_printed() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("axon ")


def test_help_runs_as_a_process_and_imports_nothing_heavy() -> None:
    heavy = ("numpy", "rich", "cattrs", "opentelemetry", "pluggy", "attrs", "axon_quant.config")
    code = (
        "import sys, runpy\n"
        "sys.argv = ['axon', '--help']\n"
        "try: runpy.run_module('axon_quant.cli', run_name='__main__')\n"
        f"finally: print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Usage: axon [OPTIONS]")
    assert result.stderr == "[]\n"


def _commands(group: click.Group) -> Iterator[tuple[str, click.Command, str | None]]:
    """Every command with its path and its line in the list it stands in."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield name, command, None if group is main else command.get_short_help_str(100)
        if isinstance(command, click.Group):
            for below, inner, line in _commands(command):
                yield f"{name} {below}", inner, line


def test_every_option_of_every_command_is_explained_and_no_line_of_help_is_cut() -> None:
    silent = []
    for path, command, line in _commands(main):
        options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        silent += [f"{path} {option.opts[0]}" for option in options if not option.help]
        silent += [path] if line is not None and (not line or line.endswith("...")) else []
        files = [option for option in options if "--config" in option.opts]
        assert [option.metavar for option in files] in ([], ["FILE"]), path
    assert silent == []
