"""Attributions: which features a score comes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from axon_explain import exact
from axon_explain.background import Background, background
from axon_explain.explanation import Explanation
from axon_explain.game import Game
from axon_explain.players import Groups, Players, players
from axon_explain.progress import each
from axon_explain.regression import Solution
from axon_explain.sampled import from_sample
from axon_explain.subject import Floats, Subject, Target
from axon_quant.errors import ExplainError, UnsupportedError
from axon_quant.inference import ModelStore

Engine = Literal["auto", "exact", "leverage", "gradient", "shap"]

COALITIONS = 2_048
"""The budget unless one is given."""
MASKS = 256
"""The same for gradients, of which each tells about all cells."""

_METHODS = {"exact": "exact", "leverage": "paired-leverage", "gradient": "mask-gradient", "shap": "shap-kernel"}
_PAIRS_PER_PLAYER = 2
"""Fewer than this leave a regression that says next to nothing."""


class KernelSHAP:
    """Shapley values of a model's features.

    `model` is whatever `as_scorer` understands (a backend, an ensemble, a Stable-Baselines3 policy, a classifier), or a
    function of a batch `[batch, …shape]` that returns `[batch, outputs]`. `background_data` `[rows, …shape]` says what
    it means that a feature is absent; every row of it counts for every coalition. Without any, a call uses the sample
    that the model's `store` keeps of it, else zeros, with a warning.

    `engine`: `"exact"` enumerates all coalitions (up to 20 players), `"leverage"` samples, `"gradient"` takes single
    cells from the gradients of a backend that has them, `"shap"` asks shap.KernelExplainer. `"auto"` is exact up to 12
    players, or where the budget is enough, and samples beyond; single cells that a sample cannot tell apart go by
    gradients where the model has them.

    `groups`: see `axon_explain.players.players`. Without any, each cell is a player; of a window whose cells are too
    many for the budget, each channel is. `budget` counts coalitions, or masks of the gradient engine; the model is
    asked about as many rows times those of the background. It is 2,048 by default, 256 for gradients. Results are the
    same for the same `seed`.

    `actions` names the outputs of a function; `feature_names` all cells, or the channels of a window (default: those
    of the schema in the store, else `f0…`). Raises ExplainError for arguments that make no sense.
    """

    def __init__(
        self,
        model: object,
        *,
        background_data: object = None,
        engine: Engine = "auto",
        groups: Groups = None,
        budget: int | None = None,
        seed: int = 0,
        actions: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        store: ModelStore | None = None,
    ) -> None:
        if engine != "auto" and engine not in _METHODS:
            raise ExplainError(f"there is no engine {engine!r}", hint=f"one of auto, {', '.join(_METHODS)}")
        if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int | np.integer) or budget < 4):
            raise ExplainError(f"budget must be a number of coalitions, at least 4, got {budget!r}")
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ExplainError(f"seed must be a whole number, at least 0, got {seed!r}")
        self.model = model
        self.engine: Engine = engine
        self.groups = groups
        self.budget = None if budget is None else int(budget)
        self.seed = int(seed)
        self.feature_names = feature_names
        self._background = background_data
        self._store = store
        self._subject = Subject(model, actions=actions)

    def explain(self, observation: object, action: Target = None, background_data: object = None) -> Explanation:
        """Why the score of `action` is what it is for `observation` `[…shape]`.

        `action` is an Action, its index or its name; by default the model's own choice. A batch axis of one is
        removed. `background_data` `[rows, …shape]` replaces the constructor's. Raises ExplainError for an observation,
        a background or an action that do not fit, for players that the budget cannot resolve, and for a model that was
        replaced meanwhile; what the model raises goes through.
        """
        subject = self._subject
        asked = subject.evaluations
        given = self._background if background_data is None else background_data
        x = subject.observation(observation, given)
        models = subject.models
        rows = background(subject, x, call=background_data, constructor=self._background, store=self._store)
        output = subject.output(action, x)
        who, engine, game = self._choose(x, rows, output)
        base, score = game.bounds()
        budget = self._budget(engine)
        solution = self._solve(engine, game, x, rows, base, score)
        if subject.models != models:
            raise ExplainError(f"{subject.name} was replaced while it was explained", hint="explain it again")
        found = solution.importances
        return Explanation(
            feature_names=who.names,
            feature_importances=found,
            feature_values=who.values(x),
            players=who.index,
            observation=x.copy(),
            base_value=base,
            score=score,
            action=subject.actions[output],
            output=output,
            additivity_gap=score - base - float(found.sum()),
            error_estimate=solution.error,
            method=_METHODS[engine],
            grouping=who.grouping,
            budget=budget,
            evaluations=subject.evaluations - asked,
            seed=self.seed,
            background_sha256=rows.sha256,
            background_rows=len(rows),
            background_source=rows.source,
            models=models,
        )

    def explain_batch(
        self,
        observations: Iterable[object],
        actions: Target | Sequence[Target] = None,
        background_data: object = None,
        *,
        progress: bool | None = None,
    ) -> list[Explanation]:
        """One explanation for each observation, as `explain` gives them.

        `actions` is one for all, or a sequence of one for each. `progress` shows a bar on the error stream; by default
        if that is a terminal. Raises as `explain` does, with the number of the observation.
        """
        every = list(observations)
        targets = _targets(actions, len(every))
        found = []
        for number, (observation, target) in enumerate(zip(each(every, "explaining", progress), targets, strict=True)):
            try:
                found.append(self.explain(observation, target, background_data))
            except ExplainError as error:
                error.add_note(f"observation {number}, counted from 0, of {len(every)}")
                raise
        return found

    def _choose(self, x: Floats, rows: Background, output: int) -> tuple[Players, str, Game]:
        """The players and the engine; raises ExplainError for players that cannot be resolved."""
        names = self.feature_names or self._subject.feature_names(self._store)
        who = players(x.shape, self.groups, names)
        game = Game(self._subject, output, x, rows, who)
        engine = self._engine(game, who, x, output)
        if engine is None and self.groups is None and x.ndim > 1:
            who = players(x.shape, "channel", names)
            game = Game(self._subject, output, x, rows, who)
            engine = self._engine(game, who, x, output)
        if engine is None:
            raise self._too_many(len(game), x)
        return who, engine, game

    def _engine(self, game: Game, who: Players, x: Floats, output: int) -> str | None:
        """What resolves these players; None if nothing does."""
        count, budget = len(game), self._budget("leverage")
        cells = len(who) == x.size
        if self.engine == "gradient":
            self._require_gradients(cells, x, output)
            return "gradient"
        if self.engine == "exact":
            return "exact" if count <= exact.MOST else None
        enough = count <= 1 or budget >= 2**count or (budget - 2) // 2 >= _PAIRS_PER_PLAYER * count
        if self.engine != "auto":
            return self.engine if enough else None
        if count <= exact.FEW or (count <= exact.MOST and budget >= 2**count):
            return "exact"
        if enough:
            return "leverage"
        return "gradient" if cells and self._subject.has_gradients(x, output) else None

    def _solve(self, engine: str, game: Game, x: Floats, rows: Background, base: float, score: float) -> Solution:
        """Importances of all players: those that do not play have none."""
        budget = self._budget(engine)
        if engine == "gradient":
            from axon_explain.gradients import mask_gradient

            return mask_gradient(self._subject, game, x, rows, budget, self.seed, score - base)
        count = len(game)
        if count == 0:
            part = Solution(np.empty(0), 0.0)
        elif engine == "exact" or count == 1:
            part = Solution(exact.enumerate_all(game, base, score), 0.0)
        elif engine == "leverage":
            part = from_sample(game, base, score, budget, self.seed)
        else:
            from axon_explain.shap_bridge import shap_kernel

            part = shap_kernel(game, budget, self.seed)
        found = np.zeros(game.players)
        found[game.active] = part.importances
        return Solution(found, part.error * (count / game.players) ** 0.5)

    def _budget(self, engine: str) -> int:
        return self.budget or (MASKS if engine == "gradient" else COALITIONS)

    def _require_gradients(self, cells: bool, x: Floats, output: int) -> None:
        if not cells:
            raise ExplainError("gradients tell about single cells, not about groups", hint="leave groups out")
        if not self._subject.has_gradients(x, output):
            raise UnsupportedError(
                f"{self._subject.name} offers no gradients", hint='a backend has to: engine="leverage" needs none'
            )

    def _too_many(self, count: int, x: Floats) -> ExplainError:
        if self.engine == "exact":
            return ExplainError(f"{count} players have too many coalitions", hint='engine="leverage", or groups=…')
        needed = 2 * _PAIRS_PER_PLAYER * count + 2
        wider = 'groups="channel", ' if x.ndim > 1 else ""
        return ExplainError(
            f"{count} players cannot be told apart with {self._budget('leverage')} coalitions",
            hint=f"{wider}groups={{name: cells, …}}, or a budget of at least {needed}",
        )


def _targets(actions: Target | Sequence[Target], count: int) -> list[Target]:
    if actions is None or isinstance(actions, str) or not isinstance(actions, Sequence | np.ndarray):
        return [actions] * count
    if len(actions) != count:
        raise ExplainError(f"{len(actions)} actions for {count} observations", hint="give one for each, or one for all")
    return list(actions)
