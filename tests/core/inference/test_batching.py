"""The micro-batcher answers every request exactly once, whatever happens to the others."""

import asyncio
import logging
import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axon_quant.errors import ModelCheckError, ModelError, ModelInputError
from axon_quant.inference.batching import MicroBatcher
from axon_quant.inference.config import ModelConfig

WINDOW = (4, 2)
BAD = np.full(WINDOW, np.nan, np.float32)


def window_of(mean):
    return np.full(WINDOW, mean, np.float32)


@pytest.fixture
def recording(linear_session):
    """A session that remembers the sizes of its runs and which threads they were in."""

    class Recording(linear_session):
        sizes = ()
        threads = frozenset()
        on_run = None

        def run(self, x):
            self.sizes = (*self.sizes, len(x))
            self.threads |= {threading.get_ident()}
            if self.on_run is not None:
                self.on_run(x)
            return super().run(x)

    return Recording


@pytest.fixture
def session(recording):
    return recording((1.0, 2.0, 3.0))


@pytest.fixture
def engine(linear_backend, model_file, session):
    class Ready(linear_backend):
        def build_session(self, path):
            return session

    engine = Ready(ModelConfig(model_file, "linear"))
    engine.load()
    return engine


def forget(session):
    session.sizes, session.threads = (), frozenset()


def until_checked(engine, largest):
    """Wait for the check of a version that was just swapped in."""
    for thread in threading.enumerate():
        if thread.name.startswith("check-batches"):
            thread.join(10)
    assert engine._serving.batch_checks[largest] is not None


def test_what_waits_when_the_loop_comes_round_is_one_batch(engine, session):
    async def scenario():
        async with MicroBatcher(engine) as batcher:
            forget(session)
            return await asyncio.gather(*(batcher.infer(window_of(n)) for n in range(5)))

    answers = asyncio.run(scenario())
    assert session.sizes == (5,)
    assert session.threads == {threading.get_ident()}
    assert [answer.tolist() for answer in answers] == [[1 + n, 2 * (1 + n), 3 * (1 + n)] for n in range(5)]


def test_a_lonely_request_does_not_wait_for_others(engine, session):
    async def scenario():
        batcher = MicroBatcher(engine)
        forget(session)
        for n in range(3):
            assert (await batcher.infer(window_of(n)[None])).tolist()[0] == 1 + n
        return session.sizes

    assert asyncio.run(scenario()) == (1, 1, 1)


def test_predict_decides_as_the_engine_does(engine):
    async def scenario():
        async with MicroBatcher(engine) as batcher:
            return await asyncio.gather(*(batcher.predict(window_of(n)) for n in range(5)))

    assert asyncio.run(scenario()) == [engine.predict(window_of(n)) for n in range(5)]


def test_max_batch_bounds_a_run_and_the_first_come_are_first_served(engine, session):
    order = []

    async def caller(batcher, n):
        await batcher.infer(window_of(n))
        order.append(n)

    async def scenario():
        async with MicroBatcher(engine, max_batch=4) as batcher:
            forget(session)
            await asyncio.gather(*(caller(batcher, n) for n in range(10)))

    asyncio.run(scenario())
    assert session.sizes == (4, 4, 2)
    assert order == list(range(10))


def test_between_two_batches_the_loop_turns_to_others(engine, session):
    async def scenario():
        async with MicroBatcher(engine, max_batch=2) as batcher:
            forget(session)
            turns = []

            async def bystander():
                for _ in range(4):
                    turns.append(len(session.sizes))
                    await asyncio.sleep(0)

            await asyncio.gather(*(batcher.infer(window_of(n)) for n in range(8)), bystander())
            return turns

    turns = asyncio.run(scenario())
    assert all(after - before <= 1 for before, after in pairwise(turns))


def test_a_newcomer_is_not_starved_by_callers_who_come_back_at_once(engine):
    async def scenario():
        async with MicroBatcher(engine, max_batch=2) as batcher:
            answered = 0

            async def greedy():
                nonlocal answered
                while True:
                    await batcher.infer(window_of(0))
                    answered += 1

            crowd = [asyncio.create_task(greedy()) for _ in range(20)]
            for _ in range(50):
                await asyncio.sleep(0)
            before = answered
            await batcher.infer(window_of(1))
            waited = answered - before
            for task in crowd:
                task.cancel()
            await asyncio.gather(*crowd, return_exceptions=True)
            return waited

    assert asyncio.run(scenario()) <= 22  # those who were there before, and nobody twice


def test_each_request_has_its_own_error(engine):
    async def scenario():
        async with MicroBatcher(engine) as batcher:
            windows = [window_of(1), BAD, window_of(2), np.ones((3, 3), np.float32), None]
            return await asyncio.gather(*map(batcher.infer, windows), return_exceptions=True)

    first, nan, second, shape, nothing = asyncio.run(scenario())
    assert (first.tolist(), second.tolist()) == ([2, 4, 6], [3, 6, 9])
    assert {type(error) for error in (nan, shape, nothing)} == {ModelInputError}
    assert len({str(error) for error in (nan, shape, nothing)}) == 3


def test_a_cancelled_request_takes_nobody_with_it(engine, session):
    async def scenario():
        async with MicroBatcher(engine) as batcher:
            forget(session)
            tasks = [asyncio.create_task(batcher.infer(window_of(n))) for n in range(4)]
            await asyncio.sleep(0)  # they have asked, and the batch is the next thing to run
            tasks[1].cancel()
            tasks[3].cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

    answers = asyncio.run(scenario())
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [False, True, False, True]
    assert [answers[n].tolist()[0] for n in (0, 2)] == [1, 3]
    assert sum(session.sizes) in (2, 4)  # the cancelled ones are left out where it was early enough


def test_closing_answers_what_waits_and_refuses_the_rest(engine):
    async def scenario():
        batcher = MicroBatcher(engine, max_batch=2)
        waiting = [asyncio.create_task(batcher.infer(window_of(n))) for n in range(5)]
        await asyncio.sleep(0)
        batcher.close()
        batcher.close()
        answers = await asyncio.gather(*waiting)
        for call in (batcher.infer, batcher.predict):
            with pytest.raises(ModelError, match="the micro-batcher is closed"):
                await call(window_of(1))
        return answers

    assert [answer.tolist()[0] for answer in asyncio.run(scenario())] == [1, 2, 3, 4, 5]


def test_one_that_never_ran_can_be_closed(engine):
    with MicroBatcher(engine) as batcher:
        pass
    batcher.close()


def test_another_event_loop_is_refused_while_the_first_one_lives(engine):
    batcher = MicroBatcher(engine)
    errors = []

    async def intruder():
        for call in (batcher.infer(window_of(1)), asyncio.to_thread(batcher.close)):
            with pytest.raises(ModelError) as caught:
                await call
            errors.append(str(caught.value))

    async def scenario():
        await batcher.infer(window_of(1))
        await asyncio.to_thread(asyncio.run, intruder())
        return (await batcher.infer(window_of(2))).tolist()

    assert asyncio.run(scenario()) == [3, 6, 9]
    assert "serves another event loop (make one for each event loop)" in errors[0]
    assert "only be closed in its event loop" in errors[1]


def test_after_its_loop_is_closed_another_one_may_use_it(engine):
    batcher = MicroBatcher(engine)
    for n in range(3):
        assert asyncio.run(batcher.infer(window_of(n))).tolist()[0] == 1 + n
    batcher.close()


def test_the_end_of_the_loop_cancels_what_waits_and_hangs_nobody(engine):
    batcher = MicroBatcher(engine)
    left = []

    async def scenario():
        left.extend(asyncio.create_task(batcher.infer(window_of(n))) for n in range(3))
        await asyncio.sleep(0)

    asyncio.run(scenario())
    assert all(task.cancelled() or task.exception() is None for task in left)
    assert asyncio.run(batcher.infer(window_of(1))).tolist() == [2, 4, 6]


def test_an_interrupt_while_a_batch_runs_cancels_those_who_asked(engine, session):
    loop = asyncio.new_event_loop()
    batcher = MicroBatcher(engine)

    def interrupt(x):
        raise KeyboardInterrupt

    async def ask():
        return await batcher.infer(window_of(1))

    session.on_run = interrupt
    task = loop.create_task(ask())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    session.on_run = None
    assert loop.run_until_complete(ask()).tolist() == [2, 4, 6]
    loop.close()


def test_whatever_breaks_is_an_answer(engine, monkeypatch):
    batcher = MicroBatcher(engine)

    def broken(*args, **kwargs):
        raise MemoryError("no more")

    monkeypatch.setattr(engine, "infer_batch", broken)

    async def scenario():
        return await asyncio.gather(*(batcher.infer(window_of(n)) for n in range(3)), return_exceptions=True)

    answers = asyncio.run(scenario())
    assert {str(answer).rpartition(": ")[2] for answer in answers} == {"no more"}
    assert len({id(answer) for answer in answers}) == 3


def test_an_engine_that_loses_answers_leaves_nobody_waiting(engine, monkeypatch):
    batcher = MicroBatcher(engine)
    whole = engine.infer_batch
    monkeypatch.setattr(engine, "infer_batch", lambda windows, **options: whole(windows[1:], **options))

    async def scenario():
        requests = (batcher.infer(window_of(n)) for n in range(3))
        return await asyncio.wait_for(asyncio.gather(*requests, return_exceptions=True), 5)

    assert all("3 windows got 2 answers" in str(answer) for answer in asyncio.run(scenario()))


@pytest.mark.parametrize("size", [0, -3])
def test_a_batch_has_at_least_one_request(engine, size):
    with pytest.raises(ValueError, match=f"at least one window, got {size}"):
        MicroBatcher(engine, max_batch=size)


def test_nothing_can_be_batched_before_the_first_load(linear_backend, model_file):
    with pytest.raises(ModelError, match="call load"):
        MicroBatcher(linear_backend(ModelConfig(model_file, "linear")))


# Versions


@pytest.fixture
def mixing(recording):
    """A session whose rows feel each other."""

    class Mixing(recording):
        def run(self, x):
            return super().run(x) + np.float32(len(x) > 1)

    return Mixing


def test_a_model_that_may_not_be_batched_is_refused(engine, mixing, model_file):
    engine.replace_session(mixing((1.0, 2.0, 3.0)))
    with pytest.raises(ModelCheckError, match="cannot be batched: a row in a batch of 2 differs") as caught:
        MicroBatcher(engine)
    assert caught.value.file == str(model_file)


def test_a_new_version_is_batched_once_it_was_checked_and_never_waited_for(engine, recording):
    new = recording((10.0, 20.0, 30.0))

    async def scenario():
        async with MicroBatcher(engine, max_batch=8) as batcher:
            engine.replace_session(new)
            forget(new)
            first = await asyncio.gather(*(batcher.predict(window_of(n)) for n in range(4)))
            until_checked(engine, 8)
            forget(new)
            second = await asyncio.gather(*(batcher.predict(window_of(n)) for n in range(4)))
            assert batcher.check.passed
            return first, second

    first, second = asyncio.run(scenario())
    assert first == second
    assert [action.version for action in first] == 4 * [2]
    assert new.sizes == (4,)


def test_a_new_version_that_may_not_be_batched_is_answered_one_by_one(engine, mixing, caplog):
    new = mixing((10.0, 20.0, 30.0))

    async def scenario():
        async with MicroBatcher(engine, max_batch=8) as batcher:
            engine.replace_session(new)
            await batcher.infer(window_of(1))
            until_checked(engine, 8)
            forget(new)
            with caplog.at_level(logging.WARNING):
                answers = await asyncio.gather(*(batcher.infer(window_of(n)) for n in range(4)))
            return answers, batcher.check

    answers, check = asyncio.run(scenario())
    assert [answer.tolist()[0] for answer in answers] == [10, 20, 30, 40]
    assert new.sizes == (1, 1, 1, 1)
    assert "differs by" in check.reason
    assert [record.getMessage() for record in caplog.records] == [
        f"linear: version 2 is answered one window at a time: {check.reason}"
    ]


def test_a_swap_between_asking_and_answering_mixes_no_versions(engine, recording):
    async def scenario():
        async with MicroBatcher(engine, max_batch=4) as batcher:
            tasks = [asyncio.create_task(batcher.predict(window_of(1))) for _ in range(12)]
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(engine.replace_session, recording((10.0, 20.0, 30.0)))
            return await asyncio.gather(*tasks)

    actions = asyncio.run(scenario())
    versions = [action.version for action in actions]
    assert versions == sorted(versions)
    assert set(versions) == {1, 2}
    scores = {1: (2.0, 4.0, 6.0), 2: (20.0, 40.0, 60.0)}
    assert all(action.scores == scores[action.version] for action in actions)
    assert all(len(set(versions[start : start + 4])) == 1 for start in (0, 4, 8))


def test_swaps_from_another_thread_under_load_lose_no_request(engine, recording):
    done = threading.Event()
    asked = answered = 0

    def swap():
        for number in range(2, 30):
            engine.replace_session(recording(tuple(float(number * k) for k in (1, 2, 3))))
        done.set()

    async def caller(batcher):
        nonlocal asked, answered
        last = 0
        while not done.is_set():
            asked += 1
            action = await batcher.predict(window_of(1))
            answered += 1
            assert action.version >= last
            last = action.version
            assert action.scores == tuple(2.0 * last * k for k in (1, 2, 3))

    async def scenario():
        async with MicroBatcher(engine, max_batch=8) as batcher:
            thread = threading.Thread(target=swap)
            thread.start()
            await asyncio.gather(*(caller(batcher) for _ in range(12)))
            thread.join()

    asyncio.run(scenario())
    assert asked == answered > 0
    assert engine.version == 29


steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 9)),
        st.tuples(st.just("bad"), st.just(0)),
        st.tuples(st.just("cancel"), st.integers(0, 50)),
        st.tuples(st.just("turn"), st.integers(1, 3)),
        st.tuples(st.just("swap"), st.integers(1, 4)),
        st.tuples(st.just("close"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, max_batch=st.integers(1, 5))
def test_whatever_happens_every_request_is_answered_once(linear_backend, linear_session, model_file, steps, max_batch):
    engine = linear_backend(ModelConfig(model_file, "linear"))
    engine.load()
    weights = {1: 1.0}
    results: dict[int, list[object]] = {}

    async def ask(batcher, number, window):
        try:
            results[number].append(await batcher.predict(window))
        except BaseException as error:
            results[number].append(error)
            if isinstance(error, asyncio.CancelledError):
                raise

    async def scenario():
        batcher = MicroBatcher(engine, max_batch=max_batch)
        asked: list[tuple[asyncio.Task, object, bool]] = []
        cancelled, closed = set(), False
        for step, value in steps:
            if step in ("ask", "bad"):
                number = len(asked)
                results[number] = []
                window = window_of(value) if step == "ask" else BAD
                asked.append(
                    (asyncio.create_task(ask(batcher, number, window)), value if step == "ask" else None, closed)
                )
            elif step == "cancel" and asked:
                number = value % len(asked)
                if asked[number][0].cancel():
                    cancelled.add(number)
            elif step == "turn":
                for _ in range(value):
                    await asyncio.sleep(0)
            elif step == "swap":
                model = engine.replace_session(linear_session((float(value), 0.0, 0.0)))
                weights[model.number] = float(value)
            elif step == "close":
                for _ in range(2):
                    await asyncio.sleep(0)  # who has asked is in time
                batcher.close()
                closed = True
        await asyncio.wait_for(asyncio.gather(*(task for task, _, _ in asked), return_exceptions=True), 10)
        batcher.close()
        assert not batcher._waiting
        for number, (task, value, too_late) in enumerate(asked):
            assert task.done()
            if number in cancelled and not results[number]:
                continue  # before it could ask
            (answer,) = results[number]  # exactly one
            if isinstance(answer, asyncio.CancelledError):
                assert number in cancelled
            elif too_late:
                assert "closed" in str(answer)
            elif value is None:
                assert isinstance(answer, ModelInputError)
            else:
                assert answer.scores[0] == weights[answer.version] * (1 + value)

    asyncio.run(scenario())
