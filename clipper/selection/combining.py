"""One answer out of several models' outputs, and how sure it is.

How that is done follows from what outputs are, which an application's loss tells: labels, text and
any other JSON are voted on, by equality; numbers and vectors are averaged; so are score vectors,
where what counts is which class scores best. The confidence (Clipper, NSDI '17, "Robust
Predictions") is the weight of the models that agree with the answer, as a share of the weight of
all that were asked: who has not answered agrees with nobody. Its usual output, the mean of what it
has said so far, takes its place in an average, so that the answer does not jump when somebody is
late ("Straggler Mitigation"); to a vote it contributes nothing.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from clipper.core.errors import InvalidInput
from clipper.core.outputs import output_of
from clipper.core.types import ModelId, Output
from clipper.selection.policy import NOTHING_USUAL, Combination

Weights = Mapping[ModelId, float]
"""Of every model that was asked; none is negative, and some are above 0."""
LARGEST = 1e300
"""Beyond that, a number is none that could be averaged: JSON has integers larger than any float."""
Outputs = Mapping[ModelId, Output]
PLAIN = frozenset((str, int, float))
"""Types of values that are keys themselves."""
NUMBERS = (float, int)
NO_VECTOR = -1
Combine = Callable[[Weights, Outputs, Outputs], Combination]
"""(weights, outputs, the usual outputs of others that were asked)"""


def vote(weights: Weights, outputs: Outputs, usual: Outputs = NOTHING_USUAL) -> Combination:
    """The output that most of the weight agrees on; of equals, the one that was named first."""
    groups = by_value(outputs)
    if len(groups) == 1 and len(outputs) == len(weights):
        return next(iter(outputs.values())), 1.0
    totals = {key: sum(weights[model] for model in names) for key, names in groups.items()}
    best = max(totals, key=totals.__getitem__)
    return outputs[groups[best][0]], _share(groups[best], weights)


def by_value(outputs: Outputs) -> dict[Any, list[ModelId]]:
    """Who said the same, by `key_of` what they said."""
    groups: dict[Any, list[ModelId]] = {}
    for model, output in outputs.items():
        value = output.value
        key = value if type(value) in PLAIN else key_of(output)
        if key in groups:
            groups[key].append(model)
        else:
            groups[key] = [model]
    return groups


def key_of(output: Output) -> Any:
    """A key of a dict that is the same for equal values; true is no number."""
    try:
        return _frozen(output.value)
    except RecursionError:  # what is nested so deeply is compared as text
        return output.json


def _frozen(value: Any) -> Any:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    if isinstance(value, dict):
        return frozenset((name, _frozen(member)) for name, member in value.items())
    return (bool, value)


def mean(weights: Weights, outputs: Outputs, usual: Outputs = NOTHING_USUAL) -> Combination:
    """The weighted mean of numbers, or of vectors of one length, whichever most of the weight says;
    the vote where it is neither. Whoever says the like agrees.
    """
    alike = of_one_shape(weights, outputs)
    if not alike:
        return vote(weights, outputs)
    return output_of(_mean(weights, alike, usual)), _share(alike, weights)


def scores(weights: Weights, outputs: Outputs, usual: Outputs = NOTHING_USUAL) -> Combination:
    """The weighted mean of score vectors; whoever has the same best class agrees.

    Where most of the weight is not of vectors of one length, as `mean` does.
    """
    alike = of_one_shape(weights, outputs)
    return _scores(weights, alike, usual) or mean(weights, outputs, usual)


def labels(weights: Weights, outputs: Outputs, usual: Outputs = NOTHING_USUAL) -> Combination:
    """As `scores` where most of the weight is of score vectors, else the vote."""
    has_lists = any(type(output.value) is list for output in outputs.values())
    found = _scores(weights, of_one_shape(weights, outputs), usual) if has_lists else None
    return found or vote(weights, outputs)


COMBINE: dict[str, Combine] = {"vote": vote, "mean": mean, "scores": scores, "labels": labels}
BY_LOSS = {
    "zero_one": "labels",
    "absolute": "mean",
    "squared": "mean",
    "log": "scores",
    "given": "labels",
}
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


def _share(agreeing: Collection[ModelId], weights: Weights) -> float:
    """Of the weight; always summed in the same order, so that all of it is 1."""
    total = sum(weights.values())
    return sum(weight for model, weight in weights.items() if model in agreeing) / total


def _shared(weights: Weights, outputs: Outputs) -> list[tuple[float, Output]]:
    """Each output with its share of the weight of all that are there; even where none has any."""
    present = sum(weights[model] for model in outputs)
    if not present:
        return [(1 / len(outputs), output) for output in outputs.values()]
    return [(weights[model] / present, output) for model, output in outputs.items()]


def of_one_shape(weights: Weights, outputs: Outputs) -> Outputs:
    """The numbers among the outputs, or the vectors of one length: what most of the weight says.

    Whoever says anything else has nothing to do with an average. Empty where most of the weight
    says neither.
    """
    groups: dict[int | None, dict[ModelId, Output]] = {}
    for model, output in outputs.items():
        groups.setdefault(length_of(output.value), {})[model] = output
    heaviest = next(iter(groups))
    if len(groups) > 1:
        heaviest = max(groups, key=lambda shape: sum(weights[model] for model in groups[shape]))
    return {} if heaviest is None else groups[heaviest]


def _scores(weights: Weights, alike: Outputs, usual: Outputs) -> Combination | None:
    """Of outputs of one shape; None where they are no vectors."""
    if not alike or not isinstance(next(iter(alike.values())).value, list):
        return None
    combined = _mean(weights, alike, usual)
    best = best_class(combined)
    agreeing = [model for model, output in alike.items() if best_class(output.value) == best]
    return output_of(combined), _share(agreeing, weights)


def _mean(weights: Weights, alike: Outputs, usual: Outputs) -> Any:
    """Of outputs of one shape, and of what is usual and has that shape too."""
    shape = length_of(next(iter(alike.values())).value)
    fitting = {model: output for model, output in usual.items() if length_of(output.value) == shape}
    shared = _shared(weights, {**alike, **fitting})
    if shape == NO_VECTOR:
        return sum(share * output.value for share, output in shared)
    shares = [share for share, _ in shared]
    columns = zip(*(map(float, output.value) for _, output in shared), strict=True)
    return [sum(map(float.__mul__, shares, column)) for column in columns]


def length_of(value: Any) -> int | None:
    """How many numbers a vector has, NO_VECTOR for a bare number; None of what is neither."""
    if isinstance(value, list):
        return len(value) if value and is_vector(value) else None
    return NO_VECTOR if is_number(value) else None


def is_vector(values: list[Any]) -> bool:
    """Whether all of them are numbers."""
    return all(map(is_number, values))


def is_number(value: Any) -> bool:
    """Whether it is one that can be averaged."""
    # True is none, though its type is a kind of int; isinstance takes much longer.
    return type(value) in NUMBERS and bool(-LARGEST <= value <= LARGEST)


def best_class(vector: list[float]) -> int:
    """The place of the largest number, -1 of none."""
    return max(range(len(vector)), key=vector.__getitem__) if vector else -1
