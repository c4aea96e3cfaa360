"""One answer out of several models' outputs, and how sure it is.

How that is done follows from what outputs are, which an application's loss tells: labels, text and
any other JSON are voted on, by equality; numbers and vectors are averaged; so are score vectors,
where what counts is which class scores best. The confidence (Clipper, NSDI '17, "Robust
Predictions") is the weight of the models that agree with the answer, as a share of the weight of
all that were asked: who has not answered agrees with nobody.
"""

from collections.abc import Callable, Mapping
from typing import Any

from clipper.core.errors import InvalidInput
from clipper.core.outputs import output_of
from clipper.core.types import ModelId, Output
from clipper.selection.policy import Combination

Weights = Mapping[ModelId, float]
"""Of every model that was asked; none is negative, and some are above 0."""
LARGEST = 1e300
"""Beyond that, a number is none that could be averaged: JSON has integers larger than any float."""
Combine = Callable[[Weights, Mapping[ModelId, Output]], Combination]


def vote(weights: Weights, outputs: Mapping[ModelId, Output]) -> Combination:
    """The output that most of the weight agrees on; of equals, the one that was named first."""
    by_value: dict[Any, float] = {}
    first: dict[Any, Output] = {}
    for model, output in outputs.items():
        value = output.value
        # Lists and objects cannot be keys, but are equal where their texts are.
        key = output.json if isinstance(value, list | dict) else value
        by_value[key] = by_value.get(key, 0.0) + weights[model]
        first.setdefault(key, output)
    best = max(by_value, key=by_value.__getitem__)
    return first[best], _share(by_value[best], weights)


def mean(weights: Weights, outputs: Mapping[ModelId, Output]) -> Combination:
    """The weighted mean of numbers, or of vectors of one length; the vote where it is neither.

    Whoever has answered agrees.
    """
    present = sum(weights[model] for model in outputs)
    values = [output.value for output in outputs.values()]
    shares = _shares(weights, outputs, present)
    if all(map(_is_number, values)):
        combined: Any = sum(share * value for share, value in zip(shares, values, strict=True))
    elif (columns := _columns(values)) is not None:
        combined = [sum(map(float.__mul__, shares, column)) for column in columns]
    else:
        return vote(weights, outputs)
    return output_of(combined), _share(present, weights)


def scores(weights: Weights, outputs: Mapping[ModelId, Output]) -> Combination:
    """The weighted mean of score vectors; whoever has the same best class agrees.

    The vote where outputs are no vectors of one length.
    """
    columns = _columns([output.value for output in outputs.values()])
    if columns is None:
        return vote(weights, outputs)
    shares = _shares(weights, outputs, sum(weights[model] for model in outputs))
    combined = [sum(map(float.__mul__, shares, column)) for column in columns]
    best = _best(combined)
    agreeing = sum(
        weights[model] for model, output in outputs.items() if _best(output.value) == best
    )
    return output_of(combined), _share(agreeing, weights)


COMBINE: dict[str, Combine] = {"vote": vote, "mean": mean, "scores": scores}
BY_LOSS = {"zero_one": "vote", "absolute": "mean", "squared": "mean"}
"""How outputs are combined that an application judges by this loss."""


def make_combine(name: str, loss: str) -> Combine:
    """The way of this name, or, where it is empty, the one that goes with a loss.

    Raises:
        InvalidInput: there is no such way.
    """
    chosen = name or BY_LOSS[loss]
    if chosen not in COMBINE:
        raise InvalidInput(
            f"Outputs cannot be combined by '{name}'.", hint=f"Choose one of: {', '.join(COMBINE)}."
        )
    return COMBINE[chosen]


def _share(agreeing: float, weights: Weights) -> float:
    # Sums in another order may differ in their last digit.
    return min(agreeing / sum(weights.values()), 1.0)


def _shares(weights: Weights, outputs: Mapping[ModelId, Output], present: float) -> list[float]:
    """The weight of each output, of all that are there; the same for all where none has any."""
    if not present:
        return [1 / len(outputs)] * len(outputs)
    return [weights[model] / present for model in outputs]


def _columns(values: list[Any]) -> list[tuple[float, ...]] | None:
    """The first numbers of all vectors, the second ones, ...; None if they are no such vectors."""
    if not all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
        return None
    if not all(map(_is_number, (number for value in values for number in value))):
        return None
    return list(zip(*(map(float, value) for value in values), strict=True))


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -LARGEST <= value <= LARGEST


def _best(vector: list[float]) -> int:
    return max(range(len(vector)), key=vector.__getitem__) if vector else -1
