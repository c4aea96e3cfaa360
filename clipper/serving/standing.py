"""How the models of an application stand with its policy: for people to look at."""

from collections.abc import Sequence

import msgspec

from clipper.core.types import ModelId
from clipper.selection.comparing import sample
from clipper.selection.policy import SelectionPolicy, State
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
    """By how much its loss is above that of the best, likewise; None for the best."""

    @property
    def is_worse(self) -> bool:
        """Whether it is surely worse than the best."""
        return self.above_best is not None and self.above_best.low > 0


def standings(policy: SelectionPolicy, state: State, models: Sequence[ModelId]) -> list[Standing]:
    """Of the models that are linked, in their order."""
    if not models:
        return []
    shares = policy.shares(state, models)
    samples = [sample(policy.tally(state, model)) for model in models]
    judged = [place for place, one in enumerate(samples) if one.number]
    best = min(judged, key=lambda place: samples[place].mean) if judged else -1
    alpha = ALPHA / max(1, len(judged) - 1)
    return [
        Standing(
            model,
            shares[place],
            policy.tally(state, model).pulls,
            one.mean if one.number else None,
            one.interval(),
            difference(one, samples[best], alpha) if judged and place != best else None,
        )
        for place, (model, one) in enumerate(zip(models, samples, strict=True))
    ]
