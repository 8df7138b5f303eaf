"""The state machine of a rollout: verdicts in, one state out. No clock, no model, no input or output.

    running ──passes in a row──▶ (next step) … last step ──▶ probation ──passes in a row──▶ promoted
       │  ▲                                                     │  ▲
       ▼  │ conclusive, or a person                             ▼  │
      paused ◀────────────── inconclusive, or a person ─────── paused
       │                                                        │
       └── failures of the last windows, a hard breach, or a person ──▶ rolled-back

A pause stops progress and nothing else: a window that fails counts in every state.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from axon_quant.config.rollout import GateEntry


class Verdict(Enum):
    """What one window says of the candidate."""

    Pass = "pass"  # noqa: S105 - no password
    Fail = "fail"
    Inconclusive = "inconclusive"


class State(Enum):
    """Where a rollout stands. In probation the candidate serves everywhere and can still be rolled back."""

    Running = "running"
    Paused = "paused"
    Probation = "probation"
    Promoted = "promoted"
    RolledBack = "rolled-back"


class Gate:
    """Decides from verdicts when the candidate goes on, is promoted or is rolled back.

    `rules` are those of [rollout.gate]; `steps` is how many steps there are. `step` counts from 0; `streak` is how many
    windows passed in a row, `held` whether only a person can end the pause; `reason` says why the last change came.
    """

    def __init__(self, rules: GateEntry, steps: int = 1) -> None:
        self.rules = rules
        self.steps = steps
        self.step = 0
        self.streak = 0
        self.inconclusive = 0
        self.held = False
        self.reason = ""
        self.recent: deque[bool] = deque(maxlen=rules.history)
        self._serves = False
        self._paused = False
        self._end: State | None = None

    @property
    def state(self) -> State:
        """Where the rollout stands."""
        if self._end is not None:
            return self._end
        if self._paused:
            return State.Paused
        return State.Probation if self._serves else State.Running

    @property
    def serves(self) -> bool:
        """Whether the candidate has taken the stable model's place."""
        return self._serves and self._end is not State.RolledBack

    @property
    def ended(self) -> bool:
        """Whether the rollout is over."""
        return self._end is not None

    @property
    def needed(self) -> int:
        """How many passes in a row lead on from here."""
        return self.rules.probation if self._serves else self.rules.passes

    def judge(self, verdict: Verdict, reason: str = "") -> None:
        """Take the verdict of one window; `reason` says what it rests on. After the end nothing changes."""
        if self.ended:
            return
        if verdict is Verdict.Inconclusive:
            self._wait(reason)
            return
        self.inconclusive = 0
        if self._paused and not self.held:
            self._paused = False
            self.reason = "a window was conclusive"
        failed = verdict is Verdict.Fail
        self.recent.append(failed)
        if failed:
            self.streak = 0
            count = sum(self.recent)
            if count >= self.rules.failures:
                self._finish(
                    State.RolledBack, f"{count} of the last {len(self.recent)} windows failed, now on {reason}"
                )
        elif not self._paused:
            self.streak += 1
            if self.streak >= self.needed:
                self._go_on(f"{self.streak} windows passed in a row")

    def breach(self, reason: str) -> None:
        """A hard limit is broken: roll back at once."""
        if not self.ended:
            self._finish(State.RolledBack, reason)

    def restart(self) -> None:
        """What the candidate is compared with has changed: earlier windows no longer count."""
        self.streak = self.inconclusive = 0
        self.recent.clear()

    def restore(self, state: str, step: int, *, held: bool, reason: str) -> None:
        """Go on where an earlier run stood. A probation that was not finished begins again with the last step."""
        self.step, self.reason = step, reason
        if state in (State.Promoted.value, State.RolledBack.value):
            self._serves = state == State.Promoted.value
            self._finish(State(state), reason)
        elif held:
            self.pause(reason)

    # What a person may do.

    def pause(self, reason: str = "paused by hand") -> None:
        """Stop progress until `resume`."""
        if not self.ended:
            self._paused = self.held = True
            self.reason = reason

    def resume(self, reason: str = "resumed by hand") -> None:
        """End a pause of any kind."""
        if self._paused and not self.ended:
            self._paused = self.held = False
            self.inconclusive = 0
            self.reason = reason

    def promote(self, reason: str = "promoted by hand") -> None:
        """Let the candidate serve now; in probation, end it."""
        if not self.ended:
            self._paused = self.held = False
            self.step = self.steps - 1
            self._go_on(reason)

    def abort(self, reason: str = "aborted by hand") -> None:
        """Roll back now."""
        self.breach(reason)

    def _wait(self, reason: str) -> None:
        self.inconclusive += 1
        if self.held:
            return
        self._paused = True
        self.reason = f"a window was inconclusive: {reason}"
        if self.inconclusive >= self.rules.max_inconclusive:
            self.held = True
            self.reason = f"{self.inconclusive} windows in a row were inconclusive, a person decides: {reason}"

    def _go_on(self, reason: str) -> None:
        self.streak = 0
        self.reason = reason
        if self._serves:
            self._finish(State.Promoted, reason)
        elif self.step + 1 < self.steps:
            self.step += 1
        else:
            self._serves = True
            if not self.rules.probation:
                self._finish(State.Promoted, reason)

    def _finish(self, state: State, reason: str) -> None:
        self._end, self.reason = state, reason
        self._paused = self.held = False
        self.streak = 0
