"""How the models of an application stand with its policy: for people to look at."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from clipper.core.types import ModelId
from clipper.selection.comparing import sample
from clipper.selection.policy import Comparison, SelectionPolicy, State
from clipper.selection.sequential import ALPHA, Interval, difference


class Standing(msgspec.Struct, frozen=True):
    """One model."""

    model: ModelId
    share: float
    """How probable it is to be asked next, or what it weighs."""
    judged: int
    """How often feedback was about it."""
    loss: float | None
    """Its mean; None where nothing is known."""
    interval: Interval
    """Where the true mean is, at 95 per cent, however often one looks."""
    above_best: Interval | None
    """By how much its loss is above that of the best, likewise; None for the best, and where models
    are judged on different queries, as in a cascade."""

    @property
    def is_worse(self) -> bool:
        """Whether it is surely worse than the best."""
        return self.above_best is not None and self.above_best.low > 0


class Report(NamedTuple):
    """What a policy has learned for a context."""

    state: State
    models: list[Standing]
    comparisons: Sequence[Comparison]


def report(policy: SelectionPolicy, state: State, models: Sequence[ModelId]) -> Report:
    """As far as it holds under the policy's parameters, of the models that are linked."""
    known = policy.current(state)
    return Report(known, standings(policy, known, models), policy.comparisons(known, models))


def standings(policy: SelectionPolicy, state: State, models: Sequence[ModelId]) -> list[Standing]:
    """Of the models that are linked, in their order."""
    if not models:
        return []
    shares = policy.shares(state, models)
    samples = [sample(policy.tally(state, model)) for model in models]
    judged = [place for place, one in enumerate(samples) if one.number]
    best = min(judged, key=lambda place: samples[place].mean) if judged else -1
    alpha = ALPHA / max(1, len(judged) - 1)
    is_comparable = bool(judged) and not policy.escalates
    return [
        Standing(
            model,
            shares[place],
            policy.tally(state, model).pulls,
            one.mean if one.number else None,
            one.interval(),
            difference(one, samples[best], alpha) if is_comparable and place != best else None,
        )
        for place, (model, one) in enumerate(zip(models, samples, strict=True))
    ]
