"""The policy of an application with one model: it answers, and there is nothing to learn."""

from collections.abc import Sequence

from clipper.core.types import ModelId
from clipper.selection.policy import SelectionPolicy, State


class Single(SelectionPolicy):
    """Always the first linked model."""

    name = "single"
    links_many = False

    def shares(self, state: State, models: Sequence[ModelId]) -> list[float]:
        """All for the one model."""
        return [1.0] + [0.0] * (len(models) - 1)
