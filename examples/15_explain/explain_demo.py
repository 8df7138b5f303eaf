"""One decision of a run, explained: what it came from, what would have changed it, and a report to file.

python examples/15_explain/explain_demo.py [--seconds N] [--seed N] [--out FOLDER]

The built-in demo-64x128 trades a made-up market through ONNX Runtime. The last time that it made up its mind to buy or
to sell is read back from the journal, observation and all. Shapley values say which of its 128 features the score comes
from, counterfactuals which changes would have flipped it, and the report has both with the record of the journal, as
HTML, PDF and JSON. The background is what else the model saw in that run. Exits with 1 if the importances do not add up
or a counterfactual does not flip the decision.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: several threads would wait for each other

import attrs
import numpy as np

from axon_quant import Backend, ModelConfig, OnnxBackend
from axon_quant.config import load_config
from axon_quant.errors import AxonError
from axon_quant.events import Decision, FeatureRow
from axon_quant.explain import CounterfactualGenerator, KernelSHAP, ReportGenerator
from axon_quant.journal import read
from axon_quant.market.generated import GeneratedMarket
from axon_quant.runtime.decisions import DecisionRecord, find_decision
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.wiring import build_instruments

HERE = Path(__file__).resolve().parent
ROWS, EVERY = 24, 25
"""Windows of the background, and rows between them."""
BUDGET = 1_024
SHOWN = 10


def decided(seconds: float, seed: int, folder: Path) -> tuple[DecisionRecord, np.ndarray]:
    """Let the model trade, and return its last decision to buy or sell, and windows `[rows, 64, 128]` it saw before."""
    config = load_config(HERE.parent / "btcusdt.toml")
    journal = attrs.evolve(config.journal, path=folder / "explain.db")
    config = attrs.evolve(config, models=config.models[:1], journal=journal)
    market = GeneratedMarket(build_instruments(config)[0], seconds=seconds, seed=seed, price=60_000.0)
    Replay(config, market=market).run()
    events = [event for _, event in read(journal.path, kinds=(Decision, FeatureRow))]
    chosen = [event for event in events if isinstance(event, Decision) and event.action != "hold"][-1]
    record = find_decision(journal.path, str(chosen.number))
    rows = {event.row: event.data for event in events if isinstance(event, FeatureRow)}
    window = len(record.observation)
    ends = range(record.event.last_row - EVERY, min(rows) + window, -EVERY)[:ROWS]
    seen = [b"".join(rows[row] for row in range(end - window + 1, end + 1)) for end in ends]
    return record, np.frombuffer(b"".join(seen), "<f4").reshape(-1, *record.observation.shape)


def served(record: DecisionRecord) -> Backend:
    """The very model behind the decision: `axon replay` finds it by its SHA-256, here it is the built-in one."""
    names = record.feature_names
    engine = OnnxBackend(ModelConfig(OnnxBackend.builtin("demo-64x128", names), "onnx", name="flow"))
    engine.load()
    if engine.model.sha256 != record.models[0].sha256:
        raise SystemExit("the model of the run is another one")
    return engine


def importances(explainer: KernelSHAP, obs: np.ndarray, predicted_action: str) -> bool:
    """What the score comes from. Returns whether it adds up."""
    started = time.perf_counter()
    explanation = explainer.explain(observation=obs, action=predicted_action)
    print(
        f"{explanation.action}: {explanation.score:.3f}, against {explanation.base_value:.3f} in the mean over "
        f"{explanation.background_rows} windows before ({explanation.method}, {explanation.evaluations:,} evaluations, "
        f"{time.perf_counter() - started:.1f} s)"
    )
    print("Feature importance:")
    ranked = sorted(
        zip(explanation.feature_names, explanation.feature_importances, strict=True),
        key=lambda pair: abs(pair[1]),
        reverse=True,
    )
    for feature, importance in ranked[:SHOWN]:
        print(f"  {feature}: {importance:.4f}")
    print(f"  and {len(ranked) - SHOWN} more: {sum(importance for _, importance in ranked[SHOWN:]):.4f}")
    return bool(abs(explanation.additivity_gap) < 1e-4)


def changes(generator: CounterfactualGenerator, engine: Backend, obs: np.ndarray, original_action: str) -> bool:
    """What would have flipped it. Returns whether the model agrees."""
    started = time.perf_counter()
    counterfactuals = generator.generate(observation=obs, original_action=original_action)
    took = 1e3 * (time.perf_counter() - started)
    print(f"{len(counterfactuals)} found in {counterfactuals.evaluations} evaluations, {took:.0f} ms")
    flipped = bool(counterfactuals)
    for cf in counterfactuals:
        flipped &= engine.predict(cf.observation).name == cf.action != original_action
        print(f"To {cf.action}: change {cf.feature_name} by {cf.delta:.4f}")
        for change in cf.changes:
            print(f"  {change.feature_name}: {change.original_value:.4f} → {change.counterfactual_value:.4f}")
    return flipped


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the explanation and write the report; 1 if something was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=90.0, help="length of the market (at least 60)")
    parser.add_argument("--seed", type=int, default=1, help="which market")
    parser.add_argument("--out", type=Path, default=HERE / "report", help="where the report goes")
    given = parser.parse_args(arguments)
    if not given.seconds >= 60.0:
        parser.error("--seconds must be at least 60, so that the model has seen something before")
    try:
        with tempfile.TemporaryDirectory() as name:
            record, background = decided(given.seconds, given.seed, Path(name))
        engine = served(record)
        obs, action, names = record.observation, record.event.action, record.feature_names
        print(
            f"Decision {record.decision_id}: {action} {record.event.symbol}, confidence {record.event.confidence:.2f}\n"
        )
        explainer = KernelSHAP(engine, background_data=background, feature_names=names, groups="channel", budget=BUDGET)
        adds_up = importances(explainer, obs, action)
        print("\nWhat would have changed it")
        generator = CounterfactualGenerator(engine, background_data=background, feature_names=names)
        flipped = changes(generator, engine, obs, action)
        reports = ReportGenerator(engine, background_data=background, shap=explainer, counterfactuals=generator)
        report = reports.generate_report(observation=obs, action=action, record=record)
        given.out.mkdir(parents=True, exist_ok=True)
        report.export_html(given.out / "decision_report.html")
        report.export_pdf(given.out / "decision_report.pdf")
        report.export_json(given.out / "decision_report.json")
    except AxonError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\nThe report: {given.out / 'decision_report.html'}, .pdf and .json")
    if not adds_up:
        print("\nthe importances do not add up", file=sys.stderr)
    if not flipped:
        print("\nnothing was found that flips the decision", file=sys.stderr)
    return 0 if adds_up and flipped else 1


if __name__ == "__main__":
    sys.exit(main())
