"""What a model usually says: the running mean of its outputs (Clipper, NSDI '17, "Straggler
Mitigation"), which stands in for it in an average when it is late."""

from typing import Any

from clipper.core.outputs import output_of
from clipper.core.types import Output

LARGEST = 1e300
MEMORY = 1000
"""Outputs that count; older ones fade, since models' inputs change."""


class UsualOutput:
    """The mean of numbers, or of vectors of one length; None of anything else."""

    def __init__(self) -> None:
        self._count = 0
        self._mean: list[float] = []
        self._is_vector = False

    def add(self, output: Output) -> None:
        """One output more; one of another shape begins anew, what is no number is passed over."""
        value: Any = output.value
        is_vector = isinstance(value, list)
        numbers = value if is_vector else [value]
        if not all(map(_is_amount, numbers)):
            return
        if len(numbers) != len(self._mean) or is_vector is not self._is_vector:
            self._count, self._is_vector, self._mean = 0, is_vector, [0.0] * len(numbers)
        self._count = min(self._count + 1, MEMORY)
        share = 1 / self._count
        self._mean = [
            mean + share * (number - mean) for mean, number in zip(self._mean, numbers, strict=True)
        ]

    @property
    def output(self) -> Output | None:
        """None while nothing is known."""
        if not self._count:
            return None
        return output_of(list(self._mean) if self._is_vector else self._mean[0])


def _is_amount(value: Any) -> bool:
    return (type(value) is float or type(value) is int) and -LARGEST <= value <= LARGEST
