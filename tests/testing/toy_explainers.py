"""Explainers of a few lines: good ones, and one for each defect the suite must find. Run by test_suites.py."""

import html
import itertools
import json
from math import factorial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from axon_quant.errors import AxonError, ExplainError
from axon_quant.inference import Action, as_scorer
from axon_quant.plugins import Capability, ExplainerDescriptor
from axon_quant.testing import ExplainerConformance

FEW = 10


def numbers(value):
    """Finite float64."""
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise ExplainError(f"no numbers: {error}") from error
    if not found.size or not found.ndim or not np.isfinite(found).all():
        raise ExplainError("an observation is finite numbers")
    return found


class Toy:
    """What all of them share: a model that is asked about batches, and counted."""

    def __init__(self, model, *, background_data=None):
        self.scorer = as_scorer(model)
        self.background_data = background_data
        self.evaluations = 0

    def ask(self, batch):
        self.evaluations += len(batch)
        return np.asarray(self.scorer.score_batch(batch), np.float64)

    def rows(self, x, background_data):
        rows = numbers(self.background_data if background_data is None else background_data)
        if rows.shape[1:] != x.shape:
            raise ExplainError(f"a background of {rows.shape} for an observation of {x.shape}")
        return rows

    def index(self, action, x):
        names = self.scorer.actions
        if action is None:
            return int(self.ask(x[None])[0].argmax())
        if isinstance(action, Action):
            action = action.name
        if isinstance(action, str) and action in names:
            return names.index(action)
        if isinstance(action, int) and 0 <= action < len(names):
            return action
        raise ExplainError(f"no action {action!r}")


class Exact(Toy):
    """By enumeration for few features; beyond, the mean of what each adds first and last: exact up to pairs."""

    def explain(self, observation, action=None, background_data=None):
        self.evaluations = 0
        x = self.observation(observation)
        rows = self.rows(x, background_data)
        output = self.index(action, x)
        values = self.values(x, rows, output)
        importances = self.importances(values, x.size)
        base, score = values(np.array([[False] * x.size, [True] * x.size]))
        return self.attribution(x, importances, float(base), float(score))

    def observation(self, value):
        return numbers(value)

    def values(self, x, rows, output):
        """A function of coalitions `[many, features]`."""

        def value(masks):
            flat = rows.reshape(len(rows), -1)
            mixed = np.where(masks[:, None, :], x.ravel(), flat[None]).reshape(-1, *x.shape)
            return self.ask(mixed)[:, output].reshape(len(masks), len(rows)).mean(axis=1)

        return value

    def importances(self, value, count):
        if count > FEW:
            return self.first_and_last(value, count)
        masks = np.array(list(itertools.product([False, True], repeat=count)))
        values = dict(zip(map(tuple, masks), value(masks), strict=True))
        found = np.zeros(count)
        for mask, here in values.items():
            for player in range(count):
                if not mask[player]:
                    size = sum(mask)
                    weight = factorial(size) * factorial(count - size - 1) / factorial(count)
                    found[player] += weight * (values[(*mask[:player], True, *mask[player + 1 :])] - here)
        return found

    def first_and_last(self, value, count):
        alone = np.eye(count, dtype=bool)
        ends = value(np.array([[False] * count, [True] * count]))
        return (value(alone) - ends[0] + ends[1] - value(~alone)) / 2.0

    def attribution(self, x, importances, base, score):
        return SimpleNamespace(
            feature_names=self.names(x),
            feature_importances=importances,
            base_value=base,
            additivity_gap=score - base - float(importances.sum()),
            error_estimate=0.0,
            method="exact",
            evaluations=self.evaluations,
        )

    def names(self, x):
        return tuple(f"f{index}" for index in range(x.size))


class Flipping(Toy):
    """Tries values of the background in one feature, then in two, and verifies what flips."""

    def __init__(self, model, *, background_data=None, bounds=None, immutable=(), steps=None, budget=4096):
        super().__init__(model, background_data=background_data)
        self.bounds, self.immutable, self.steps, self.budget = bounds or {}, immutable, steps or {}, budget

    def generate(self, observation, original_action=None, n_samples=None, *, desired=None, background_data=None):
        self.evaluations = 0
        x = numbers(observation)
        rows = self.rows(x, background_data)
        original = self.decide(x).name
        self.check(original, original_action, desired)
        candidates = self.candidates(x, rows)[: self.budget - 1 - 8]
        scores = self.ask(candidates) if len(candidates) else []
        found = []
        for candidate, row in zip(candidates, scores, strict=True):
            if len(found) == 4:
                break
            if self.flips(self.scorer.decode(row.tolist()).name, original, desired):
                action = self.verified(candidate)
                if self.flips(action.name, original, desired):
                    found.append(self.result(x, candidate, action))
        return Found(found, self.evaluations, original)

    def verified(self, candidate):
        return self.decide(candidate)

    def flips(self, action, original, desired):
        return action != original if desired is None else action == desired

    def check(self, original, original_action, desired):
        if original_action not in (None, original) or desired == original:
            raise ExplainError(f"{original} is decided")
        if desired is not None and desired not in self.scorer.actions:
            raise ExplainError(f"no action {desired!r}")

    def decide(self, x):
        return self.scorer.decode(self.ask(x[None])[0].tolist())

    def candidates(self, x, rows):
        free = [index for index in range(x.size) if f"f{index}" not in self.immutable]
        values = np.quantile(rows, np.linspace(0.0, 1.0, 21), axis=0)
        changed = [{i: self.allowed(i, v)} for i in free for v in values[:, i]]
        few = values[[1, 5, 15, 19]]
        for i, j in itertools.combinations(free, 2):
            changed += [{i: self.allowed(i, v), j: self.allowed(j, w)} for v in few[:, i] for w in few[:, j]]
        found = np.repeat(x[None], len(changed), axis=0)
        for row, change in zip(found, changed, strict=True):
            for index, value in change.items():
                row[index] = value
        return found

    def allowed(self, index, value):
        return self.stepped(index, self.bounded(index, value))

    def bounded(self, index, value):
        low, high = self.bounds.get(f"f{index}", (-np.inf, np.inf))
        return min(max(value, low), high)

    def stepped(self, index, value):
        step = self.steps.get(f"f{index}")
        return value if step is None else round(value / step) * step

    def result(self, x, candidate, action):
        changes = [
            SimpleNamespace(
                feature_name=f"f{index}",
                original_value=x[index],
                counterfactual_value=candidate[index],
                delta=candidate[index] - x[index],
            )
            for index in np.flatnonzero(candidate != x)
        ]
        return SimpleNamespace(
            **vars(changes[0]), changes=changes, observation=candidate, action=action.name, scores=action.scores
        )


class Found(list):
    def __init__(self, results, evaluations, original_action):
        super().__init__(results)
        self.evaluations = evaluations
        self.original_action = original_action


class Reporting(Toy):
    """A table of importances."""

    def __init__(self, model, *, background_data=None, feature_names=None):
        super().__init__(model, background_data=background_data)
        self.explainer = Exact(model, background_data=background_data)
        self.feature_names = feature_names

    def generate_report(self, observation, action=None):
        x = numbers(observation)
        decision = self.scorer.decode(self.ask(x[None])[0].tolist()).name
        found = self.explainer.explain(x, action)
        names = self.feature_names or found.feature_names
        return Paper(self, decision, dict(zip(names, found.feature_importances.tolist(), strict=True)))

    def text(self, value):
        return html.escape(value)


class Paper:
    def __init__(self, reporter, decision, importances):
        self.reporter, self.decision, self.importances = reporter, decision, importances

    def export_html(self, path):
        rows = "".join(f"<tr><td>{self.reporter.text(name)}<td>{v:.6g}" for name, v in self.importances.items())
        Path(path).write_text(f"<!doctype html><p>{self.decision}<table>{rows}</table>")

    def export_json(self, path):
        Path(path).write_text(json.dumps({"decision": self.decision, "importances": self.importances}))


class Everything(Exact, Flipping):
    """Does both."""


class Suite(ExplainerConformance):
    made: type = Exact
    capabilities = frozenset({Capability.Attribution})
    summary = "A toy."

    @pytest.fixture
    def descriptor(self):
        return ExplainerDescriptor(
            name="toy", target="nowhere:Explainer", summary=self.summary, capabilities=self.capabilities
        )

    @pytest.fixture
    def explainer(self):
        return self.made


class Searches(Suite):
    made = Flipping
    capabilities = frozenset({Capability.Counterfactuals})


class Papers(Suite):
    made = Reporting
    capabilities = frozenset({Capability.Reports})


class TestGoodExact(Suite):
    pass


class TestGoodFlipping(Searches):
    pass


class TestGoodReporting(Papers):
    pass


class TestGoodEverything(Suite):
    made = Everything
    capabilities = frozenset({Capability.Attribution, Capability.Counterfactuals})


# What it says of itself


class TestOverridesATest(Suite):
    def test_p010_a_linear_model_is_explained_exactly(self):
        pass


class TestSaysNothingOfItself(Suite):
    summary = ""


class TestDeclaresNothing(Suite):
    made = Toy
    capabilities = frozenset()


class IgnoresOptions(Exact):
    def __init__(self, model, *, background_data=None, **_):
        super().__init__(model, background_data=background_data)


class TestIgnoresUnknownOptions(Suite):
    made = IgnoresOptions


class TestDoesMoreThanItDeclares(Suite):
    made = Everything


class TestDeclaresWhatItLacks(Suite):
    capabilities = frozenset({Capability.Attribution, Capability.Counterfactuals})


# Attributions


class Sparse(Exact):
    """Only the ten largest count, and take what the others had: it adds up, and is wrong."""

    def importances(self, value, count):
        found = super().importances(value, count)
        if count > FEW:
            small = np.argsort(np.abs(found))[:-FEW]
            rest = found[small].sum()
            found[small] = 0.0
            found[np.abs(found).argmax()] += rest
        return found


class TestKeepsTheTenLargest(Suite):
    made = Sparse


class Sampling(Exact):
    def rows(self, x, background_data):
        return super().rows(x, background_data)[:100]


class TestSamplesTheBackground(Suite):
    made = Sampling


class MeanRow(Exact):
    def rows(self, x, background_data):
        return super().rows(x, background_data).mean(axis=0, keepdims=True)


class TestComparesWithTheMeanRow(Suite):
    made = MeanRow


class OneOrder(Exact):
    """Features join from the first to the last, once."""

    def importances(self, value, count):
        return np.diff(value(np.tril(np.ones((count + 1, count), bool), -1)))


class TestFavoursTheEarlierFeature(Suite):
    made = OneOrder


class LastOnly(Exact):
    """What a feature adds last, which does not add up."""

    def importances(self, value, count):
        whole = value(np.ones((1, count), bool))
        return whole - value(~np.eye(count, dtype=bool))


class TestAsksWhatEachAddsLast(Suite):
    made = LastOnly


class Even(Exact):
    """What is not explained is spread over all, used or not."""

    def importances(self, value, count):
        found = super().importances(value, count)
        return 0.9 * found + 0.1 * found.sum() / count


class TestSpreadsOverWhatIsNotUsed(Suite):
    made = Even


class GapHidden(Exact):
    def attribution(self, *parts):
        found = super().attribution(*parts)
        found.additivity_gap = 0.5
        return found


class TestStatesAnotherGap(Suite):
    made = GapHidden


class SixtyFour(Exact):
    """Bits of a coalition fit in a machine word."""

    def importances(self, value, count):
        found = super().importances(value, count)
        found[64:] = 0.0
        return found


class TestForgetsWhatIsBeyond64(Suite):
    made = SixtyFour


class Columns(Exact):
    def names(self, x):
        return tuple(f"f{index % x.shape[-1]}" for index in range(x.size))


class TestNamesTheRowsOfAWindowAlike(Suite):
    made = Columns


class FunctionsOnly(Exact):
    def __init__(self, model, *, background_data=None):
        if not hasattr(model, "answer"):
            raise TypeError("a function, please")
        super().__init__(model, background_data=background_data)


class TestExplainsFunctionsOnly(Suite):
    made = FunctionsOnly


class FirstOutput(Exact):
    def index(self, action, x):
        return 0


class TestExplainsTheFirstOutput(Suite):
    made = FirstOutput


class CountsCalls(Exact):
    def ask(self, batch):
        self.evaluations += 1 - len(batch)
        return super().ask(batch)


class TestCountsCallsInsteadOfRows(Suite):
    made = CountsCalls


class GlobalGenerator(Exact):
    def importances(self, value, count):
        np.random.permutation(count)
        return super().importances(value, count)


class TestUsesTheGlobalGenerator(Suite):
    made = GlobalGenerator


class Noisy(Exact):
    """Another answer each time, within an error that it states."""

    made = 0

    def importances(self, value, count):
        Noisy.made += 1
        found = super().importances(value, count)
        self.size = 0.01 * np.sqrt(np.mean(found**2))
        noise = np.random.default_rng(Noisy.made).standard_normal(count) * self.size
        return found + noise - noise.mean()

    def attribution(self, *parts):
        found = super().attribution(*parts)
        found.error_estimate = self.size
        return found


class TestIsNotRepeatable(Suite):
    made = Noisy


class Certain(Exact):
    """An error, and an estimate of it that says there is none."""

    def importances(self, value, count):
        found = super().importances(value, count)
        return found * (1.0 + 0.01 * np.cos(np.arange(count)))


class TestSaysItIsExactAndIsNot(Suite):
    made = Certain


class Writing(Exact):
    def rows(self, x, background_data):
        background_data += 0.0
        return super().rows(x, background_data)


class TestWritesToTheBackground(Suite):
    made = Writing


class Shares(Exact):
    """Scaled, so that they add up."""

    def attribution(self, x, importances, base, score):
        with np.errstate(all="ignore"):
            scaled = importances * ((score - base) / importances.sum())
        return super().attribution(x, scaled, base, score)


class TestDividesByWhatMayBeZero(Suite):
    made = Shares


# Refusals


class Silent(Exact):
    def explain(self, observation, action=None, background_data=None):
        try:
            return super().explain(observation, action, background_data)
        except AxonError:
            raise
        except Exception:  # noqa: BLE001 - the defect
            return self.attribution(np.asarray(observation), np.zeros(np.size(observation)), 0.0, 0.0)


class TestMakesZerosOfAnError(Suite):
    made = Silent


class Forgiving(Exact):
    """Makes scores of whatever comes."""

    def ask(self, batch):
        self.evaluations += len(batch)
        answer = self.scorer.model(batch)
        if isinstance(answer, np.ndarray) and answer.dtype.kind == "f":
            if answer.shape == (len(batch), 3):
                return self.finite(answer)
            return np.resize(answer, (len(batch), 3))
        return np.zeros((len(batch), 3))

    def finite(self, answer):
        if not np.isfinite(answer).all():
            raise ExplainError("scores are not finite")
        return answer


class TestBendsAnswersIntoShape(Suite):
    made = Forgiving


class NanToNum(Exact):
    def ask(self, batch):
        self.evaluations += len(batch)
        if not hasattr(self.scorer.model, "answer"):
            return np.asarray(self.scorer.score_batch(batch))
        answer = self.scorer.model(batch)
        try:
            if answer.shape == (len(batch), 3):
                return np.nan_to_num(answer + 0.0, posinf=0.0, neginf=0.0)
        except (AttributeError, TypeError) as error:
            raise ExplainError(f"no scores: {error}") from error
        raise ExplainError(f"scores of shape {answer.shape}")


class TestMakesZerosOfNan(Suite):
    made = NanToNum


class Mending(Exact):
    def observation(self, value):
        try:
            return numbers(np.nan_to_num(np.asarray(value, np.float64), posinf=0.0))
        except (TypeError, ValueError) as error:
            raise ExplainError(f"no numbers: {error}") from error


class TestMendsTheObservation(Suite):
    made = Mending


class Cutting(Exact):
    def rows(self, x, background_data):
        if np.ndim(background_data) == 2 and np.shape(background_data)[1] != x.size:
            background_data = np.resize(background_data, (len(background_data), x.size))
        return super().rows(x, background_data)


class TestCutsTheBackgroundToFit(Suite):
    made = Cutting


class Clamping(Exact):
    def index(self, action, x):
        try:
            return super().index(action, x)
        except ExplainError:
            return 0


class TestTakesAnyActionForTheFirst(Suite):
    made = Clamping


# Counterfactuals


class Unverified(Flipping):
    """Half of the way is taken for the whole."""

    def result(self, x, candidate, action):
        return super().result(x, x + (candidate - x) / 2.0, action)


class TestVerifiesNothing(Searches):
    made = Unverified


class Mislabelled(Flipping):
    def result(self, x, candidate, action):
        found = super().result(x, candidate, action)
        found.scores = tuple(reversed(found.scores))
        return found


class TestReportsOtherScores(Searches):
    made = Mislabelled


class Hiding(Flipping):
    """Moves a feature that it does not tell of."""

    def result(self, x, candidate, action):
        found = super().result(x, candidate, action)
        found.changes[0].delta += 1.0
        return found


class TestStatesAnotherDifference(Searches):
    made = Hiding


class Undesired(Flipping):
    def flips(self, action, original, desired):
        return action != original


class TestIgnoresWhatIsDesired(Searches):
    made = Undesired


class Mutable(Flipping):
    def candidates(self, x, rows):
        self.immutable = ()
        return super().candidates(x, rows)


class TestChangesWhatIsImmutable(Searches):
    made = Mutable


class Unbounded(Flipping):
    def bounded(self, index, value):
        return value


class TestPassesTheBounds(Searches):
    made = Unbounded


class Stepless(Flipping):
    def stepped(self, index, value):
        return value


class TestIgnoresTheSteps(Searches):
    made = Stepless


class Insistent(Flipping):
    """Where nothing flips it returns what came nearest."""

    def generate(self, observation, *arguments, **more):
        found = super().generate(observation, *arguments, **more)
        if not found:
            x = np.asarray(observation)
            nearest = x.copy()
            nearest[-1] += 1.0
            found.append(self.result(x, nearest, SimpleNamespace(name="hold", scores=(0.0, 0.0, 1.0))))
        return found


class TestReturnsWhatDoesNotFlip(Searches):
    made = Insistent


class CountsResults(Flipping):
    def generate(self, *arguments, **more):
        found = super().generate(*arguments, **more)
        found.evaluations = len(found)
        return found


class TestCountsItsResults(Searches):
    made = CountsResults


class Spending(Flipping):
    def __init__(self, model, *, budget=4096, **more):
        super().__init__(model, **more)


class TestSpendsMoreThanItsBudget(Searches):
    made = Spending


class Shuffling(Flipping):
    def candidates(self, x, rows):
        return np.random.permutation(super().candidates(x, rows))


class TestShufflesByTheGlobalGenerator(Searches):
    made = Shuffling


class Touching(Flipping):
    def generate(self, observation, *arguments, **more):
        observation += 0.0
        return super().generate(observation, *arguments, **more)


class TestWritesToTheObservation(Searches):
    made = Touching


class Quiet(Flipping):
    def generate(self, *arguments, **more):
        try:
            return super().generate(*arguments, **more)
        except AxonError:
            raise
        except Exception:  # noqa: BLE001 - the defect
            return Found([], self.evaluations, "hold")


class TestFindsNothingInsteadOfAnError(Searches):
    made = Quiet


class Lenient(Flipping):
    """What is no score is no flip."""

    def ask(self, batch):
        try:
            return super().ask(batch)
        except AxonError:
            return np.tile([1.0, 0.0, 0.0], (len(batch), 1))


class TestTakesAnyAnswer(Searches):
    made = Lenient


class Unchecked(Flipping):
    def check(self, original, original_action, desired):
        super().check(original, None, desired)


class TestTakesAnyOriginalAction(Searches):
    made = Unchecked


# Reports


class Numbered(Reporting):
    """Each report has a number of its own."""

    count = itertools.count()

    def text(self, value):
        return f"{html.escape(value)} ({next(self.count)})"


class TestNumbersItsReports(Papers):
    made = Numbered


class Raw(Reporting):
    def text(self, value):
        return value


class TestEscapesNothing(Papers):
    made = Raw


class Blank(Reporting):
    def generate_report(self, observation, action=None):
        try:
            return super().generate_report(observation, action)
        except Exception:  # noqa: BLE001 - the defect
            return Paper(self, "unknown", {})


class TestReportsAFailedModel(Papers):
    made = Blank
