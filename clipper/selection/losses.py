"""Losses: how far an output is from the label that the application sent, in [0, 1]."""

from collections.abc import Callable
from reprlib import repr as shown
from typing import Any

from clipper.core.errors import InvalidInput


def zero_one(label: Any, output: Any) -> float:
    """0 where they are equal, else 1.

    Raises:
        InvalidInput: both are nested too deeply to be compared.
    """
    try:
        return 0.0 if label == output else 1.0
    except RecursionError:
        raise InvalidInput("The label is nested too deeply.") from None


def absolute(label: Any, output: Any) -> float:
    """The distance of two numbers.

    Raises:
        InvalidInput: not numbers, or further than 1 apart.
    """
    return _in_range(abs(_number("label", label) - _number("output", output)))


def squared(label: Any, output: Any) -> float:
    """The squared distance of two numbers.

    Raises:
        InvalidInput: not numbers, or further than 1 apart.
    """
    distance = _number("label", label) - _number("output", output)
    return _in_range(distance * distance)  # `** 2` raises where this is Infinity


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


LOSSES: dict[str, Callable[[Any, Any], float]] = {
    "zero_one": zero_one,
    "absolute": absolute,
    "squared": squared,
}
