"""Ensembles: every model is asked, and the answer is combined from all that come in time.

`static` has weights that the application states, `majority` weighs all alike, and `exp4` learns.

Exp4 as Clipper uses it (NSDI '17, "Ensemble Model Selection Policies") is Hedge: the weight of each
model is multiplied by `exp(-eta L)` for its own loss L, whoever answered. Plain Hedge cannot
forgive, as a model that has recovered has to earn back all that it lost while it failed; so a small
share of the weight is dealt out evenly after each lesson (Herbster and Warmuth 1998, "Tracking the
Best Expert", fixed share), which also bounds how far a weight can fall.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from clipper.core.errors import InvalidInput
from clipper.core.types import ModelId, Output
from clipper.selection.combining import Weights, make_combine
from clipper.selection.parameters import LEAST, check_range
from clipper.selection.policy import (
    NOTHING_USUAL,
    Combination,
    Lesson,
    Selection,
    SelectionPolicy,
    State,
    Tally,
)

MOST_WEIGHT = 1e6


class Ensemble(SelectionPolicy):
    """Asks all models; a subclass says what each of them weighs."""

    averages = True
    asks_all = True

    def __init__(self, combine: str = "", loss: str = "zero_one") -> None:
        """`combine` is `vote`, `mean`, `scores` or `labels`; empty, what goes with the loss."""
        self._combine = make_combine(combine, loss)

    def weights(self, state: State, models: Sequence[ModelId]) -> Weights:
        """What each of these models weighs."""
        raise NotImplementedError

    def shares(self, state: State, models: Sequence[ModelId]) -> list[float]:
        """The weights, as shares."""
        weights = self.weights(state, models)
        total = sum(weights.values())
        return [weights[model] / total for model in models]

    def select(self, state: State, models: Sequence[ModelId], draw: float) -> Selection:
        """All of them."""
        return Selection(tuple(models), 1.0)

    def combine(
        self,
        state: State,
        models: Sequence[ModelId],
        outputs: Mapping[ModelId, Output],
        usual: Mapping[ModelId, Output] = NOTHING_USUAL,
    ) -> Combination:
        """By weight."""
        return self._combine(self.weights(state, models), outputs, usual)


class Majority(Ensemble):
    """One model, one vote."""

    name = "majority"

    def weights(self, state: State, models: Sequence[ModelId]) -> Weights:
        """The same for all."""
        return dict.fromkeys(models, 1.0)


class Static(Ensemble):
    """Weights by model name, whatever its version; 1 where none is stated."""

    name = "static"

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        combine: str = "",
        loss: str = "zero_one",
    ) -> None:
        super().__init__(combine, loss)
        if not isinstance(weights, Mapping | None):
            raise InvalidInput(
                f"static got weights={weights}",
                hint="weights is an object: a number by model name.",
            )
        self._stated = dict(weights or {})
        for model, weight in self._stated.items():
            check_range(self.name, f"weights.{model}", weight, LEAST, MOST_WEIGHT)

    def weights(self, state: State, models: Sequence[ModelId]) -> Weights:
        """As stated."""
        return {model: float(self._stated.get(model.name, 1.0)) for model in models}


class Exp4State(msgspec.Struct, frozen=True, dict=True):
    """What one context has learned, by model version (`name:version`)."""

    log_weights: dict[str, float] = {}
    """The largest is 0."""
    feedbacks: dict[str, int] = {}
    """How often each was judged."""
    losses: dict[str, float] = {}
    """Sum of the losses observed."""

    @cached_property
    def memo(self) -> dict[Sequence[ModelId], Weights]:
        """Weights that were worked out before, of no more than one set of models: many queries are
        answered from one state."""
        return {}


class Exp4(Ensemble):
    """Learns from every model's own loss: `eta` is how fast it reacts, `share` how it forgives."""

    name = "exp4"
    state_type: type[Any] | None = Exp4State

    def __init__(
        self, eta: float = 0.1, share: float = 0.001, combine: str = "", loss: str = "zero_one"
    ) -> None:
        super().__init__(combine, loss)
        check_range(self.name, "eta", eta, LEAST, 10)
        check_range(self.name, "share", share, LEAST, 0.5)
        self.eta = eta
        self.share = share

    def init(self) -> Exp4State:
        """Every model is as good as any other."""
        return Exp4State()

    def weights(self, state: Exp4State, models: Sequence[ModelId]) -> Weights:
        """They sum to 1; a model not seen before weighs as much as the mean of the others."""
        models = tuple(models)
        weights = state.memo.get(models)
        if weights is None:
            state.memo.clear()
            weights = state.memo[models] = self._weights(state, models)
        return weights

    def _weights(self, state: Exp4State, models: Sequence[ModelId]) -> Weights:
        known = [state.log_weights.get(str(model)) for model in models]
        raw = [None if weight is None else math.exp(weight) for weight in known]
        seen = [weight for weight in raw if weight is not None]
        mean = sum(seen) / len(seen) if seen else 1.0
        filled = [mean if weight is None else weight for weight in raw]
        total = sum(filled)
        return {model: weight / total for model, weight in zip(models, filled, strict=True)}

    def observe(self, state: Exp4State, models: Sequence[ModelId], lesson: Lesson) -> Exp4State:
        """Each model pays its own loss; who was not asked, what the others pay on average."""
        if not models:
            return state
        losses = lesson.losses
        even = self.share / len(models)
        before = self.weights(state, models)
        judged = sum(before[model] for model in models if model in losses)
        paid = sum(before[model] * losses[model] for model in models if model in losses)
        usual = paid / judged if judged else 0.0
        weights = {
            model: weight * math.exp(-self.eta * losses.get(model, usual))
            for model, weight in before.items()
        }
        total = sum(weights.values())
        shared = {
            model: (1 - self.share) * weight / total + even for model, weight in weights.items()
        }
        top = max(shared.values())
        return Exp4State(
            log_weights={str(model): math.log(weight / top) for model, weight in shared.items()},
            feedbacks={
                str(model): state.feedbacks.get(str(model), 0) + (model in losses)
                for model in models
            },
            losses={
                str(model): state.losses.get(str(model), 0.0) + losses.get(model, 0.0)
                for model in models
            },
        )

    def tally(self, state: Exp4State, model: ModelId) -> Tally:
        """All lessons count alike; of the squares the most that they can be."""
        count, loss = state.feedbacks.get(str(model), 0), state.losses.get(str(model), 0.0)
        return Tally(count, count, loss, loss)
