"""What the conformance suite is run with for the explainers of this package."""

from __future__ import annotations

from collections.abc import Mapping

OPTIONS: dict[str, list[Mapping[str, object]]] = {
    "kernel-shap": [{}, {"engine": "leverage", "budget": 1024}],
}
"""Explainer → its sets of options."""
