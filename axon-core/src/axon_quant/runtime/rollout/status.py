"""What a rollout says of itself."""

from __future__ import annotations

from msgspec import Struct


class RolloutStatus(Struct, frozen=True):
    """Where a rollout stands. `str()` reads as one line.

    `step` counts from 1 of `steps`; `streak` of `needed` windows have passed in a row; `held` says that a person has to
    decide. Windows are counted by verdict, observations and answers over the whole run; `disagreement`, `distance`
    and `confidence_gap` are means over all comparisons, drawdowns those of the paper accounts since the step began.
    """

    model: str
    candidate_sha256: str
    mode: str
    state: str
    step: int
    steps: int
    share: float
    symbols: tuple[str, ...]
    streak: int
    needed: int
    held: bool
    reason: str
    windows: dict[str, int]
    offered: int
    answered: int
    errors: int
    dropped: int
    compared: int
    disagreement: float
    distance: float
    confidence_gap: float
    stable_return: float
    candidate_return: float
    stable_drawdown: float
    candidate_drawdown: float
    last_error: str

    def __str__(self) -> str:
        where = f"{self.share:.0%} of keys" if self.share else "in the shadow"
        if self.symbols:
            where += f": {', '.join(self.symbols)}"
        if self.steps > 1:
            where += f"; step {self.step} of {self.steps}"
        parts = [
            f"{self.model}: {self.state}{' until a person decides' if self.held else ''}: {self.reason}",
            f"candidate {self.candidate_sha256[:12]} ({where})",
            *(
                (f"{self.streak} of {self.needed} passes in a row",)
                if self.state not in ("promoted", "rolled-back")
                else ()
            ),
            "windows " + (", ".join(f"{count} {verdict}" for verdict, count in self.windows.items()) or "none yet"),
            f"disagreement {self.disagreement:.1%} of {self.compared:,}",
            f"paper return {self.candidate_return * 1e4:+.2f} bp against {self.stable_return * 1e4:+.2f}",
            f"drawdown {self.candidate_drawdown * 1e4:.2f} bp against {self.stable_drawdown * 1e4:.2f}",
            f"{self.errors:,} errors, {self.dropped:,} dropped",
        ]
        if self.last_error:
            parts.append(f"last error {self.last_error}")
        return "; ".join(parts)
