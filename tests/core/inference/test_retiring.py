import threading
import time
import weakref

import pytest

from axon_quant.inference.retiring import Janitor


class Session:
    """Says which thread took it down."""

    def __init__(self, ended):
        self.ended = ended

    def __del__(self):
        self.ended.append(threading.current_thread().name)


class Prepared:
    def __init__(self, session):
        self.session = session


def eventually(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


@pytest.fixture
def janitor():
    janitor = Janitor()
    yield janitor
    janitor.close()


def test_a_model_that_nobody_uses_is_taken_down_in_the_janitors_thread(janitor):
    ended = []
    janitor.retire(Prepared(Session(ended)))
    eventually(lambda: ended == ["axon-janitor"])
    eventually(lambda: "axon-janitor" not in {thread.name for thread in threading.enumerate()})


def test_a_call_that_still_runs_never_has_the_last_reference(janitor):
    ended, entered, leave = [], threading.Event(), threading.Event()

    def call(prepared):
        entered.set()
        leave.wait(10)
        del prepared

    prepared = Prepared(Session(ended))
    caller = threading.Thread(target=call, args=(prepared,))
    caller.start()
    entered.wait(10)
    janitor.retire(prepared)
    del prepared
    time.sleep(0.3)
    assert ended == []
    leave.set()
    caller.join()
    del caller
    eventually(lambda: ended == ["axon-janitor"])


def test_closing_does_not_wait_for_those_who_keep_one(janitor):
    ended = []
    kept = Prepared(Session(ended))
    janitor.retire(kept)
    janitor.close()
    assert "axon-janitor" not in {thread.name for thread in threading.enumerate()}
    assert ended == []
    reference = weakref.ref(kept)
    del kept
    assert reference() is None
