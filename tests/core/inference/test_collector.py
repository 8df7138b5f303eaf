"""Python's collector while models serve."""

import gc

from axon_quant import quiet_collector
from axon_quant.inference import quiet_collector as of_inference


def test_what_was_loaded_is_not_walked_through_while_models_serve():
    assert quiet_collector is of_inference
    before = gc.get_threshold()
    with quiet_collector():
        assert gc.get_freeze_count() > 1000
        assert gc.get_threshold()[0] > before[0]
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before


def test_garbage_that_is_made_meanwhile_is_collected():
    with quiet_collector():
        cycle = []
        cycle.append(cycle)
        del cycle
        assert gc.collect() >= 1
