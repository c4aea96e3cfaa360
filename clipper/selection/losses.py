"""Losses: how far an output is from the label that the application sent, in [0, 1].

An output that is a list of numbers scores classes; a label that is a whole number names one of
them, so that the loss is that of the class that scores best.
"""

import math
from collections.abc import Callable, Collection
from reprlib import repr as shown
from typing import Any

from clipper.core.errors import InvalidInput
from clipper.selection.combining import best_class, is_vector, length_of

LEAST_PROBABILITY = 0.001
"""The log loss is 1 there: a model that was sure, and wrong, costs no more."""


def zero_one(label: Any, output: Any) -> float:
    """0 where they are equal, or the label is the class that scores best; else 1.

    Raises:
        InvalidInput: both are nested too deeply to be compared.
    """
    try:
        if type(label) is int and isinstance(output, list) and is_vector(output):
            output = best_class(output)
        return 0.0 if label == output else 1.0
    except RecursionError:
        raise InvalidInput("The label is nested too deeply.") from None


def log(label: Any, output: Any) -> float:
    """How improbable the truth was said to be: -log p, as a share of the most that counts.

    The output has a probability for each class and the label names one, or the output is one
    probability, that of a label of 1 instead of 0.

    Raises:
        InvalidInput: no such output, or a label that is no class of it.
    """
    chances = output if isinstance(output, list) else [1 - _number("output", output), output]
    if not (is_vector(chances) and all(0 <= chance <= 1 for chance in chances)):
        raise InvalidInput(
            f"The output {shown(output)} has no probabilities.",
            hint="The loss log wants a number from 0 to 1 for each class.",
        )
    if type(label) is not int or not 0 <= label < len(chances):
        raise InvalidInput(
            f"The label {shown(label)} is no class.",
            hint=f"The output has the classes 0 to {len(chances) - 1}.",
        )
    return math.log(max(chances[label], LEAST_PROBABILITY)) / math.log(LEAST_PROBABILITY)


def given(label: Any, output: Any) -> float:
    """The label itself: the application has judged the answer.

    Raises:
        InvalidInput: not a number from 0 to 1.
    """
    loss = _number("label", label)
    if loss < 0:
        raise InvalidInput(f"The loss is {loss:g}; it must be between 0 and 1.")
    return _in_range(loss)


def absolute(label: Any, output: Any) -> float:
    """The distance of two numbers; of two vectors, the mean over their places.

    Raises:
        InvalidInput: no such numbers, or further than 1 apart.
    """
    return _in_range(_mean_of(abs, label, output))


def squared(label: Any, output: Any) -> float:
    """The squared distance of two numbers; of two vectors, the mean over their places.

    Raises:
        InvalidInput: no such numbers, or further than 1 apart.
    """
    return _in_range(_mean_of(lambda distance: distance * distance, label, output))


def _mean_of(cost: Callable[[float], float], label: Any, output: Any) -> float:
    if not isinstance(label, list) or not isinstance(output, list):
        return cost(_number("label", label) - _number("output", output))
    if len(label) != len(output) or not label:
        raise InvalidInput(
            f"The label has {len(label)} numbers and the output {len(output)}.",
            hint="A label for a vector is a vector of the same length.",
        )
    costs = [
        cost(_number("label", one) - _number("output", other))
        for one, other in zip(label, output, strict=True)
    ]
    return sum(costs) / len(costs)


def _number(what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(
            f"The {what} {shown(value)} is not a number.",
            hint="This application's loss compares numbers; zero_one compares any JSON values.",
        )
    try:
        return float(value)
    except OverflowError:
        raise InvalidInput(f"The {what} {shown(value)} is too large.") from None


def _in_range(loss: float) -> float:
    if not loss <= 1:
        raise InvalidInput(
            f"The loss is {loss:g}; it must be between 0 and 1.",
            hint="Scale labels and outputs to [0, 1], or use the loss zero_one.",
        )
    return loss


def is_outputs_fault(loss: str, label: Any, output: Any, lengths: Collection[int]) -> bool:
    """Whether an output that could not be judged by a label is to blame for it, not the label.

    Of distances, where the label is in the range that they are for; if only the shapes differ,
    where labels of that length have judged outputs before. Of the loss `log`, where the output has
    no probabilities. `lengths` are as `combining.length_of` has them.
    """
    if loss == "log":
        chances = output if isinstance(output, list) else [output]
        is_sound = bool(chances) and is_vector(chances) and all(0 <= one <= 1 for one in chances)
        return type(label) is int and label >= 0 and not is_sound
    length = length_of(label)
    if loss not in ("absolute", "squared") or length is None:
        return False
    if not all(0 <= number <= 1 for number in (label if isinstance(label, list) else [label])):
        return False
    shape = length_of(output)
    return shape is None or shape == length or length in lengths


LOSSES: dict[str, Callable[[Any, Any], float]] = {
    "zero_one": zero_one,
    "absolute": absolute,
    "squared": squared,
    "log": log,
    "given": given,
}


def check_loss(name: str) -> None:
    """Whether there is a loss of this name.

    Raises:
        InvalidInput: there is not.
    """
    if name not in LOSSES:
        raise InvalidInput(
            f"There is no loss '{name}'.", hint=f"Choose one of: {', '.join(LOSSES)}."
        )
