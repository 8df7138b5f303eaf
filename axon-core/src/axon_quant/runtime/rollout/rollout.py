"""One rollout: which model decides for which lane, who is asked beside it, and what the gate makes of the answers.

It hooks into the engine in three places, so that a run without one is as it was: a lane's `predict`, which a canary
lane gets its own of; `after_decision`, where observations are offered and answers judged once the orders are out; and
`admit`, which bounds what the candidate may hold.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from axon_quant.config.rollout import RolloutEntry
from axon_quant.errors import ModelError
from axon_quant.events import Emit, ModelLoaded, OrderRefused, Reject, RolloutChanged
from axon_quant.inference.action import Action
from axon_quant.inference.backend import Backend, PreparedModel
from axon_quant.inference.session import FloatArray
from axon_quant.orders import Order
from axon_quant.runtime.engine import Engine
from axon_quant.runtime.lane import Lane
from axon_quant.runtime.rollout.bound import EngineBook, NotionalBound
from axon_quant.runtime.rollout.comparison import Comparison
from axon_quant.runtime.rollout.gate import Gate, State
from axon_quant.runtime.rollout.memory import Memory
from axon_quant.runtime.rollout.shadow import Ask, Question, Shadow
from axon_quant.runtime.rollout.split import SplitModel
from axon_quant.runtime.rollout.status import RolloutStatus

logger = logging.getLogger("axon_quant.rollout")


class Rollout:
    """A candidate beside the stable model of `split`, from its first shadow decision to its promotion or its end.

    `pause`, `resume`, `promote` and `abort` may be called from any thread: they take effect with the next decision,
    and an abort before it on a canary lane. `status` may be read from any thread. Everything else belongs to the thread
    of the engine. A context manager: leaving it stops the shadow.
    """

    def __init__(
        self,
        entry: RolloutEntry,
        split: SplitModel,
        candidate: Backend,
        *,
        shares: tuple[float, ...],
        canaries: Callable[[float], tuple[str, ...]],
        comparison: Comparison,
        shadow: Shadow,
        emit: Emit,
        note: Callable[[str, Mapping[str, object]], object],
        reactivate: Callable[[str], None],
        memory: Memory,
    ) -> None:
        self.gate = Gate(entry.gate, len(shares))
        self.shadow = shadow
        self.comparison = comparison
        self._entry = entry
        self._split = split
        self._stable = split.stable
        self._identity = candidate.model.identity
        self._candidate: Backend | None = candidate
        self._previous: PreparedModel | None = None
        self._shares = shares
        self._canaries = canaries
        self._emit = emit
        self._note = note
        self._reactivate = reactivate
        self._memory = memory
        self._commands: deque[Callable[[], None]] = deque()
        self._engine_: Engine | None = None
        self._version = self._stable.version
        self._deciding: tuple[str, ...] = ()
        self._watched: frozenset[str] = frozenset()
        self._bound: NotionalBound | None = None

    # What a person may do.

    def pause(self) -> None:
        """Stop progress until `resume`; a candidate that fails is still rolled back."""
        self._command(self.gate.pause)

    def resume(self) -> None:
        """End a pause of any kind."""
        self._command(self.gate.resume)

    def promote(self) -> None:
        """Let the candidate serve everywhere now, whatever the windows say; in probation, end it."""
        self._command(self.gate.promote)

    def abort(self) -> None:
        """Drop the candidate; after a promotion, let the model before it serve again."""
        self._command(self.gate.abort)

    def _command(self, command: Callable[[], None]) -> None:
        if self.gate.ended:
            raise ModelError(f"the rollout of {self._entry.model} is over: {self.gate.reason}")
        self._commands.append(command)

    @property
    def candidate(self) -> Backend | None:
        """The backend of the candidate; None once the rollout is over."""
        return self._candidate

    @property
    def state(self) -> State:
        """Where the rollout stands."""
        return self.gate.state

    @property
    def status(self) -> RolloutStatus:
        """Everything there is to know, as of now."""
        gate, seen = self.gate, self.comparison
        return RolloutStatus(
            model=self._entry.model,
            candidate_sha256=self._identity.sha256,
            mode=self._entry.mode,
            state=gate.state.value,
            step=gate.step + 1,
            steps=gate.steps,
            share=self._share,
            symbols=self._deciding,
            streak=gate.streak,
            needed=gate.needed,
            held=gate.held,
            reason=gate.reason,
            windows=dict(seen.verdicts),
            offered=seen.total("offered"),
            answered=seen.total("answered"),
            errors=seen.total("errors"),
            dropped=seen.total("dropped"),
            compared=seen.total("compared"),
            disagreement=seen.mean("disagreement"),
            distance=seen.mean("distance"),
            confidence_gap=seen.mean("confidence_gap"),
            stable_return=seen.paper.stable.equity,
            candidate_return=seen.paper.candidate.equity,
            stable_drawdown=seen.paper.stable.drawdown,
            candidate_drawdown=seen.paper.candidate.drawdown,
            last_error=seen.last_error,
        )

    # The run begins and ends.

    def attach(self, engine: Engine, at: int = 0) -> None:
        """Hook into an engine that has not started yet."""
        self._engine_ = engine
        known = self._memory.recall(self._entry.model, self._identity.sha256)
        if known is not None:
            self.gate.restore(known.state, self._step_of(known.share), held=known.held, reason=known.reason)
        if self.gate.state is State.Promoted:
            self._serve_candidate()
        self.gate.reason = self.gate.reason or "started"
        self._enter(at)
        self._tell(at)

    def close(self) -> None:
        """Stop the shadow, and let go of the candidate unless it serves."""
        self.shadow.close()
        self._memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # The hooks.

    def _predict(self, view: object) -> Action:
        """Who decides on a canary lane."""
        if self._commands:
            self._obey(self._engine.clock.time)
        candidate = self._candidate
        if candidate is None or not self._deciding:
            return self._engine.model.predict(view)
        split = self._split
        split.candidate = candidate.score
        try:
            return self._engine.model.predict(view)
        finally:
            split.candidate = None

    def _after_decision(self, lane: Lane, at: int, price: float) -> None:
        if self._commands:
            self._obey(at)
        if self._stable.version != self._version:
            self._stable_changed(at)
        if self.gate.ended:
            return
        split, seen, symbol = self._split, self.comparison, lane.symbol
        scores, split.scores = split.scores, None
        error, split.error = split.error, None
        if symbol in self._watched:
            window = seen.window
            window.offered += 1
            place = seen.paper.step(symbol, price)
            if error is not None:
                seen.failed(error)
            elif scores is not None:
                if self._candidate_decides:
                    seen.decided(split.took)
                view = lane.observation.window.view
                if not self.shadow.offer(Question(seen.epoch, symbol, place, price, scores), view):
                    window.dropped += 1
        elif scores is not None:
            seen.window.stable_ns.record(split.took)
        take = seen.mirrored if self._candidate_decides else seen.shadowed
        while (question := self.shadow.take()) is not None:
            take(question)
        self._judge(at)

    def _admit(self, symbol: str, order: Order) -> Order | None:
        bound = self._bound
        if bound is None or (symbol not in bound.symbols and order.symbol not in bound.symbols):
            return order
        answer = bound.check(order)
        if isinstance(answer, Reject):
            self._emit(OrderRefused(self._engine.clock.time, order, (answer,)))
            return None
        return answer

    # What follows.

    def _judge(self, at: int) -> None:
        seen = self.comparison
        breach = seen.breach()
        if breach is not None:
            self._move(at, lambda: self.gate.breach(f"a hard limit was broken, {breach}"))
        elif seen.is_over(at):
            finding, judged, latencies = seen.close(at, self._entry.model)
            self._emit(judged)
            self._note("rollout-window", latencies)
            logger.info("rollout of %s: window %d: %s on %s", self._entry.model, judged.window, judged.verdict, finding)
            self._move(at, lambda: self.gate.judge(finding.verdict, str(finding)))

    def _obey(self, at: int) -> None:
        while self._commands:
            self._move(at, self._commands.popleft())

    def _stable_changed(self, at: int) -> None:
        """The stable model was replaced by somebody else: nothing measured so far is about the new one."""
        self._version = self._stable.version
        if self.gate.serves:
            self._previous = None
            self._move(at, lambda: self.gate.breach("another version was loaded in its place"))
        elif not self.gate.ended:
            self.gate.restart()
            self._enter(at)
            logger.info("rollout of %s: the stable model has changed, the comparison begins anew", self._entry.model)

    def _move(self, at: int, act: Callable[[], None]) -> None:
        """Let the gate move, and do what that means."""
        gate = self.gate
        before = (gate.step, gate.serves, gate.state, gate.held)
        act()
        if before == (gate.step, gate.serves, gate.state, gate.held):
            return
        served = before[1]
        if gate.serves and not served:
            self._previous = self._stable.prepared
            self._serve_candidate()
        elif served and not gate.serves:
            self._serve_previous()
        if gate.state is State.Promoted:
            self._memory.label(self._entry.model, self._identity.sha256)
        if gate.ended or before[:2] != (gate.step, gate.serves):
            self._enter(at)
        self._tell(at)

    def _serve_candidate(self) -> None:
        assert self._candidate is not None  # noqa: S101 - it is let go of at the end only
        self._serve(self._candidate.prepared)

    def _serve_previous(self) -> None:
        if self._previous is not None:
            self._serve(self._previous)

    def _serve(self, prepared: PreparedModel) -> None:
        model = self._stable.serve(prepared)
        self._version = model.number
        self._reactivate(self._entry.model)
        self._emit(ModelLoaded(self._engine.clock.time, model.identity))

    def _enter(self, at: int) -> None:
        """Give every lane who decides for it now, and the shadow whom to ask."""
        engine, gate = self._engine, self.gate
        leaving = self._deciding
        self._deciding = () if gate.ended or gate.serves else self._canaries(self._shares[gate.step])
        for symbol, lane in engine.lanes.items():
            lane.predict = self._predict if symbol in self._deciding else engine.model.predict
        self._watched = frozenset(self._deciding or engine.lanes)
        limit = self._entry.max_notional
        self._bound = None
        if self._deciding and limit is not None:
            self._bound = NotionalBound(limit, self._deciding, self._book(engine))
        engine.admit = self._admit if self._bound is not None else None
        engine.after_decision = None if gate.ended else self._after_decision
        if not gate.ended:
            self.comparison.begin(at, len(self._watched))
        self._point_shadow()
        if gate.state is State.RolledBack:
            for symbol in leaving:  # what the candidate wanted is no longer wanted
                for state in engine.tracker.open_for(symbol):
                    engine.cancel(state.order.client_order_id)

    def _point_shadow(self) -> None:
        """Whoever does not decide is asked."""
        candidate, previous = self._candidate, self._previous
        if self.gate.ended or candidate is None:
            self._candidate = self._previous = None
            del candidate, previous  # the shadow's thread shall be the last to let go of a model
            self.shadow.point(None)
        elif previous is not None:
            self.shadow.point(_alone(previous))
        elif self._deciding:
            self.shadow.point(_scores_of(self._stable))
        else:
            self.shadow.point(_scores_of(candidate), _scores_of(self._stable))

    def _tell(self, at: int) -> None:
        gate, entry = self.gate, self._entry
        event = RolloutChanged(
            at, entry.model, self._identity, gate.state.value, gate.step + 1, self._share, self._deciding, gate.reason
        )
        self._emit(event)
        self._memory.remember(event, held=gate.held)
        grave = gate.state is State.RolledBack or gate.held
        logger.log(logging.WARNING if grave else logging.INFO, "rollout of %s", self.status)

    @property
    def _candidate_decides(self) -> bool:
        return bool(self._deciding) or self.gate.serves

    @property
    def _share(self) -> float:
        if self.gate.serves:
            return 1.0
        return 0.0 if self.gate.ended else self._shares[self.gate.step]

    @property
    def _engine(self) -> Engine:
        if self._engine_ is None:
            raise RuntimeError("the rollout is not attached to an engine")
        return self._engine_

    def _step_of(self, share: float) -> int:
        """The first step that goes as far as `share`, else the last one."""
        return next((step for step, own in enumerate(self._shares) if own >= share), len(self._shares) - 1)

    @staticmethod
    def _book(engine: Engine) -> EngineBook:
        lanes = engine.lanes
        return EngineBook(
            engine.portfolio.position,
            engine.risk.open_quantity,
            lambda symbol: lanes[symbol].price,
            lambda symbol: lanes[symbol].instrument,
        )


def _scores_of(backend: Backend) -> Ask:
    score = backend.score
    return lambda x: score(x)[1]


def _alone(prepared: PreparedModel) -> Ask:
    """A model that no longer serves, asked without a backend."""
    run = prepared.session.run

    def ask(x: FloatArray) -> list[float]:
        scores: list[float] = run(x).tolist()[0]
        return scores

    return ask
