"""Why did it trade? The classes come from the distribution axon-explain; here are their names and the protocols.

from axon_quant.explain import CounterfactualGenerator, KernelSHAP, ReportGenerator
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from axon_quant.explain.protocol import (
    Attribution,
    CounterfactualExplainer,
    DecisionReport,
    Explainer,
    FeatureChange,
    Flip,
    Flips,
    Reporter,
)

if TYPE_CHECKING:
    from axon_explain import CounterfactualGenerator as CounterfactualGenerator
    from axon_explain import KernelSHAP as KernelSHAP
    from axon_explain import ReportGenerator as ReportGenerator
else:

    def __getattr__(name: str) -> object:
        from axon_quant.plugins.first_party import FIRST_PARTY, resolve

        if name in FIRST_PARTY and FIRST_PARTY[name].kind == "explainer":
            return resolve(name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Attribution",
    "CounterfactualExplainer",
    "DecisionReport",
    "Explainer",
    "FeatureChange",
    "Flip",
    "Flips",
    "Reporter",
]
