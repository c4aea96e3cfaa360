"""The interface of a selection policy (Clipper, NSDI '17, "Model Selection Layer").

The paper's four functions over a state: `init`, `select`, `combine`, `observe`. A policy holds its
parameters and nothing else; what it learns is in the state, of which the store keeps one for each
application and context. States are immutable: `observe` returns a new one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from clipper.core.types import ModelId, Output

State = Any
"""A value that msgspec can write as JSON, and read as the policy's `state_type`."""


class Selection(NamedTuple):
    """Which of the models are asked, and how probable that choice was."""

    models: tuple[ModelId, ...]
    propensity: float


Combination = tuple[Output, float]
"""The answer, and the share of the models' weight that agrees with it."""


class SelectionPolicy(Protocol):
    """Decides which models answer, and learns from feedback."""

    name: str
    state_type: type[Any] | None
    """None: it learns nothing, and no state is kept for it."""
    links_many: bool
    """Whether an application may link more than one model under it."""

    def init(self) -> State:
        """The state of a context that nobody has heard of."""

    def select(self, state: State, models: Sequence[ModelId], draw: float) -> Selection:
        """Choose among `models`, at least one; `draw` is uniform in [0, 1)."""

    def combine(
        self, state: State, models: Sequence[ModelId], outputs: Mapping[ModelId, Output]
    ) -> Combination:
        """One answer out of at least one output of the `models` that were asked."""

    def observe(
        self,
        state: State,
        models: Sequence[ModelId],
        selection: Selection,
        losses: Mapping[ModelId, float],
    ) -> State:
        """Learn the losses, each in [0, 1], of selected models.

        `models` are those that are linked now, if any; the selected ones may be others, and some of
        them may have given no output, and so have no loss.
        """
