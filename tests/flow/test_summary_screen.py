"""What a run prints on the terminal when it has ended."""

from __future__ import annotations

from pathlib import Path

import attrs
from rich.console import Console

from axon_quant.cli.screen import print_summary
from axon_quant.config import Config
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.summary import RunSummary


def played(config: Config, recording: Path, text: str) -> RunSummary:
    recording.write_text(text)
    return Replay(config, recording).run()


def printed(summary: RunSummary, width: int = 400) -> str:
    console = Console(record=True, width=width)
    print_summary(summary, console)
    return console.export_text()


def test_brackets_in_what_a_recording_or_a_path_says_are_shown_as_they_are(btcusdt, tmp_path):
    journal = attrs.evolve(btcusdt.journal, path=tmp_path / "[bold]" / "run.db")
    config = attrs.evolve(btcusdt, journal=journal)
    shown = printed(played(config, tmp_path / "[dim]x.jsonl", "1 {}[/nothing]\n"))
    assert "[dim]x.jsonl:1" in shown
    assert str(journal.path) in shown


def test_the_head_is_whole_on_a_narrow_terminal(btcusdt, tmp_path):
    summary = played(btcusdt, tmp_path / "x.jsonl", "")
    shown = "".join(printed(summary, width=60).split())
    assert summary.journal_head in shown


def test_a_run_without_a_decision_has_no_table_of_latencies(btcusdt, tmp_path):
    assert "latency" not in printed(played(btcusdt, tmp_path / "x.jsonl", ""))
