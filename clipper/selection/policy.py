"""The interface of a selection policy (Clipper, NSDI '17, "Model Selection Layer").

The paper's four functions over a state: `init`, `select`, `combine`, `observe`. A policy holds its
parameters and nothing else; what it learns is in the state, of which the store keeps one for each
application and context. States are immutable: `observe` returns a new one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from clipper.core.types import ModelId, Output
from clipper.selection.sequential import Interval

State = Any
"""A value that msgspec can write as JSON, and read as the policy's `state_type`."""
Combination = tuple[Output, float]
"""The answer, and the share of the models' weight that agrees with it."""
NOTHING_USUAL: Mapping[ModelId, Output] = {}


class Selection(NamedTuple):
    """Which of the models are asked, and how probable that choice was."""

    models: tuple[ModelId, ...]
    """The answer is combined from their outputs."""
    propensity: float
    shadows: tuple[ModelId, ...] = ()
    """Asked as well, when there is time for it; nobody waits for them, but they are judged."""


class Lesson(NamedTuple):
    """What feedback tells about a query."""

    selection: Selection
    losses: Mapping[ModelId, float]
    """Each in [0, 1]; it is 1 for a model that was to answer and gave no output."""
    outputs: Mapping[ModelId, Output]
    label: Any
    """What was true."""


class Tally(msgspec.Struct, frozen=True):
    """How often a model was judged, and what it cost; the sums may be discounted."""

    pulls: int = 0
    """How often it was judged, ever."""
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


UNTRIED = Tally()


class Traffic(msgspec.Struct):
    """What became of the queries that a model was to answer, whatever was true."""

    asked: int = 0
    failed: int = 0
    """Without an output at the deadline."""
    latency: float = 0.0
    """The sum of the latencies, each as a share of the SLO and at most 1."""
    square: float = 0.0
    """The sum of their squares."""


class Mean(NamedTuple):
    """Of what was seen of a model."""

    model: ModelId
    number: float
    """How often it was seen."""
    mean: float
    interval: Interval
    """Where the true mean is, at 95 per cent, however often one looks."""


class Comparison(NamedTuple):
    """A newcomer and the model that served before, in one respect."""

    what: str
    new: Mean
    old: Mean
    difference: Interval
    """By how much the newcomer's true mean is above the other's; -1 to 1 if nothing is known."""
    allowed: float
    """So much above it may surely be."""


class SelectionPolicy:
    """Decides which models answer, and learns from feedback."""

    name = ""
    state_type: type[Any] | None = None
    """None: it learns nothing, and no state is kept for it."""
    links_many = True
    """Whether an application may link more than one model under it."""
    candidates: Sequence[str] = ()
    """Versions (`name:version`) of linked models that it asks besides the current ones."""
    asks_all = False
    """It is told of all linked models, also of those that no replica answers for."""
    is_shared = False
    """One state is kept for the whole application, whatever the context."""
    is_sticky = False
    """A context that is named has the same draw for ever."""
    watches = False
    """It wants to know of the queries' outcomes, by `watch`."""
    averages = False
    """It can use what models usually say, in `combine`."""
    escalates = False
    """It may ask further models once it has seen what the first say, by `escalate`."""

    def init(self) -> State:
        """The state of a context that nobody has heard of."""
        return None

    def shares(self, state: State, models: Sequence[ModelId]) -> Sequence[float]:
        """How probable each model is to be asked, or what it weighs in the answer; they sum to 1.

        Of at least one model.
        """
        raise NotImplementedError

    def current(self, state: State) -> State:
        """What of a state holds under these parameters, which may have been others before."""
        return state

    def select(self, state: State, models: Sequence[ModelId], draw: float) -> Selection:
        """Choose among `models`, at least one; `draw` is uniform in [0, 1)."""
        return drawn(models, self.shares(state, models), draw)

    def escalate(
        self,
        state: State,
        models: Sequence[ModelId],
        asked: Sequence[ModelId],
        outputs: Mapping[ModelId, Output],
    ) -> ModelId | None:
        """Whom to ask after those that were `asked`, all of whom have answered or failed."""
        return None

    def combine(
        self,
        state: State,
        models: Sequence[ModelId],
        outputs: Mapping[ModelId, Output],
        usual: Mapping[ModelId, Output] = NOTHING_USUAL,
    ) -> Combination:
        """One answer out of at least one output of the `models` that were asked.

        `usual` has what those say on average that have not answered, where that is known.
        """
        return next(iter(outputs.values())), 1.0

    def observe(self, state: State, models: Sequence[ModelId], lesson: Lesson) -> State:
        """Learn from feedback.

        `models` are those that are linked now, if any; the selected ones may be others.
        """
        return state

    def watch(
        self, state: State, models: Sequence[ModelId], traffic: Mapping[ModelId, Traffic]
    ) -> State:
        """Learn from what became of the queries since the last time; for who `watches`."""
        return state

    def tally(self, state: State, model: ModelId) -> Tally:
        """What is known of a model's losses."""
        return UNTRIED

    def comparisons(self, state: State, models: Sequence[ModelId]) -> Sequence[Comparison]:
        """What a trial compares, for people to look at; none where there is no trial."""
        return ()


def drawn(models: Sequence[ModelId], shares: Sequence[float], draw: float) -> Selection:
    """The model in whose share the draw is, if they lie in this order; shares sum to 1."""
    for model, share in zip(models, shares, strict=True):
        if draw < share:
            return Selection((model,), share)
        draw -= share
    likely = max(range(len(models)), key=shares.__getitem__)  # the sum was a little below 1
    return Selection((models[likely],), shares[likely])
