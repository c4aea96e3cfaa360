"""What a bandit remembers of each model (its arm): how often it was tried, and what it cost.

Models change, so that what was long ago should count less: each lesson lets go of a small share of
all that was remembered before (discounting; Garivier and Moulines 2011, "On Upper-Confidence Bound
Policies for Switching Bandit Problems").
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from clipper.core.types import ModelId, Output
from clipper.selection.parameters import check_range
from clipper.selection.policy import Combination, Selection

FORGETTING = 0.001
"""So that about the last thousand lessons count."""


class Arm(msgspec.Struct, frozen=True):
    """One model version."""

    pulls: int = 0
    """How often it was judged."""
    weight: float = 0.0
    """The same, discounted."""
    loss: float = 0.0
    """The sum of its losses, discounted."""
    square: float = 0.0
    """The sum of their squares, discounted."""

    @property
    def mean(self) -> float:
        """Its mean loss; the best there could be where nothing is known."""
        return self.loss / self.weight if self.weight else 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation of its losses."""
        if not self.weight:
            return 0.0
        return math.sqrt(max(self.square / self.weight - self.mean**2, 0.0))

    def aged(self, kept: float) -> "Arm":
        """With all but a share of it forgotten."""
        return Arm(self.pulls, self.weight * kept, self.loss * kept, self.square * kept)

    def taught(self, loss: float) -> "Arm":
        """With one lesson more."""
        return Arm(self.pulls + 1, self.weight + 1, self.loss + loss, self.square + loss * loss)


class ArmsState(msgspec.Struct, frozen=True):
    """What one context has learned, by model version (`name:version`)."""

    arms: dict[str, Arm] = {}

    def of(self, models: Sequence[ModelId]) -> list[Arm]:
        """The arm of each; an empty one where nothing is known."""
        return [self.arms.get(str(model), NEW) for model in models]


NEW = Arm()


class Bandit:
    """Asks one model; a subclass says which."""

    name = ""
    state_type: type[Any] | None = ArmsState
    links_many = True

    def __init__(self, forgetting: float = FORGETTING) -> None:
        check_range(self.name, "forgetting", forgetting, 0, 0.5)
        self.forgetting = forgetting

    def init(self) -> ArmsState:
        """Nothing is known of any model."""
        return ArmsState()

    def select(self, state: ArmsState, models: Sequence[ModelId], draw: float) -> Selection:
        """One of them."""
        raise NotImplementedError

    def combine(
        self, state: ArmsState, models: Sequence[ModelId], outputs: Mapping[ModelId, Output]
    ) -> Combination:
        """The output of the one that was asked."""
        return next(iter(outputs.values())), 1.0

    def observe(
        self,
        state: ArmsState,
        models: Sequence[ModelId],
        selection: Selection,
        losses: Mapping[ModelId, float],
    ) -> ArmsState:
        """Remember the loss of the one that was asked, and a little less of all that was before."""
        kept = 1 - self.forgetting
        arms = {
            str(model): arm.aged(kept)
            for model, arm in zip(models, state.of(models), strict=True)
            if arm.pulls
        }
        linked = set(models)
        for model, loss in losses.items():
            if model in linked:
                key = str(model)
                arms[key] = arms.get(key, NEW).taught(loss)
        return ArmsState(arms)
