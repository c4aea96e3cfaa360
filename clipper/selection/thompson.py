"""Thompson sampling: each model is asked as often as it is likely to be the best.

Thompson (1933); Chapelle and Li (2011), "An Empirical Evaluation of Thompson Sampling". Usually one
mean is drawn from what is believed of each model, and the least wins; how probable that was, nobody
knows, but whoever wants to judge the choice later needs to. So we work out, with each lesson, how
probable each model is to be the best, by integrating over a grid of means, and draw by that. The
belief is a Beta distribution where all losses were 0 or 1, else a normal one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipper.core.types import ModelId
from clipper.selection.arms import ArmsState, Bandit
from clipper.selection.policy import UNTRIED, Lesson, Tally

Floats = NDArray[np.float64]

CELLS = 256
CENTRES: Floats = (np.arange(CELLS) + 0.5) / CELLS
"""Of the grid's cells, over the losses from 0 to 1."""
LOGS: Floats = np.stack([np.log(CENTRES), np.log1p(-CENTRES)])
PRIOR_DEVIATION = 0.5
"""Of a normal belief, in a model of which one lesson is known."""
LEAST_DEVIATION = 1 / CELLS


class ThompsonState(ArmsState, frozen=True):
    """With how probable each model is to be the best, by model version."""

    best: dict[str, float] = {}  # noqa: RUF012 -- msgspec copies it


class Thompson(Bandit):
    """Draws a model by how likely it is to be the best; `forgetting` as in the other bandits."""

    name = "thompson"
    state_type: type[Any] | None = ThompsonState

    def init(self) -> ThompsonState:
        """Every model is as good as any other."""
        return ThompsonState()

    def shares(self, state: ArmsState, models: Sequence[ModelId]) -> list[float]:
        """How likely each is to be the best."""
        assert isinstance(state, ThompsonState)
        known = [state.best.get(str(model)) for model in models]
        if None in known:  # models have come since the last lesson
            return best_chances(state.of(models))
        chances = [chance or 0.0 for chance in known]
        total = sum(chances)
        return [chance / total for chance in chances]

    def observe(self, state: ArmsState, models: Sequence[ModelId], lesson: Lesson) -> ThompsonState:
        """Remember the loss, and how good each model may be after it."""
        arms = self.taught(state, models, lesson)
        chances = best_chances([arms.get(str(model), UNTRIED) for model in models])
        best = {str(model): chance for model, chance in zip(models, chances, strict=True)}
        return ThompsonState(arms, best)


LEAST_CHANCE = 1e-6
"""Nobody is ruled out: what is believed may be wrong."""


def best_chances(arms: Sequence[Tally]) -> list[float]:
    """How probable each arm is to have the least mean loss; they sum to 1."""
    if not arms:
        return []
    density = _beliefs(arms)
    beyond = 1 - np.cumsum(density, axis=1) + density / 2  # half of the own cell
    np.clip(beyond, 1e-300, 1.0, out=beyond)
    # All the others are worse: the product over all, without one's own factor.
    log_beyond = np.log(beyond)
    chances = (density * np.exp(log_beyond.sum(axis=0) - log_beyond)).sum(axis=1)
    chances = np.maximum(chances, LEAST_CHANCE)
    listed: list[float] = (chances / chances.sum()).tolist()
    return listed


def _beliefs(arms: Sequence[Tally]) -> Floats:
    """For each arm (row), the probability of each cell of the grid to hold its mean."""
    counts = np.array([(arm.loss, max(arm.weight - arm.loss, 0.0)) for arm in arms])
    log_density: Floats = counts @ LOGS
    for row, arm in enumerate(arms):
        if abs(arm.square - arm.loss) > 1e-9 * max(arm.loss, 1.0):  # not all were 0 or 1
            log_density[row] = _normal(arm)
    log_density -= log_density.max(axis=1, keepdims=True)
    density: Floats = np.exp(log_density)
    density /= density.sum(axis=1, keepdims=True)
    return density


def _normal(arm: Tally) -> Floats:
    deviation = max(_deviation(arm), PRIOR_DEVIATION / max(arm.weight, 1.0), LEAST_DEVIATION)
    spread = max(deviation / max(arm.weight, 1.0) ** 0.5, LEAST_DEVIATION)
    log_density: Floats = -0.5 * ((CENTRES - arm.mean) / spread) ** 2
    return log_density


def _deviation(arm: Tally) -> float:
    return max(arm.square / arm.weight - arm.mean**2, 0.0) ** 0.5 if arm.weight else 0.0
