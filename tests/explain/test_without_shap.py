"""shap is asked for by name where it is missing."""

import sys

import numpy as np
import pytest

from axon_quant.errors import PluginMissingError
from axon_quant.explain import KernelSHAP


def test_shap_is_only_needed_where_it_is_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    x, rows = np.ones(3), np.zeros((1, 3))
    found = KernelSHAP(lambda batch: batch.sum(axis=1)).explain(x, 0, rows)
    with pytest.raises(PluginMissingError, match=r'pip install "axon-explain\[shap\]"'):
        found.to_shap()
    with pytest.raises(PluginMissingError, match="shap is not installed"):
        KernelSHAP(lambda batch: batch.sum(axis=1), engine="shap").explain(x, 0, rows)
