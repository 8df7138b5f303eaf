"""axon's explanations: attributions, counterfactuals, reports."""

from importlib import import_module
from typing import TYPE_CHECKING

_HOMES = {
    "Counterfactual": "counterfactuals",
    "CounterfactualGenerator": "counterfactuals",
    "Counterfactuals": "counterfactuals",
    "Explanation": "explanation",
    "KernelSHAP": "kernel_shap",
    "Report": "reports",
    "ReportGenerator": "reports",
}

if TYPE_CHECKING:
    from axon_explain.counterfactuals import Counterfactual, CounterfactualGenerator, Counterfactuals
    from axon_explain.explanation import Explanation
    from axon_explain.kernel_shap import KernelSHAP
    from axon_explain.reports import Report, ReportGenerator
else:
    # The plugin module below this package must load without numpy.
    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = [
    "Counterfactual",
    "CounterfactualGenerator",
    "Counterfactuals",
    "Explanation",
    "KernelSHAP",
    "Report",
    "ReportGenerator",
]
