"""What the conformance suite is run with for the strategies of this package."""

from __future__ import annotations

OPTIONS: dict[str, list[dict[str, object]]] = {"softmax-sharpe": [{}, {"all_negative": "abstain"}]}
"""Strategy → its sets of options."""
