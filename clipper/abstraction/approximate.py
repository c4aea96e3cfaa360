"""An index of cached inputs by likeness: which of them is nearest to a query, within a radius?

An entry is findable from when the exact cache takes it in until it evicts it, and is gone in one
step then. Outputs whose best score is not far enough ahead can be kept out (`scores.py`).
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Generic

import numpy as np

from clipper.abstraction.distance import Angular, Distance, Euclidean, Floats
from clipper.abstraction.hashing import Hash, Hyperplanes, Projections
from clipper.abstraction.scores import leads_by
from clipper.abstraction.vector_index import E, VectorIndex
from clipper.core.errors import InvalidInput
from clipper.core.types import Input, InputType

MAX_LENGTH = 32_768
"""Numbers in an input; hashing longer ones would hold up the loop for too long."""
MAX_SHAPES = 4
"""Shapes of inputs at a time, each of which has planes of its own, of up to 8 MiB."""

Shape = tuple[int, tuple[int, ...] | None]
"""Bytes, and the dimensions where there is more than one."""

DTYPES: dict[InputType, np.dtype[Any]] = {
    InputType.INTEGERS: np.dtype("<i4"),
    InputType.FLOATS: np.dtype("<f4"),
    InputType.DOUBLES: np.dtype("<f8"),
}


class Metric(StrEnum):
    """How the distance of two inputs is measured."""

    ANGULAR = "angular"
    """The angle between them, in radians."""
    EUCLIDEAN = "euclidean"
    """The length of their difference."""


_METRICS: dict[Metric, tuple[Callable[[float], Distance], Callable[..., Hash]]] = {
    Metric.ANGULAR: (Angular, Hyperplanes),
    Metric.EUCLIDEAN: (Euclidean, Projections),
}


class ApproximateIndex(Generic[E]):
    """One model version's inputs; those of different shapes are never alike.

    An entry is in it if, and only if, its `code` is set.
    """

    def __init__(
        self,
        metric: Metric,
        radius: float,
        input_type: InputType,
        rng: np.random.Generator,
        margin: float | None = None,
    ) -> None:
        """Given a margin, only scores whose best leads by as much are found.

        Raises:
            InvalidInput: no such radius or margin, or inputs that have no distance.
        """
        if input_type not in DTYPES:
            raise InvalidInput(
                f"Inputs of type {input_type} have no distance.",
                hint=f"An approximate cache takes {', '.join(DTYPES)}.",
            )
        if margin is not None and not margin >= 0:
            raise InvalidInput(f"The margin is {margin}; it is at least 0.")
        distance, self._hash = _METRICS[metric]
        self._distance = distance(radius)
        self._dtype = DTYPES[input_type]
        self._rng = rng
        self._margin = margin
        self._vectors: dict[Shape, VectorIndex[E]] = {}
        """None of them is empty."""

    def __len__(self) -> int:
        return sum(map(len, self._vectors.values()))

    @property
    def compared(self) -> int:
        """Candidates whose distance was computed, for inputs of the shapes that are held now."""
        return sum(vectors.compared for vectors in self._vectors.values())

    def find(self, input: Input) -> E | None:
        """The entry nearest to the input, within the radius."""
        vectors = self._vectors.get((len(input.data), input.shape))
        if vectors is None:
            return None
        vector = self._vector(input)
        return None if vector is None else vectors.find(vector)

    def add(self, entry: E) -> None:
        """Make an entry findable if it may be; one that is in already is left as it is."""
        if entry.code is None and self._may_serve(entry.output.value):
            input = entry.input
            vector = self._vector(input)
            if vector is not None:
                key = len(input.data), input.shape
                vectors = self._vectors.get(key) or self._open(key, len(vector))
                if vectors is not None:
                    vectors.add(entry, vector)

    def _vector(self, input: Input) -> Floats | None:
        return self._distance.place(np.frombuffer(input.data, self._dtype).astype(np.float64))

    def _may_serve(self, value: Any) -> bool:
        return self._margin is None or leads_by(value, self._margin)

    def _open(self, key: Shape, length: int) -> VectorIndex[E] | None:
        """A part for inputs of one more shape, if there may be one."""
        if len(self._vectors) == MAX_SHAPES or not 0 < length <= MAX_LENGTH:
            return None
        hash = self._hash(self._distance.radius, length, self._rng)
        vectors = VectorIndex[E](self._distance, hash, self._dtype, length)
        self._vectors[key] = vectors
        return vectors

    def remove(self, entry: E) -> None:
        """Forget an entry, if it is there."""
        if entry.code is not None:
            key = len(entry.input.data), entry.input.shape
            self._vectors[key].remove(entry)
            if not len(self._vectors[key]):
                del self._vectors[key]
