"""What an ensemble has learnt can be saved at any point, and it goes on from there bit for bit."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_quant.ensemble import Cusum, EnsembleState, Psi
from axon_quant.errors import EnsembleError
from axon_quant.events import EnsembleSaved, WeightsChanged
from axon_quant.journal.codec import decode, encode

NAMES = ["a", "b", "c"]


def copied(state):
    """Through the journal's JSON."""
    return decode(encode(EnsembleSaved(0, state))).state


class World:
    """Three members that fail when told to, and what happens to their ensemble."""

    def __init__(self, make, strategy, **options):
        self.broken = 0
        self.ensemble = make(
            [self.member(i) for i in range(3)],
            [0.5, 0.3, 0.2],
            8,
            strategy=strategy,
            names=NAMES,
            emit=[].append,
            max_failures=2,
            retry_after=3,
            trial=2,
            **options,
        )

    def member(self, index):
        def answer(x):
            if self.broken >> index & 1:
                raise ValueError("out of order")
            return np.roll([0.8 - 0.01 * (x % 7), 0.1 + 0.01 * (x % 7), 0.1], index)

        return answer

    def take(self, number, kind, *values):
        """One event; what the world sees of it."""
        ensemble = self.ensemble
        try:
            if kind == "returns":
                for name, value in zip(NAMES, values, strict=True):
                    ensemble.record_return(name, value)
            elif kind == "update":
                ensemble.update_weights(values)
            elif kind == "reactivate":
                ensemble.reactivate(*values)
            elif kind == "drift":
                ensemble.report_drift(*values, "inputs")
            else:
                (self.broken,) = values
                return ensemble.predict(number).scores, ensemble.weights
        except EnsembleError as error:
            return str(error), ensemble.weights
        return kind, ensemble.weights


small = st.floats(-0.01, 0.01)
happenings = st.one_of(
    st.tuples(st.just("returns"), small, small, small),
    st.tuples(st.just("returns"), small, small, small),
    st.tuples(st.just("update"), *[st.floats(0, 1)] * 3),
    st.tuples(st.just("predict"), st.sampled_from([0, 0, 1, 2, 4, 5])),
    st.tuples(st.just("reactivate"), st.sampled_from(NAMES)),
    st.tuples(st.just("drift"), st.sampled_from(NAMES)),
)
OPTIONS = [{}, {"drift": lambda: Cusum(warmup=10, threshold=2.0), "on_drift": "deactivate"}]


@settings(max_examples=40, deadline=None)
@given(
    past=st.lists(happenings, max_size=40),
    future=st.lists(happenings, min_size=1, max_size=40),
    options=st.sampled_from(OPTIONS),
)
def test_restored_at_any_point_it_goes_on_bit_for_bit(make, strategy, past, future, options):
    first, second = (World(make, strategy, **options) for _ in range(2))
    for number, event in enumerate(past):
        first.take(number, *event)
    state = first.ensemble.state()
    second.broken = first.broken
    second.ensemble.restore(copied(state))
    assert second.ensemble.state() == state
    for number, event in enumerate(future):
        assert second.take(number, *event) == first.take(number, *event)
    assert msgspec.json.encode(second.ensemble.state()) == msgspec.json.encode(first.ensemble.state())
    assert msgspec.json.encode(second.ensemble.get_metrics()) == msgspec.json.encode(first.ensemble.get_metrics())


@pytest.mark.parametrize("options", [{"correlation_penalty": 0.5}, {"all_negative": "abstain"}])
def test_what_an_option_makes_it_remember_is_restored(make, options):
    rng = np.random.default_rng(0)
    first, second = (World(make, "softmax-sharpe", **options) for _ in range(2))
    for number in range(40):
        first.take(number, "returns", *(0.01 * rng.standard_normal(3) - 0.01))
    second.ensemble.restore(copied(first.ensemble.state()))
    assert second.ensemble.get_metrics() == first.ensemble.get_metrics()
    for number in range(20):
        event = ("returns", *(0.01 * rng.standard_normal(3)))
        assert second.take(number, *event) == first.take(number, *event)


def buy(_):
    return [1.0, 0.0, 0.0]


def learnt(make, strategy="hedge", **options):
    ensemble = make([buy] * 2, [0.6, 0.4], 20, strategy=strategy, **options)
    for value in (0.01, -0.01, 0.02):
        ensemble.record_return(0, value)
        ensemble.record_return(1, -value)
    return ensemble


def test_a_restored_ensemble_tells_its_weights(make):
    state = learnt(make).state()
    events = []
    make([buy] * 2, [0.6, 0.4], 20, strategy="hedge", emit=events.append).restore(state)
    assert [event.weights for event in events if isinstance(event, WeightsChanged)] == [state.weights]


@pytest.mark.parametrize(
    ("models", "weights", "window", "options", "message"),
    [
        (2, [0.6, 0.4], 20, {"strategy": "boa"}, "the strategy hedge, not boa"),
        (2, [0.6, 0.4], 21, {}, "the performance_window 20, not 21"),
        (2, [0.6, 0.4], 20, {"names": ["x", "y"]}, r"the members \['buy', 'buy-2'\], not \['x', 'y'\]"),
        (3, None, 20, {}, "the members"),
        (2, [0.5, 0.5], 20, {}, "the initial weights"),
        (2, [0.6, 0.4], 20, {"actions": ("up", "down", "hold")}, "the actions"),
    ],
)
def test_the_state_of_another_ensemble_is_refused_and_nothing_changes(make, models, weights, window, options, message):
    state = learnt(make).state()
    other = make([buy] * models, weights, window, **{"strategy": "hedge", **options})
    before = other.state()
    with pytest.raises(EnsembleError, match=message):
        other.restore(state)
    assert other.state() == before


def changed(state, **fields):
    return msgspec.structs.replace(state, **fields)


DAMAGED = {
    "a weight below 0": lambda s: changed(s, weights=(1.1, -0.1)),
    "weights that do not sum to 1": lambda s: changed(s, weights=(0.5, 0.4)),
    "a NaN": lambda s: changed(s, weights=(float("nan"), 1.0)),
    "too few weights": lambda s: changed(s, weights=(1.0,)),
    "too many performances": lambda s: changed(s, given=(0.1, 0.2, 0.3)),
    "a ring larger than its window": lambda s: changed(s, returns=changed(s.returns, values=(0.0,) * 21)),
    "a slot outside the ring": lambda s: changed(s, returns=changed(s.returns, next=20)),
    "a mean that is not finite": lambda s: changed(s, returns=changed(s.returns, mean=float("inf"))),
    "no memory": lambda s: changed(s, rule=None),
    "another memory": lambda s: changed(s, rule={"losses": [0.0, 0.0]}),
    "a memory of another size": lambda s: changed(s, rule={**s.rule, "losses": [0.0]}),
    "a memory that is not finite": lambda s: changed(s, rule={**s.rule, "losses": [0.0, float("nan")]}),
    "a memory of another type": lambda s: changed(s, rule={**s.rule, "steps": "three"}),
    "a detector's memory that lacks": lambda s: changed(
        s,
        members=(
            s.members[0],
            changed(s.members[1], drift={"returns": changed(s.members[1].drift["returns"], memory={})}),
        ),
    ),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_state_is_refused_and_nothing_changes(make, damage):
    options = {"drift": {"returns": Cusum}}
    state = DAMAGED[damage](learnt(make, **options).state())
    ensemble = make([buy] * 2, [0.6, 0.4], 20, strategy="hedge", **options)
    before = ensemble.state()
    with pytest.raises(EnsembleError):
        ensemble.restore(state)
    assert ensemble.state() == before


def test_a_stream_with_another_detector_starts_afresh(make):
    state = learnt(make, drift={"returns": Cusum}).state()
    ensemble = make([buy] * 2, [0.6, 0.4], 20, strategy="hedge", drift={"returns": Psi})
    fresh = ensemble.state().members[0].drift
    ensemble.restore(state)
    assert ensemble.state().members[0].drift == fresh
    assert ensemble.weights == state.weights


def test_a_strategy_that_remembers_nothing_is_saved_without(make):
    assert learnt(make, "soft-voting").state().rule is None


def test_a_state_is_small(make):
    """One number per realised return and little else."""
    ensemble = make([buy] * 5, performance_window=100)
    for step in range(250):
        for index in range(5):
            ensemble.record_return(index, 0.001 * np.sin(step + index))
    text = msgspec.json.encode(ensemble.state())
    assert len(text) < 20_000
    assert msgspec.json.decode(text, type=EnsembleState) == ensemble.state()
