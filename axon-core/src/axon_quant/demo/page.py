"""The page: one paragraph that says what happened, the figures, and the facts behind them."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from axon_quant.demo.closeup import busiest, closeup
from axon_quant.demo.history import History, Service, Swap
from axon_quant.demo.latency import latency
from axon_quant.demo.session import DemoRun
from axon_quant.demo.timeline import signed, timeline
from axon_quant.report.markup import Child, Html, page, tag
from axon_quant.report.scales import clock_time, duration

WIDE, NARROW = 1040.0, 400.0
_SCRAPED = (
    "trading_orders_total",
    "trading_fills_total",
    "trading_decisions_total",
    "trading_model_reloads_total",
    "trading_equity",
)


def render(run: DemoRun, history: History) -> str:
    """The whole document. Everything in it that came from outside is escaped."""
    summary = run.summary
    at = clock_time(round(busiest(history)))
    body = tag(
        "main",
        tag(
            "header",
            tag("p", "axon demo", class_="kicker"),
            tag("h1", _headline(history)),
            tag("p", _story(run, history), class_="story"),
        ),
        _key_figures(run, history),
        _section(
            "What happened",
            "Point at any figure for its numbers.",
            timeline(history, width=WIDE),
            timeline(history, width=NARROW),
        ),
        _section(
            "Up close",
            f"Fifteen seconds from {at}, order by order. A line is an order waiting at its limit price; one that waits "
            "too long is cancelled, and the next one crosses the spread.",
            closeup(history, width=WIDE),
            closeup(history, width=NARROW),
        ),
        _section(
            "How long it took",
            "Wall time per stage, on this machine, while journal, metrics and everything else were running.",
            latency(summary.latency_us, width=WIDE),
            latency(summary.latency_us, width=NARROW),
        ),
        tag("section", tag("h2", "For the record"), _members(history), _facts(run, history)),
        tag("footer", tag("p", "Made-up market, made-up money. The models compute nothing worth real money.")),
    )
    return page(f"axon demo: {_headline(history)}", body)


def _headline(history: History) -> str:
    if not history.swaps:
        return "Three opinions, one account"
    return "A model was replaced while it traded"


def _story(run: DemoRun, history: History) -> list[Child]:
    summary = run.summary
    minutes = round(history.seconds / 60)
    decisions = f"{summary.decisions:,}"
    began = (
        f"axon made up {minutes} minutes of a market and traded them in {summary.seconds:.0f} seconds. Ten times a "
        f"market second two neural networks and a hand-written rule each said buy, sell or hold, {decisions} times in "
        "all; an ensemble counted each voice by how well its advice had turned out, and orders went through risk "
        "control to a simulated venue. "
    )
    story: list[Child] = [began]
    for swap in history.swaps:
        story += _told(swap, history)
    story.append(
        "What follows is read back from the journal, whose hash chain was verified after the run; only the price is "
        "the market's own, and the latencies were measured on the way."
    )
    return story


def _told(swap: Swap, history: History) -> list[Child]:
    name = swap.after.name
    told: list[Child] = [
        f"At {clock_time(swap.at)} the file of the network ",
        tag("strong", name),
        " was replaced on disk while the process ran, and ",
        "no decision was skipped. " if _unbroken(history, swap.at) else "the next decision was the new version's. ",
    ]
    before, after = history.service(name, swap.before.number), history.service(name, swap.after.number)
    if before is None or after is None:
        return told
    noticed = "noticed, and gave" if after.weight > before.weight else "gave"
    told.append(
        f"Version {before.version} had random weights: when it took a side and the price moved, it was right "
        f"{_share(before)} of the time. Version {after.version} reads the order flow: {_share(after)}. The ensemble "
        f"{noticed} the first {100 * before.weight:.0f} % of the say on average, "
        f"the second {100 * after.weight:.0f} %. "
    )
    return told


def _unbroken(history: History, at: float) -> bool:
    """Whether the decisions around a time follow each other as closely as any."""
    times = [moment.at for moment in history.moments]
    gaps = [(later - earlier, earlier) for earlier, later in pairwise(times)]
    usual = min(gap for gap, _ in gaps)
    return all(gap < 1.5 * usual for gap, earlier in gaps if abs(earlier - at) < 5.0)


def _share(service: Service) -> str:
    return f"{100 * service.right / service.judged:.0f} %" if service.judged else "–"


def _key_figures(run: DemoRun, history: History) -> Html:
    summary = run.summary
    decision = summary.latency_us.get("decision", {}).get("p50")
    figures = (
        (signed(float(summary.pnl), 2), f"{history.quote} profit and loss, {Decimal(summary.fees):.2f} of fees paid"),
        (f"{summary.orders:,}", f"orders, {summary.fills:,} fills, {summary.rejects:,} refused by risk control"),
        (
            "too few" if decision is None else duration(decision),
            "median time of a decision, from market data to orders",
        ),
        (f"{run.report.records:,}", "journal records, chain verified"),
    )
    return tag("dl", (tag("div", tag("dt", label), tag("dd", value)) for value, label in figures), class_="figures")


def _section(title: str, lead: str, *figures: Html) -> Html:
    return tag("section", tag("h2", title), tag("p", lead, class_="lead"), tag("figure", figures))


def _members(history: History) -> Html:
    """Every version of every member that decided."""
    heads = ("Member", "Version", "Served", "Decisions", "Right", "Mean weight", "SHA-256 of the loaded file")
    rows = []
    for one in history.services:
        cells = (
            str(one.version or "–"),
            f"{clock_time(round(one.since))} – {clock_time(round(one.until))}",
            f"{one.decisions:,}",
            _share(one),
            f"{100 * one.weight:.0f} %",
        )
        digest = tag("code", one.sha256) if one.sha256 else "a rule, no file"
        rows.append(tag("tr", tag("th", one.name, scope="row"), (tag("td", cell) for cell in cells), tag("td", digest)))
    head = tag("thead", tag("tr", (tag("th", text, scope="col") for text in heads)))
    note = "Right: of the times it took a side and the price moved within a second, how often it moved that way."
    return tag("div", tag("table", head, tag("tbody", rows)), tag("p", note, class_="lead small"), class_="scroll")


def _facts(run: DemoRun, history: History) -> Html:
    summary, scraper = run.summary, run.scraper
    scraped = ", ".join(f"{name} {scraper.total(name):,.10g}" for name in _SCRAPED if scraper.has(name))
    rejects = ", ".join(f"{control} {count}" for control, count in summary.rejects_by_control.items())
    rows: tuple[tuple[str, Child], ...] = (
        ("Run", f"number {summary.run}, {summary.outcome}; seed {summary.seed}: the same seed ends in the same head"),
        ("Market", f"{summary.messages:,} messages of {history.symbol}, {summary.messages_per_second:,} a second"),
        ("Orders", f"{summary.orders:,} placed, {summary.fills:,} fills, {summary.cancels:,} cancelled"),
        ("Refused", f"{summary.rejects:,}{f' ({rejects})' if rejects else ''}; risk state {summary.risk_state}"),
        ("Equity", f"{summary.equity} {history.quote}; realised {summary.realised}, unrealised {summary.unrealised}"),
        ("Metrics", f"scraped {scraper.count} times over HTTP during the run; the last time {scraped}"),
        ("Journal", f"{summary.journal_records:,} records; the chain holds"),
        ("Head", tag("code", summary.journal_head)),
        ("Check it", tag("code", f"axon journal verify {summary.journal}")),
    )
    return tag("dl", (tag("div", tag("dt", name), tag("dd", text)) for name, text in rows), class_="facts")
