"""What a model usually says: the mean of its last outputs (Clipper, NSDI '17, "Straggler
Mitigation"), which stands in for it in an average when it is late."""

from collections import deque
from typing import Any

from clipper.core.outputs import output_of
from clipper.core.types import Output

LARGEST = 1e300
MEMORY = 256
"""Outputs that count; models' inputs change."""
STALE = 32
"""So many outputs may come before the mean is worked out anew."""
MOST_BYTES = 4096
"""Of an output's JSON; longer ones are not held."""


class UsualOutput:
    """The mean of numbers, or of vectors of one length; None of anything else.

    Outputs come with every query, and the mean is rarely asked for: they are only put by.
    """

    def __init__(self) -> None:
        self._recent: deque[Output] = deque(maxlen=MEMORY)
        self._known: Output | None = None
        self._unseen = STALE

    def add(self, output: Output) -> None:
        """One output more."""
        if len(output.json) <= MOST_BYTES:
            self._recent.append(output)
            self._unseen += 1

    @property
    def output(self) -> Output | None:
        """None where nothing is known; what is no number is passed over."""
        if self._unseen >= STALE or self._known is None:
            self._known, self._unseen = _mean(self._recent), 0
        return self._known


def _mean(outputs: deque[Output]) -> Output | None:
    """Of those that have the shape of the last."""
    values = [output.value for output in outputs if _is_amount(output.value)]
    if not values:
        return None
    last = values[-1]
    if not isinstance(last, list):
        numbers = [value for value in values if not isinstance(value, list)]
        return output_of(sum(map(float, numbers)) / len(numbers))
    vectors = [value for value in values if isinstance(value, list) and len(value) == len(last)]
    return output_of([sum(column) / len(vectors) for column in zip(*vectors, strict=True)])


def _is_amount(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_number(number) for number in value)
    return _is_number(value)


def _is_number(value: Any) -> bool:
    return (type(value) is float or type(value) is int) and -LARGEST <= value <= LARGEST
