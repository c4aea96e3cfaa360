"""What a bandit remembers of each model (its arm): how often it was tried, and what it cost.

Models change, so that what was long ago should count less: each lesson lets go of a small share of
all that was remembered before (discounting; Garivier and Moulines 2011, "On Upper-Confidence Bound
Policies for Switching Bandit Problems").
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from clipper.core.types import ModelId
from clipper.selection.parameters import check_range
from clipper.selection.policy import UNTRIED, Lesson, SelectionPolicy, Tally

FORGETTING = 0.001
"""So that about the last thousand lessons count."""


class ArmsState(msgspec.Struct, frozen=True):
    """What one context has learned, by model version (`name:version`)."""

    arms: dict[str, Tally] = {}

    def of(self, models: Sequence[ModelId]) -> list[Tally]:
        """The arm of each; an empty one where nothing is known."""
        return [self.arms.get(str(model), UNTRIED) for model in models]


class Bandit(SelectionPolicy):
    """Remembers losses; a subclass says who is asked."""

    state_type: type[Any] | None = ArmsState

    def __init__(self, forgetting: float = FORGETTING) -> None:
        check_range(self.name, "forgetting", forgetting, 0, 0.5)
        self.forgetting = forgetting

    def init(self) -> ArmsState:
        """Nothing is known of any model."""
        return ArmsState()

    def observe(self, state: ArmsState, models: Sequence[ModelId], lesson: Lesson) -> ArmsState:
        """Remember the losses, and a little less of all that was before."""
        return ArmsState(self.taught(state, models, lesson))

    def taught(
        self, state: ArmsState, models: Sequence[ModelId], lesson: Lesson
    ) -> dict[str, Tally]:
        """The arms of the models, with a lesson more."""
        kept = 1 - self.forgetting
        arms = {
            str(model): Tally(arm.pulls, arm.weight * kept, arm.loss * kept, arm.square * kept)
            for model, arm in zip(models, state.of(models), strict=True)
            if arm.pulls
        }
        linked = set(models)
        for model, loss in lesson.losses.items():
            if model in linked:
                arm = arms.get(str(model), UNTRIED)
                arms[str(model)] = Tally(
                    arm.pulls + 1, arm.weight + 1, arm.loss + loss, arm.square + loss * loss
                )
        return arms

    def tally(self, state: ArmsState, model: ModelId) -> Tally:
        """Its arm."""
        return state.arms.get(str(model), UNTRIED)
