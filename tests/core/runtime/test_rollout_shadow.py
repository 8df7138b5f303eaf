"""The shadow: whatever its model does, the one who asks goes on."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import numpy as np
import pytest

from axon_quant.runtime.rollout.shadow import InlineShadow, Question, ThreadShadow

VIEW = np.arange(6, dtype=np.float32).reshape(1, 3, 2)


def question(place=0, epoch=0):
    return Question(epoch, "BTCUSDT", place, 100.0, [1.0, 0.0, 0.0])


def answers(shadow, count, seconds=10.0):
    """The next `count` answered questions."""
    found, deadline = [], time.monotonic() + seconds
    while len(found) < count:
        answered = shadow.take()
        if answered is not None:
            found.append(answered)
            continue
        assert time.monotonic() < deadline, f"{len(found)} of {count} answers came"
        time.sleep(0.001)
    return found


def mean(x):
    return [float(x.mean()), 0.0, 0.0]


@pytest.fixture(params=[InlineShadow, lambda: ThreadShadow(1_000)], ids=["inline", "thread"])
def shadow(request):
    with closing(request.param()) as made:
        yield made


def test_questions_are_answered_in_order(shadow):
    shadow.point(mean)
    for place in range(200):
        assert shadow.offer(question(place), VIEW)
    found = answers(shadow, 200)
    assert [each.place for each in found] == list(range(200))
    assert all(each.scores == [2.5, 0.0, 0.0] and each.error is None and each.took > 0 for each in found)
    assert shadow.take() is None


def test_a_model_that_raises_leaves_its_error_in_the_answer_and_the_next_one_is_asked(shadow):
    def odd(x):
        if x[0, 0, 0] == 0:
            raise ValueError("zero")
        return mean(x)

    shadow.point(odd)
    shadow.offer(question(1), VIEW)
    shadow.offer(question(2), VIEW + 1)
    failed, fine = answers(shadow, 2)
    assert (str(failed.error), failed.scores) == ("zero", None)
    assert fine.scores == [3.5, 0.0, 0.0]


def test_nobody_is_asked_before_or_after_there_is_a_model(shadow):
    assert not shadow.offer(question(), VIEW)
    shadow.point(mean)
    shadow.point(None)
    assert not shadow.offer(question(), VIEW)
    shadow.close()
    assert not shadow.offer(question(), VIEW)


def test_what_was_offered_is_what_was_seen_then_although_the_window_moves_on():
    gate = threading.Event()
    seen = []

    def late(x):
        gate.wait(10)
        seen.append(x.copy())
        return mean(x)

    view = VIEW.copy()
    with closing(ThreadShadow(8)) as shadow:
        shadow.point(late)
        for _ in range(3):
            shadow.offer(question(), view)
            view += 1
        gate.set()
        answers(shadow, 3)
    assert [float(x[0, 0, 0]) for x in seen] == [0.0, 1.0, 2.0]


def test_a_full_queue_drops_the_new_ones_and_counts_them():
    gate = threading.Event()

    def hang(x):
        gate.wait(30)
        return mean(x)

    with closing(ThreadShadow(4)) as shadow:
        shadow.point(hang)
        shadow.offer(question(0), VIEW)
        while shadow.waiting:  # the worker has taken it and hangs
            time.sleep(0.001)
        taken = [place for place in range(1, 101) if shadow.offer(question(place), VIEW)]
        assert taken == [1, 2, 3, 4]
        assert (shadow.dropped, shadow.waiting) == (96, 4)
        gate.set()
        assert [each.place for each in answers(shadow, 5)] == [0, 1, 2, 3, 4]


def test_a_model_that_hangs_holds_up_neither_the_offers_nor_the_end(caplog):
    forever = threading.Event()

    def hang(x):
        forever.wait(60)
        return mean(x)

    shadow = ThreadShadow(16, patience=0.1)
    shadow.point(hang)
    began = time.perf_counter()
    for place in range(10_000):
        shadow.offer(question(place), VIEW)
    assert time.perf_counter() - began < 5.0, "10,000 offers to a model that hangs for a minute"
    began = time.monotonic()
    shadow.close()
    assert time.monotonic() - began < 5.0
    assert "still hangs" in caplog.text
    forever.set()


def test_the_one_who_decides_is_timed_beside_the_other_and_they_take_turns():
    order = []

    def asked(name):
        def ask(x):
            order.append(name)
            return mean(x)

        return ask

    with closing(ThreadShadow(8)) as shadow:
        shadow.point(asked("candidate"), asked("stable"))
        for place in range(2):
            shadow.offer(question(place), VIEW)
        found = answers(shadow, 2)
    assert order == ["stable", "candidate", "candidate", "stable"]
    assert all(each.beside > 0 and each.took > 0 for each in found)


def test_the_worker_lets_go_of_a_model_it_is_no_longer_to_ask():
    import weakref

    class Model:
        def __call__(self, x):
            return mean(x)

    model = Model()
    gone = weakref.ref(model)
    with closing(ThreadShadow(8)) as shadow:
        shadow.point(model)
        shadow.offer(question(), VIEW)
        answers(shadow, 1)
        shadow.point(None)
        del model
        deadline = time.monotonic() + 10
        while gone() is not None and time.monotonic() < deadline:
            time.sleep(0.001)
        assert gone() is None
