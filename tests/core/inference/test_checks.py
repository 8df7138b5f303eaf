"""The noise that models are tried with."""

import hashlib

import numpy as np

from axon_quant.inference.checks import probe


def test_the_probe_is_standard_noise_and_the_same_bits_everywhere():
    noise = probe((1, 64, 128))
    assert (noise.shape, noise.dtype) == ((1, 64, 128), np.float32)
    assert (
        hashlib.sha256(noise.tobytes()).hexdigest()
        == "58ee85fb1fc9232ca03df75759da32014a6951f4296b5341f1456a135aedb684"
    )
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05
    assert 2.5 < np.abs(noise).max() < 3.5
    others = [probe((1, 64, 128), seed).ravel() for seed in range(1, 9)]
    assert np.abs(np.corrcoef([noise.ravel(), *others]) - np.eye(9)).max() < 0.05
    assert np.array_equal(probe((8192,)), noise.ravel())
