"""What the registry reads: light, without numpy."""

from axon_quant.plugins import Capability, ExplainerDescriptor, hookimpl

__all__ = ["axon_explainers"]


@hookimpl
def axon_explainers() -> list[ExplainerDescriptor]:
    """Attributions, counterfactuals and the reports that hold both."""
    return [
        ExplainerDescriptor(
            name="kernel-shap",
            target="axon_explain.kernel_shap:KernelSHAP",
            summary="Shapley values: exact for few features, paired leverage sampling beyond",
            capabilities=frozenset({Capability.Attribution}),
            api=1,
        ),
        ExplainerDescriptor(
            name="counterfactuals",
            target="axon_explain.counterfactuals:CounterfactualGenerator",
            summary="The smallest changes that flip the decision, each verified",
            capabilities=frozenset({Capability.Counterfactuals}),
            api=1,
        ),
        ExplainerDescriptor(
            name="reports",
            target="axon_explain.reports:ReportGenerator",
            summary="Decision reports as HTML, PDF and JSON",
            capabilities=frozenset({Capability.Reports}),
            api=1,
        ),
    ]
