"""Trades at a simulated venue while everything goes wrong, and compares what the trader knows with the truth.

    python tests/campaign [VENUE …] [--client NAME …] [--orders N] [--kills N] [--seed N] [--json]

Exits with 1 when anything is wrong with axon; what is wrong with ccxt is shown.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import monotonic
from typing import Any

from campaign import CLIENTS, Run, run_all
from venue import SYMBOLS


def main() -> int:
    """Run the campaigns that are asked for."""
    parser = argparse.ArgumentParser(
        prog="campaign", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("venues", nargs="*", metavar="VENUE", help=f"of {', '.join(SYMBOLS)}; default: all")
    parser.add_argument("--client", action="append", choices=list(CLIENTS), help="repeatable; default: axon")
    parser.add_argument("--orders", type=int, default=10_000, help="per venue and client (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=20, help="kill -9 of the trader (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder where journals and logs stay")
    parser.add_argument("--json", action="store_true", help="the results as JSON instead of tables")
    given = parser.parse_args()
    unknown = sorted(set(given.venues) - set(SYMBOLS))
    if unknown:
        parser.error(f"no venue {', '.join(unknown)}; there are {', '.join(SYMBOLS)}")
    if {*(given.client or ["axon"])} != {"axon"} and any("-" in venue for venue in given.venues or SYMBOLS):
        parser.error("other clients trade spot only; name binance or okx")
    runs = [
        Run(venue, client, given.orders, given.kills, given.seed)
        for venue in given.venues or SYMBOLS
        for client in given.client or ["axon"]
    ]
    try:
        results = run_all(runs, progress, given.keep)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(json.dumps(results, indent=2) if given.json else "\n\n".join(map(table, results)))
    return int(any(result["failures"] for result in results if result["client"] == "axon"))


def progress(run: Run) -> None:
    """One line on a terminal, over the one before."""
    if sys.stderr.isatty():
        share = run.placed / run.orders
        bar = "█" * round(30 * share)
        took = monotonic() - run.began
        line = f"{run.venue} {run.client} {bar:<30} {run.placed}/{run.orders} orders, {run.killed} kills, {took:.0f} s"
        print(f"\r{line:<100}", end="", file=sys.stderr, flush=True)


def table(result: dict[str, Any]) -> str:
    """A result, to be read."""
    lines = [
        (
            f"{result['venue']} with {result['client']}: {result['orders_sent']} orders sent, "
            f"{result['orders_at_venue']} at the venue, {result['fills']} fills, {result['kills']} × kill -9, "
            f"{result['seconds']} s"
        ),
        "  faults  " + ", ".join(f"{kind} {count}" for kind, count in result["faults"].items()),
    ]
    lines += [f"  {wrong:<32}{count:>8}" for wrong, count in result["wrongs"].items()]
    for name, label in (
        ("reconnect", "up to date after a reconnect"),
        ("restart", "up to date after a restart"),
        ("doubt", "known after doubt"),
        ("old_doubt", "in doubt before a restart"),
    ):
        spread = result[name]
        lines.append(
            f"  {label:<32}{spread['count']:>8} times, "
            f"p50 {spread['p50']} s, p99 {spread['p99']} s, max {spread['max']} s"
        )
    lines.append(f"  in flight when a ban began      {result['requests_in_flight_when_a_ban_began']:>8}")
    unaware = result["requests_of_a_process_that_was_not_told_of_a_ban"]
    lines.append(f"  of a process that was not told  {unaware:>8}")
    lines += [f"  ! {note}" for note in result["notes"][:40]]
    lines.append("  FAILED: " + "; ".join(result["failures"]) if result["failures"] else "  passed")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
