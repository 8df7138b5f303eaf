"""Three members, one decision: weights that follow what the advice was worth, and a member that fails and comes back.

python examples/14_ensemble/ensemble_demo.py [--seconds N] [--seed N] [--out FILE]

Two networks (demo-64x128 in ONNX, demo-64x128-reversion in safetensors) and a rule of three lines vote ten times a
second of a made-up market. The rule loses its feed for a while: it is left out, deactivated, tried again without
weight, and takes part again. Everything shown is read back from the journal, the picture included: one HTML file that
needs nothing else. Where river is installed, its ADWIN gives a second opinion on whether a member's confidence drifted.
Exits with 1 if the member did not come back.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: several threads would wait for each other

import attrs
import numpy as np

from axon_quant.clock import NANOSECONDS, Clock
from axon_quant.config import Config, load_config
from axon_quant.ensemble import Cusum, Detector
from axon_quant.errors import AxonError
from axon_quant.events import Decision, Event, MemberDrifted, MemberFailed, MemberReturned
from axon_quant.journal import read
from axon_quant.market.generated import GeneratedMarket
from axon_quant.observation.features import FEATURES
from axon_quant.report import Html, LinearScale, Panel, page, tag
from axon_quant.report.plot import figure
from axon_quant.report.scales import clock_time
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.summary import RunSummary
from axon_quant.runtime.wiring import Pipeline, build_instruments

HERE = Path(__file__).resolve().parent
TONES = ("hero", "second", "quiet")
SHORT = {"failed": "out", "has": "back", "drifts": "drifts"}
"""The first word of what befell a member → what the picture says."""
KINDS = (Decision, MemberFailed, MemberReturned, MemberDrifted)


class TrendRule:
    """Buys when the price rose by more than 4 basis points in five seconds, and sells when it fell.

    Its feed is down between two times of the run, in seconds since it began.
    """

    actions = ("buy", "sell", "hold")

    def __init__(self, down: float, up: float) -> None:
        self._down, self._up = int(down * NANOSECONDS), int(up * NANOSECONDS)
        self._column = FEATURES.index("return_50")
        self._clock: Clock | None = None
        self._began = 0

    @contextmanager
    def plugged_in(self, built: Pipeline) -> Iterator[None]:
        """Go by the clock of a run."""
        self._clock = built.clock
        yield

    def predict(self, observation: np.ndarray) -> str:
        """The action for one window `[1, rows, features]`."""
        if self._clock is not None:
            now = self._clock.now()
            self._began = self._began or now
            if self._down <= now - self._began < self._up:
                raise TimeoutError("no answer from the feed")
        move = observation[0, -1, self._column]
        return "buy" if move > 4.0 else "sell" if move < -4.0 else "hold"


@attrs.frozen
class History:
    """What the journal says: times in seconds, a row of weights per decision, confidences, and what befell members."""

    members: tuple[str, ...]
    times: list[float]
    weights: list[list[float]]
    confidences: dict[str, list[float]]
    incidents: list[tuple[float, Event]]


def configured(folder: Path) -> Config:
    """The shipped example, with the second network in another format, drift watched, and members tried again."""
    config = load_config(HERE.parent / "btcusdt.toml")
    flow, reversion = config.models
    ensemble = attrs.evolve(
        config.ensemble, performance_window=60, drift="cusum", retry_after_decisions=150, trial_decisions=100
    )
    return attrs.evolve(
        config,
        models=(flow, attrs.evolve(reversion, backend="safetensors")),
        ensemble=ensemble,
        journal=attrs.evolve(config.journal, path=folder / "ensemble.db"),
    )


def read_history(path: Path) -> History:
    """The last run of a journal."""
    events = [event for _, event in read(path, kinds=KINDS)]
    decisions = [event for event in events if isinstance(event, Decision)]
    start = decisions[0].at
    members = tuple(vote.name for vote in decisions[0].members)
    weights = [{vote.name: vote.weight for vote in decision.members} for decision in decisions]
    confidences: dict[str, list[float]] = {name: [] for name in members}
    for decision in decisions:
        for vote in decision.members:
            shares = np.exp(np.array(vote.scores) - max(vote.scores))
            confidences[vote.name].append(float(shares.max() / shares.sum()))
    return History(
        members,
        [(decision.at - start) / NANOSECONDS for decision in decisions],
        [[row.get(name, 0.0) for name in members] for row in weights],
        confidences,
        [((event.at - start) / NANOSECONDS, event) for event in events if not isinstance(event, Decision)],
    )


def told(history: History) -> Iterator[tuple[float, str, str]]:
    """When, whom and what, in words: failures in a row as one."""
    failed: dict[str, int] = {}
    for at, event in history.incidents:
        if isinstance(event, MemberFailed):
            failed[event.member] = failed.get(event.member, 0) + 1
            if event.deactivated:
                count = failed.pop(event.member)
                times = "once" if count == 1 else f"{count} times"
                yield at, event.member, f"failed {times} ({event.reason}) and is out"
        elif isinstance(event, MemberReturned):
            yield at, event.member, "has passed its trial and is back"
        elif isinstance(event, MemberDrifted):
            yield at, event.member, f"drifts in its {event.stream}"


def picture(history: History, incidents: Sequence[tuple[float, str, str]]) -> str:
    """One page with the weights over time."""
    width, top, bottom = 1040.0, 70.0, 380.0
    x = LinearScale(0.0, history.times[-1], 64.0, width - 130.0)
    panel = Panel(x, 0.0, 100.0, top=top, bottom=bottom)
    panel.title("Weight in the ensemble", "how far each member's vote counts")
    panel.rows([0.0, 25.0, 50.0, 75.0, 100.0], "{:.0f} %".format, emphasised=0.0)
    panel.columns(x.time_ticks(12), clock_time)
    labels = []
    for index, (name, tone) in enumerate(zip(history.members, TONES, strict=True)):
        points = [(at, 100.0 * row[index]) for at, row in zip(history.times, history.weights, strict=True)][::5]
        panel.line(points, tone)
        labels.append((points[-1][1], f"{name} {points[-1][1]:.0f} %", tone))
    panel.labels(labels)
    for number, (at, name, what) in enumerate(incidents):
        title = tag("title", f"{clock_time(at)} {name} {what}")
        panel.add("line", title, x1=x(at), x2=x(at), y1=top - 8, y2=bottom, class_="swap")
        panel.add(
            "text", f"{name} {SHORT[what.split()[0]]}", x=x(at) + 5, y=top + 12 + 15 * (number % 3), class_="note"
        )
    every = max(1, len(history.times) // 120)
    rows = list(zip(history.times, history.weights, strict=True))[::every]
    panel.hover(
        (at, until, "\n".join([clock_time(round(at)), *_shares(history.members, row)]))
        for (at, row), (until, _) in pairwise(rows)
    )
    end = ", ".join(_shares(history.members, history.weights[-1]))
    description = (
        f"The weights of {', '.join(history.members)} over {clock_time(history.times[-1])} minutes; at the end {end}."
    )
    svg = figure(
        width, 412.0, [*panel.grid, *panel.marks], title="Weights over time", description=description, class_=""
    )
    body = tag(
        "main",
        tag("header", tag("p", "axon ensemble", class_="kicker"), tag("h1", "Who is listened to, and how far")),
        tag("figure", svg),
        tag("section", tag("h2", "What happened"), tag("ul", [_item(*each) for each in incidents])),
    )
    return page("Ensemble weights over time", body)


def _item(at: float, name: str, what: str) -> Html:
    return tag("li", f"{clock_time(at)} {name} {what}")


def _shares(names: Sequence[str], row: Sequence[float]) -> list[str]:
    return [f"{name} {100 * weight:.0f} %" for name, weight in zip(names, row, strict=True)]


def adwin() -> Callable[[], Detector] | None:
    """river's ADWIN as a detector of ours, which is anything with `update(value) -> bool`; None where river is not."""
    try:
        from river.drift import ADWIN
    except ImportError:
        return None

    class Adwin:
        def __init__(self) -> None:
            self._adwin = ADWIN()

        def update(self, value: float) -> bool:
            self._adwin.update(value)
            return bool(self._adwin.drift_detected)

    return Adwin


def second_opinion(history: History) -> Iterator[str]:
    """How often each detector finds that a member's confidence drifted."""
    other = adwin()
    for name in history.members:
        line = f"  {name:<10} CUSUM {_alarms(Cusum(), history.confidences[name])}"
        yield line if other is None else f"{line}, ADWIN {_alarms(other(), history.confidences[name])}"
    if other is None:
        yield "  (pip install river adds its ADWIN, which takes neighbours to be independent, to the comparison)"


def _alarms(detector: Detector, values: Sequence[float]) -> int:
    return sum(detector.update(value) for value in values)


def run(seconds: float, seed: int, folder: Path) -> tuple[RunSummary, History]:
    """Play the market and read back what happened. The outage begins in the middle and lasts a tenth of the time."""
    config = configured(folder)
    rule = TrendRule(0.5 * seconds, 0.6 * seconds)
    market = GeneratedMarket(build_instruments(config)[0], seconds=seconds, seed=seed, price=60_000.0)
    summary = Replay(config, market=market, members={"trend": rule}, around=rule.plugged_in).run()
    return summary, read_history(config.journal.path)


def main() -> int:
    """Print the report; 1 if something was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="length of the market (at least 100)")
    parser.add_argument("--seed", type=int, default=1, help="which market")
    parser.add_argument("--out", type=Path, default=HERE / "weights.html", help="the picture")
    arguments = parser.parse_args()
    if not arguments.seconds >= 100.0:
        parser.error("--seconds must be at least 100, so that the member has the time to come back")
    with tempfile.TemporaryDirectory() as name:
        try:
            summary, history = run(arguments.seconds, arguments.seed, Path(name))
        except AxonError as error:
            print(error, file=sys.stderr)
            return 1
    incidents = list(told(history))
    print(f"{summary.decisions:,} decisions of {', '.join(history.members)} in {summary.seconds:.1f} s")
    middle = len(history.weights) // 2
    for when, row in (("at first", 0), ("in the middle", middle - 1), ("at the end", -1)):
        print(f"  {when:<14} {', '.join(_shares(history.members, history.weights[row]))}")
    print("\nWhat happened")
    for at, member, what in incidents:
        print(f"  {clock_time(at):>7}  {member} {what}")
    print("\nDrifts of the confidence, found afterwards in the journal")
    print("\n".join(second_opinion(history)))
    arguments.out.write_text(picture(history, incidents), "utf-8")
    print(f"\nThe weights over time: {arguments.out}")
    if not any(isinstance(event, MemberReturned) for _, event in history.incidents):
        print("\nthe rule did not come back", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
