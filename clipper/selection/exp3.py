"""Exp3: one model a query, chosen at random by what each has cost so far.

Auer, Cesa-Bianchi, Freund and Schapire (2002), "The Nonstochastic Multiarmed Bandit Problem", as
Clipper uses it (NSDI '17, "Single Model Selection Policy"): model i is drawn with probability
`p_i = s_i / sum(s)`, and its loss L in [0, 1] multiplies `s_i` by `exp(-eta L / p_i)`.

Where we differ, and why:

* Weights are kept as logarithms, the largest at 0, so that they stay finite for ever.
* Implicit exploration (Neu 2015): the loss is divided by `p_i + eta / 2`, so that a rare draw
  cannot throw a model out in one step.
* No log-weight falls below a floor. The plain rule must earn back every loss ever suffered before
  it forgives: a model that was worse for a million queries would be tried again only after another
  hundred thousand failures of the best. At the floor a model still gets about one query in a
  thousand, which is how its recovery, or the others' failure, is noticed.
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from clipper.core.types import ModelId
from clipper.selection.parameters import LEAST, check_range
from clipper.selection.policy import Lesson, SelectionPolicy, Tally

FLOOR = -7.0


class Exp3State(msgspec.Struct, frozen=True):
    """What one context has learned, by model version (`name:version`)."""

    log_weights: dict[str, float] = {}
    pulls: dict[str, int] = {}
    losses: dict[str, float] = {}
    """Sum of the losses observed."""


class Exp3(SelectionPolicy):
    """The bandit; `eta` sets how fast it reacts."""

    name = "exp3"
    state_type: type[Any] | None = Exp3State

    def __init__(self, eta: float = 0.1) -> None:
        check_range(self.name, "eta", eta, LEAST, 1)
        self.eta = eta

    def init(self) -> Exp3State:
        """Every model is as good as any other."""
        return Exp3State()

    def shares(self, state: Exp3State, models: Sequence[ModelId]) -> list[float]:
        """The probability of each model. A model not seen before starts at the mean."""
        known = [state.log_weights.get(str(model)) for model in models]
        seen = [weight for weight in known if weight is not None]
        mean = sum(seen) / len(seen) if seen else 0.0
        weights = [math.exp(mean if weight is None else weight) for weight in known]
        total = sum(weights)
        return [weight / total for weight in weights]

    def observe(self, state: Exp3State, models: Sequence[ModelId], lesson: Lesson) -> Exp3State:
        """Lower the weight of the model that was drawn by its loss; forget who is not linked."""
        (drawn,), propensity, _ = lesson.selection
        if drawn not in models:
            return state
        key, loss = str(drawn), lesson.losses[drawn]
        names = [str(model) for model in models]
        logs = dict(zip(names, map(math.log, self.shares(state, models)), strict=True))
        logs[key] -= self.eta * loss / (propensity + self.eta / 2)
        top = max(logs.values())
        pulls = {name: state.pulls[name] for name in names if name in state.pulls}
        pulls[key] = pulls.get(key, 0) + 1
        losses = {name: state.losses[name] for name in names if name in state.losses}
        losses[key] = losses.get(key, 0.0) + loss
        log_weights = {name: max(FLOOR, weight - top) for name, weight in logs.items()}
        return Exp3State(log_weights, pulls, losses)

    def tally(self, state: Exp3State, model: ModelId) -> Tally:
        """All lessons count alike; of the squares the most that they can be."""
        pulls, loss = state.pulls.get(str(model), 0), state.losses.get(str(model), 0.0)
        return Tally(pulls, pulls, loss, loss)
