"""The page: one paragraph that says what happened, the figures, and the facts behind them."""

from __future__ import annotations

from decimal import Decimal

from axon_quant.demo.closeup import busiest, closeup
from axon_quant.demo.history import History, Swap
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
            f"Half a minute from {at}, order by order. A line is an order waiting at its limit price; one that waits for "
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
        tag("section", tag("h2", "For the record"), _models(history), _facts(run, history)),
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
    story: list[Child] = [
        f"axon made up {minutes} minutes of a market and traded them in {summary.seconds:.0f} seconds. "
        f"Ten times a second two neural networks and a hand-written rule each said buy, sell or hold, {decisions} times "
        "in all; an ensemble counted each voice by how well its advice had turned out, and orders went through risk "
        "control to a simulated venue. "
    ]
    for swap in history.swaps:
        story += _told(swap, history)
    story.append("All figures below are read back from the journal, whose hash chain was verified after the run.")
    return story


def _told(swap: Swap, history: History) -> list[Child]:
    name = tag("strong", swap.after.name)
    index = history.members.index(swap.after.name) if swap.after.name in history.members else None
    told: list[Child] = [
        f"At {clock_time(swap.at)} the file of the network ",
        name,
        " was replaced on disk while the process ran: its first version had random weights, the second reads the order "
        "flow. No decision was skipped",
    ]
    if index is None:
        return [*told, ". "]
    later = [moment for moment in history.moments if moment.at >= swap.at]
    leads = next((moment for moment in later if moment.weights[index] == max(moment.weights)), None)
    before = f"{100 * later[0].weights[index]:.0f} %" if later else ""
    if leads is None or leads is later[0]:
        return [*told, f", and its weight went from {before} to {100 * later[-1].weights[index]:.0f} %. "]
    return [
        *told,
        f". It had {before} of the weight then, was the leading voice {_spell(leads.at - swap.at)} later, and ended with "
        f"{100 * later[-1].weights[index]:.0f} %. ",
    ]


def _spell(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def _key_figures(run: DemoRun, history: History) -> Html:
    summary = run.summary
    decision = summary.latency_us.get("decision", {}).get("p50")
    figures = (
        (signed(float(summary.pnl), 2), f"{history.quote} profit and loss, {Decimal(summary.fees):.2f} of fees paid"),
        (f"{summary.orders:,}", f"orders, {summary.fills:,} fills, {summary.rejects:,} refused by risk control"),
        ("too few" if decision is None else duration(decision), "median from market data to orders"),
        (f"{run.report.records:,}", "journal records, chain verified"),
    )
    return tag("dl", (tag("div", tag("dt", label), tag("dd", value)) for value, label in figures), class_="figures")


def _section(title: str, lead: str, *figures: Html) -> Html:
    return tag("section", tag("h2", title), tag("p", lead, class_="lead"), tag("figure", figures))


def _models(history: History) -> Html:
    """Every model version that decided."""
    since = {swap.after: swap.at for swap in history.swaps}
    until = {swap.before: swap.at for swap in history.swaps}
    rows = []
    for model, count in history.decisions.items():
        served = f"{clock_time(since.get(model, 0.0))} – {clock_time(until.get(model, history.seconds))}"
        cells: tuple[Child, ...] = (model.name, str(model.number), served, f"{count:,}")
        digest = tag("td", tag("code", model.sha256))
        rows.append(tag("tr", tag("th", cells[0], scope="row"), (tag("td", cell) for cell in cells[1:]), digest))
    heads = ("Model", "Version", "Served", "Decisions", "SHA-256 of the loaded file")
    head = tag("thead", tag("tr", (tag("th", text, scope="col") for text in heads)))
    return tag("div", tag("table", head, tag("tbody", rows)), class_="scroll")


def _facts(run: DemoRun, history: History) -> Html:
    summary, scraper = run.summary, run.scraper
    rules = [name for name in history.members if name not in {model.name for model in history.decisions}]
    scraped = ", ".join(f"{name} {scraper.total(name):,.10g}" for name in _SCRAPED if scraper.has(name))
    rejects = ", ".join(f"{control} {count}" for control, count in summary.rejects_by_control.items())
    rows: tuple[tuple[str, Child], ...] = (
        ("Run", f"number {summary.run}, {summary.outcome}; seed {summary.seed}: the same seed ends in the same head"),
        ("Market", f"{summary.messages:,} messages of {history.symbol}, {summary.messages_per_second:,} a second"),
        ("Orders", f"{summary.orders:,} placed, {summary.fills:,} fills, {summary.cancels:,} cancelled"),
        ("Refused", f"{summary.rejects:,}{f' ({rejects})' if rejects else ''}; risk state {summary.risk_state}"),
        ("Equity", f"{summary.equity} {history.quote}; realised {summary.realised}, unrealised {summary.unrealised}"),
        ("Rule", f"{', '.join(rules)}: no network, a member of the ensemble all the same" if rules else None),
        ("Metrics", f"scraped {scraper.count} times over HTTP during the run; the last time {scraped}"),
        ("Journal", f"{summary.journal_records:,} records; the chain holds"),
        ("Head", tag("code", summary.journal_head)),
        ("Check it", tag("code", f"axon journal verify {summary.journal}")),
    )
    return tag("dl", (tag("div", tag("dt", name), tag("dd", text)) for name, text in rows if text), class_="facts")
