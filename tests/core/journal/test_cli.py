"""`axon journal verify`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from axon_quant.cli.journal import command
from axon_quant.events import Event

Write = Callable[..., str]


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, ["verify", *map(str, arguments)])
    return result.exit_code, result.output


def test_runs_are_listed_with_their_heads(path: Path, write: Write, session: list[Event]) -> None:
    heads = [write(path, session), write(path, session[:7], mode="live", outcome=None)]
    code, output = run(path)
    assert code == 0
    rows = [line.split() for line in output.splitlines()]
    assert rows[1] == ["1", "replay", "completed", "28", "9", "3", heads[0]]
    assert rows[2] == ["2", "live", "unfinished", "7", "1", "1", heads[1]]
    code, output = run(path, "--json")
    assert (code, [found["head"] for found in json.loads(output)["runs"]]) == (0, heads)
    assert run(path, "--head", heads[1])[0] == 0
    assert run(path, "--head", "00" * 32)[0] == 1
    assert run(path, "--head", "zz")[0] == 2


def test_a_tampered_record_is_named_with_exit_code_1(path: Path, write: Write, session: list[Event]) -> None:
    write(path, session)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE records SET body = replace(body, 'sell', 'hold') WHERE sequence = 9")
    connection.close()
    code, output = run(path)
    assert code == 1
    assert "run 1: record 9: its body was changed" in output
    code, output = run(path, "--json")
    assert code == 1
    found = json.loads(output)
    assert (found["ok"], found["run"], found["sequence"]) == (False, 1, 9)


def test_a_missing_file_and_one_that_is_no_journal_are_usage_errors(tmp_path: Path) -> None:
    code, output = run(tmp_path / "missing.db")
    assert code == 2
    assert "does not exist" in output
    (tmp_path / "text.db").write_text("hello " * 1000)
    code, output = run(tmp_path / "text.db")
    assert code == 2
    assert "not a journal" in output
