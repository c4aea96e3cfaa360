"""What a model says of its inputs: names, dtypes and shapes, and a batch in just that form.

A form leaves the batch out: `float32[3, ?]` is one input. What a batch holds is converted where
nothing is lost but precision; what does not fit is refused before a framework sees it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
TEXT = np.dtype(object)
NUMBER_KINDS = "biuf"


@dataclass(frozen=True, slots=True)
class Form:
    """One input."""

    dtype: np.dtype[Any]
    """`object` is text."""
    shape: tuple[int | None, ...] | None = ()
    """None is a size, or all of a shape, that is left open."""

    def __str__(self) -> str:
        name = "text" if self.dtype == TEXT else self.dtype.name
        if self.shape is None:
            return f"{name}[...]"
        dims = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{name}[{dims}]" if dims else name

    @property
    def input_type(self) -> str:
        """The input type that carries it as it is."""
        if self.dtype.kind == "f":
            return "doubles" if self.dtype.itemsize > 4 else "floats"
        return "integers" if self.dtype.kind in NUMBER_KINDS else "strings"

    def sample(self) -> Any:
        """Zeros, or a text; None where its size is not known."""
        if self.dtype == TEXT:
            return "a text"
        if self.shape is None or None in self.shape:
            return None
        return np.zeros([size or 0 for size in self.shape], self.dtype)

    def batch(self, inputs: Any) -> Array:
        """Inputs of a batch as one array [batch, ...shape] of the dtype.

        Raises:
            ValueError: they do not fit.
        """
        if self.dtype == TEXT:
            return self._texts(inputs)
        array = stacked(inputs)
        if array.dtype.kind not in NUMBER_KINDS:
            raise ValueError(f"An input is no number; the model takes {self}.")
        if not self._fits(array.shape[1:]):
            raise ValueError(f"An input has the shape {list(array.shape[1:])}; it takes {self}.")
        return cast(array, self.dtype)

    def _texts(self, inputs: Any) -> Array:
        if not all(isinstance(text, str) for text in inputs):
            raise ValueError("An input is no text; the model takes texts.")
        return np.array(inputs, TEXT).reshape(len(inputs), *(1 for _ in self.shape or ()))

    def _fits(self, shape: tuple[int, ...]) -> bool:
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            wanted in (None, size) for wanted, size in zip(self.shape, shape, strict=True)
        )


def stacked(inputs: Any) -> Array:
    """The inputs of a batch as one array.

    Raises:
        ValueError: their shapes differ.
    """
    try:
        return np.asarray(inputs)
    except ValueError:
        shapes = sorted({np.shape(each) for each in inputs if isinstance(each, np.ndarray)})
        named = f", {list(shapes[0])} and {list(shapes[-1])}" if shapes else ""
        raise ValueError(
            f"Inputs of the batch differ in shape{named}; send as many numbers as the others."
        ) from None


def cast(array: Array, dtype: np.dtype[Any]) -> Array:
    """The array in another dtype.

    Raises:
        ValueError: a number has no place in it.
    """
    if np.can_cast(array.dtype, dtype) or array.size == 0:
        return array.astype(dtype, copy=False)
    if dtype.kind in "iu":
        if array.dtype.kind == "f":
            raise ValueError(f"The model takes whole numbers, {dtype.name}; send integers.")
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        if array.min() < least or array.max() > most:
            raise ValueError(
                f"A number is not from {least} to {most}, which {dtype.name} can hold."
            )
    try:
        with np.errstate(over="raise"):
            return array.astype(dtype)
    except FloatingPointError:
        raise ValueError(f"A number is larger than {dtype.name} can hold.") from None


@dataclass(frozen=True, slots=True)
class Forms:
    """All inputs of a model, by name in their order; several travel as one JSON object."""

    by_name: Mapping[str, Form]

    @classmethod
    def one(cls, form: Form) -> "Forms":
        """A single input whose name does not matter."""
        return cls({"": form})

    @property
    def only(self) -> Form | None:
        """The one input, if it is only one."""
        return next(iter(self.by_name.values())) if len(self.by_name) == 1 else None

    def __str__(self) -> str:
        named = ", ".join(f"{name}: {form}" for name, form in self.by_name.items())
        return str(self.only) if self.only else f"{{{named}}}"

    @property
    def input_type(self) -> str:
        """Arrays or texts where there is one input."""
        return self.only.input_type if self.only else "json"

    def sample(self) -> Any:
        """One input; None where a size is not known."""
        if self.only:
            return self.only.sample()
        samples = {name: form.sample() for name, form in self.by_name.items()}
        return None if any(sample is None for sample in samples.values()) else samples

    def columns(self, inputs: Any) -> dict[str, Array]:
        """The arrays of a batch by name.

        Raises:
            ValueError: the inputs do not fit.
        """
        if self.only:
            return {next(iter(self.by_name)): self.only.batch(inputs)}
        for index, record in enumerate(inputs):
            if not isinstance(record, dict) or not self.by_name.keys() <= record.keys():
                raise ValueError(f"Input {index} of the batch is no JSON object with {self}.")
        return {
            name: form.batch([record[name] for record in inputs])
            for name, form in self.by_name.items()
        }


def in_fixed_batches(
    run: Callable[[dict[str, Array]], Mapping[str, Any]], columns: dict[str, Array], size: int
) -> dict[str, Any]:
    """Run a model that was saved for batches of one size only: the last is filled up."""
    parts: list[Mapping[str, Any]] = []
    count = len(next(iter(columns.values())))
    for start in range(0, count, size):
        rows = np.minimum(np.arange(start, start + size), count - 1)
        part = run({name: column[rows] for name, column in columns.items()})
        parts.append({name: output[: count - start] for name, output in part.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
