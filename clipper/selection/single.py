"""The policy of an application with one model: it answers, and there is nothing to learn."""

from collections.abc import Mapping, Sequence
from typing import Any

from clipper.core.types import ModelId, Output
from clipper.selection.policy import Combination, Selection, State


class Single:
    """Always the first linked model."""

    name = "single"
    state_type: type[Any] | None = None
    links_many = False

    def init(self) -> State:
        """No state."""
        return None

    def select(self, state: State, models: Sequence[ModelId], draw: float) -> Selection:
        """The one model."""
        return Selection((models[0],), 1.0)

    def combine(
        self, state: State, models: Sequence[ModelId], outputs: Mapping[ModelId, Output]
    ) -> Combination:
        """Its output."""
        return next(iter(outputs.values())), 1.0

    def observe(
        self,
        state: State,
        models: Sequence[ModelId],
        selection: Selection,
        losses: Mapping[ModelId, float],
    ) -> State:
        """Nothing to learn."""
        return state
