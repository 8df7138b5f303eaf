"""`axon demo`: everything at once, reproducible, and a page that needs nothing but itself."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from decimal import Decimal
from itertools import pairwise

import attrs
import msgspec
import pytest

from axon_quant.demo.history import read_history
from axon_quant.demo.market import START, generated
from axon_quant.demo.page import render
from axon_quant.demo.session import DemoSession
from axon_quant.events import Decision, ModelLoaded, RunStarted
from axon_quant.journal import read, verify
from axon_quant.runtime.wiring import build_instruments

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One run in this process, and what the journal says of it."""
    shares = []
    folder = tmp_path_factory.mktemp("demo")
    run = DemoSession(folder, seed=1, on_progress=lambda built, share: shares.append(share)).run()
    history = read_history(run.config, generated(build_instruments(run.config)[0], 1), START)
    return run, history, shares


@pytest.fixture(scope="module")
def html(demo):
    run, history, _ = demo
    return render(run, history)


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The same demo as a user starts it: its folder, what it printed, and the CPU seconds it took."""
    folder = tmp_path_factory.mktemp("command") / "new" / "folder"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "axon_quant.cli", "demo", "--out", folder, "--seed", "1"],
        capture_output=True,
        text=True,
        timeout=180,
        env={**os.environ, "HTTP_PROXY": "http://127.0.0.1:9", "COLUMNS": "120"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return folder, done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_one_model_is_swapped_and_both_versions_decide(demo):
    run, history, _ = demo
    (swap,) = history.swaps
    assert (swap.before.number, swap.after.number) == (1, 2)
    assert swap.before.sha256 != swap.after.sha256
    assert swap.at == pytest.approx(450.0, abs=0.1)
    first, second = history.service("flow", 1), history.service("flow", 2)
    assert min(first.decisions, second.decisions) > 4_000
    assert first.decisions + second.decisions == run.summary.decisions
    assert first.until < swap.at < second.since
    assert second.right / second.judged > first.right / first.judged


def test_the_swap_skips_no_decision(demo):
    _, history, _ = demo
    times = [round(moment.at, 6) for moment in history.moments]
    assert {round(later - earlier, 6) for earlier, later in pairwise(times)} == {0.1}


def test_the_new_version_is_in_the_journal_and_in_the_metrics(demo):
    run, _, _ = demo
    events = [event for _, event in read(run.config.journal.path, kinds=[RunStarted, ModelLoaded])]
    started, loaded = events
    assert {model.name for model in started.models} == {"flow", "reversion"}
    samples = {(name, labels): value for name, labels, value in run.scraper.samples()}
    assert samples["trading_model_reloads_total", '{model="flow",outcome="loaded"}'] == 1
    assert f'{{model="flow",sha256="{loaded.model.sha256}",version="2"}}' in {
        labels for name, labels in samples if name == "trading_model_info"
    }


def test_the_metrics_were_scraped_over_http_and_agree_with_the_run(demo):
    run, _, _ = demo
    assert run.scraper.count >= 2
    assert run.scraper.failures == []
    assert run.scraper.total("trading_orders_total") == run.summary.orders > 100
    assert run.scraper.total("trading_fills_total") == run.summary.fills > 50
    assert run.scraper.total("trading_decisions_total") == run.summary.decisions
    assert "trading_orders_total" in (run.folder / "metrics.txt").read_text()


def test_a_rule_and_two_networks_vote_in_every_decision(demo):
    run, history, _ = demo
    assert history.members == ("flow", "reversion", "trend")
    for _, decision in read(run.config.journal.path, kinds=[Decision]):
        assert len(decision.members) == 3
        assert [model.name for model in decision.models] == ["flow", "reversion"]


def test_the_equity_on_the_page_is_the_run_s_to_the_last_digit(demo):
    run, history, _ = demo
    assert history.equity == Decimal(run.summary.equity)
    assert len(history.fills) == run.summary.fills
    assert len(history.orders) == run.summary.orders


def test_progress_goes_from_nothing_to_all(demo):
    _, _, shares = demo
    assert shares == sorted(shares)
    assert 0.0 < shares[0] < 0.02
    assert 0.98 < shares[-1] <= 1.0


def test_the_command_ends_in_the_same_head_and_tells_what_happened(demo, command):
    run, _, _ = demo
    folder, done, seconds = command
    assert done.returncode == 0, done.stderr
    assert seconds < 60, "however busy the machine is with other things"
    assert run.summary.journal_head in done.stdout
    assert "flow v1" in done.stdout
    assert str(folder / "demo.html") in done.stdout
    assert f"{run.summary.orders:,} placed" in done.stdout
    for stage in ("observation", "inference", "strategy", "risk", "decision", "order"):
        assert stage in done.stdout
    (report,) = verify(folder / "journal.db")
    assert report.head == run.summary.journal_head
    assert (folder / "demo.html").stat().st_size < 500_000


def test_another_seed_is_written_into_the_configuration_it_runs(tmp_path):
    session = DemoSession(tmp_path, seed=42)
    assert "\nseed = 42\n" in (tmp_path / "demo.toml").read_text()
    assert session.config.run.seed == 42


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "axon_quant.cli", "demo", "--out", tmp_path / "file" / "below"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


# The page.


def test_the_page_says_in_words_what_the_figures_show(html, demo):
    run, history, _ = demo
    text = re.sub(r"<[^>]+>", "", html)
    assert "A model was replaced while it traded" in text
    assert "no decision was skipped" in text
    assert run.summary.journal_head in text
    for service in history.services:
        assert service.sha256 in text
    assert f"{run.summary.decisions:,} times" in text


def test_the_page_asks_for_nothing_from_anywhere(html):
    assert not re.search(r"https?://", html)
    assert not re.search(r"<script|@import|url\(|<iframe|<object|<img|\son\w+=", html)
    assert re.findall(r'(?:src|href)="([^"]*)"', html) == ["data:,"]


def test_every_figure_has_a_title_and_a_description(html):
    figures = re.findall(r"<svg[^>]*>.*?</svg>", html, re.DOTALL)
    assert len(figures) == 6
    for figure in figures:
        assert re.match(r'<svg[^>]*role="img"[^>]*aria-label="[^"]{30,}"', figure)
        assert re.search(r"<desc>[^<]{20,}</desc>", figure)


def test_bought_and_sold_differ_by_more_than_colour(html):
    assert 'class="bought"' in html
    assert 'class="sold"' in html
    up = set(re.findall(r'd="M[^l]*l([^h]*)h[^"]*" class="bought"', html))
    down = set(re.findall(r'd="M[^l]*l([^h]*)h[^"]*" class="sold"', html))
    assert up
    assert all(float(path.split(",")[1]) > 0 for path in up)
    assert all(float(path.split(",")[1]) < 0 for path in down)


def test_no_coordinate_is_missing_or_infinite(html):
    assert not re.search(r'(?:nan|inf|None)[",\sLMZ]', "".join(re.findall(r'="[^"]*"', html)))


def test_hostile_names_stay_names(demo):
    run, history, _ = demo

    def renamed(model):
        return msgspec.structs.replace(model, name=HOSTILE)

    hostile = attrs.evolve(
        history,
        symbol=HOSTILE,
        base=HOSTILE,
        members=(HOSTILE, *history.members[1:]),
        services=tuple(attrs.evolve(one, name=HOSTILE, sha256=HOSTILE) for one in history.services),
        swaps=tuple(
            attrs.evolve(swap, before=renamed(swap.before), after=renamed(swap.after)) for swap in history.swaps
        ),
    )
    summary = msgspec.structs.replace(
        run.summary, journal=HOSTILE, rejects_by_control={HOSTILE: 1}, latency_us={"order": {"p50": None, "p99": None}}
    )
    html = render(attrs.evolve(run, summary=summary), hostile)
    assert "<script" not in html.lower()
    assert html.count("&lt;script&gt;") > 10


def test_a_run_without_a_swap_and_without_fills_is_drawn_too(demo):
    run, history, _ = demo
    quiet = attrs.evolve(history, swaps=(), fills=(), orders=())
    html = render(run, quiet)
    assert "was replaced" not in html
    assert "nan" not in re.sub(r"<style>.*</style>", "", html, flags=re.DOTALL).lower().split()


# In a real browser.


def test_a_browser_shows_the_page_without_an_error_or_a_request(command, visit):
    folder, done, _ = command
    assert done.returncode == 0
    dom, console, asked = visit(folder / "demo.html")
    assert dom.count("<svg") == 6
    assert "A model was replaced while it traded" in dom
    assert console == []
    assert asked == set()


def test_that_check_would_notice_an_error_and_a_request(tmp_path, visit):
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='http://127.0.0.1:9/x.png'><script>console.error('oh no')</script>")
    _, console, asked = visit(bad)
    assert any("oh no" in line for line in console)
    assert asked == {"http://127.0.0.1:9/x.png"}
