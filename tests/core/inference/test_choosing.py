"""Of the sessions of one model the fastest may serve, if it computes the same bits."""

from __future__ import annotations

import time

import numpy as np

from axon_quant.inference.choosing import fastest_equal


def test_sessions_that_give_the_same_bits_may_be_chosen_by_time():
    class Fake:
        def __init__(self, seconds, answer=1.0):
            self.seconds, self.answer = seconds, answer

        def run(self, x):
            time.sleep(self.seconds)
            return np.array([[self.answer]], np.float32)

    slow, fast, different = Fake(2e-3), Fake(0.0), Fake(0.0, answer=2.0)
    assert fastest_equal([slow, fast], (1, 2)) is fast
    assert fastest_equal([slow, different], (1, 2)) is slow
    assert fastest_equal([fast, slow], (1, 2)) is fast
    assert fastest_equal([slow], (1, 2)) is slow
