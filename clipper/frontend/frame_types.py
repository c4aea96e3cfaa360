"""What frames may hold, by the application's input type, and what each of them is checked for."""

from collections.abc import Callable
from functools import lru_cache
from math import isfinite
from struct import Struct
from typing import Any, NamedTuple, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from clipper.core.errors import InvalidInput
from clipper.core.outputs import NOT_JSON
from clipper.core.types import Input
from clipper.frontend.decode import canonical

ELEMENTS = ("nothing", "int32", "float32", "float64", "UTF-8 text", "bytes", "JSON text")
"""By the number of the type."""

NUMBERS: dict[int, np.dtype[Any]] = {1: np.dtype("<i4"), 2: np.dtype("<f4"), 3: np.dtype("<f8")}
"""The types of arrays, by number."""

FEW = 64
"""So many numbers are looked at without numpy."""

Check = Callable[[list[Input]], list[Input]]
Convert = Callable[[NDArray[Any], int], bytes]
"""(an array of another type, the number of its frame) -> the data as this type has it."""


class MalformedFrame(InvalidInput):
    """The body is not made of frames that this application takes."""

    code = "malformed_frame"


class FrameType(NamedTuple):
    """The frames of one input type."""

    input_type: str
    number: int
    check: Check
    """Refuses inputs that are none of this type, and makes equal those that mean the same."""
    converted: frozenset[int] = frozenset()
    """Arrays of these types are taken too, as JSON would be that has such numbers."""
    convert: Convert | None = None

    @property
    def element(self) -> str:
        """What a frame of it holds."""
        return ELEMENTS[self.number]

    def take(self, number: int, data: bytes, shape: tuple[int, ...] | None, index: int) -> Input:
        """The input in a frame of this type, or of one that is converted to it."""
        if number == self.number:
            return Input(data, shape)
        assert self.convert is not None
        array = np.frombuffer(data, NUMBERS[number])
        if self.number in NUMBERS:
            return Input(self.convert(array, index), shape)
        return Input(self.convert(array if shape is None else array.reshape(shape), index))


def _take(inputs: list[Input]) -> list[Input]:
    return inputs


def _check_finite(dtype: str) -> Check:
    kind = np.dtype(dtype)

    def check(inputs: list[Input]) -> list[Input]:
        # Over all inputs at once: for small ones the call costs more than the work.
        data = b"".join([one.data for one in inputs])
        count = len(data) // kind.itemsize
        # numpy's calls take as long as a hundred numbers do here. A sum may overflow.
        if count <= FEW and isfinite(sum(_layout(count, kind.char).unpack(data))):
            return inputs
        if not np.isfinite(np.frombuffer(data, kind)).all():
            _refuse_number(inputs, kind)
        return inputs

    return check


@lru_cache(maxsize=1024)
def _layout(count: int, code: str) -> Struct:
    return Struct(f"<{count}{code}")


def _refuse_number(inputs: list[Input], kind: np.dtype[Any]) -> NoReturn:
    for index, one in enumerate(inputs):
        numbers = np.frombuffer(one.data, kind)
        for place in np.flatnonzero(~np.isfinite(numbers)).tolist():
            raise MalformedFrame(
                f"Frame {index} has {numbers[place]} at place {place}.",
                hint="Every number has to be finite.",
            )
    raise AssertionError("all numbers are finite")


def _check_text(inputs: list[Input]) -> list[Input]:
    for index, one in enumerate(inputs):
        try:
            one.data.decode()
        except UnicodeDecodeError as error:
            raise MalformedFrame(f"Frame {index} is not UTF-8: {error}") from None
    return inputs


def _read_json(inputs: list[Input]) -> list[Input]:
    return [Input(_canonical(one.data, index)) for index, one in enumerate(inputs)]


def _canonical(text: bytes, index: int) -> bytes:
    try:
        return canonical(msgspec.json.decode(text))
    except NOT_JSON as error:
        raise MalformedFrame(f"Frame {index} is not JSON: {error}") from None


def _to_float32(array: NDArray[Any], index: int) -> bytes:
    with np.errstate(over="ignore"):  # what is beyond its range becomes infinite, and is refused
        return array.astype("<f4").tobytes()


def _to_float64(array: NDArray[Any], index: int) -> bytes:
    return array.astype("<f8").tobytes()


def _to_json(array: NDArray[Any], index: int) -> bytes:
    if not np.isfinite(array).all():
        raise MalformedFrame(f"Frame {index} has NaN or infinity in it, which JSON has not.")
    return canonical(array.tolist())


FRAME_TYPES = {
    one.input_type: one
    for one in (
        FrameType("integers", 1, _take),
        FrameType("floats", 2, _check_finite("<f4"), frozenset({1, 3}), _to_float32),
        FrameType("doubles", 3, _check_finite("<f8"), frozenset({1, 2}), _to_float64),
        FrameType("strings", 4, _check_text),
        FrameType("bytes", 5, _take),
        FrameType("json", 6, _read_json, frozenset(NUMBERS), _to_json),
    )
}
