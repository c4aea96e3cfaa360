"""What frames may hold, by the application's input type, and what each of them is checked for."""

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import msgspec
import numpy as np

from clipper.core.errors import InvalidInput
from clipper.core.outputs import NOT_JSON
from clipper.core.types import Input
from clipper.frontend.decode import canonical

ELEMENTS = ("nothing", "int32", "float32", "float64", "UTF-8 text", "bytes", "JSON text")
"""By the number of the type."""

Check = Callable[[list[Input]], list[Input]]


class MalformedFrame(InvalidInput):
    """The body is not made of frames that this application takes."""

    code = "malformed_frame"


class FrameType(NamedTuple):
    """The frames of one input type."""

    input_type: str
    number: int
    item_bytes: int
    check: Check
    """Refuses inputs that are none of this type, and makes equal those that mean the same."""

    @property
    def element(self) -> str:
        """What a frame of it holds."""
        return ELEMENTS[self.number]

    @property
    def is_array(self) -> bool:
        """Whether it may have more than one dimension."""
        return self.item_bytes > 1


def _take(inputs: list[Input]) -> list[Input]:
    return inputs


def _check_finite(dtype: str) -> Check:
    kind = np.dtype(dtype)

    def check(inputs: list[Input]) -> list[Input]:
        # Over all inputs at once: for small ones the call costs more than the work.
        numbers = np.frombuffer(b"".join([one.data for one in inputs]), kind)
        if not np.isfinite(numbers).all():
            _refuse_number(inputs, kind)
        return inputs

    return check


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


FRAME_TYPES = {
    one.input_type: one
    for one in (
        FrameType("integers", 1, 4, _take),
        FrameType("floats", 2, 4, _check_finite("<f4")),
        FrameType("doubles", 3, 8, _check_finite("<f8")),
        FrameType("strings", 4, 1, _check_text),
        FrameType("bytes", 5, 1, _take),
        FrameType("json", 6, 1, _read_json),
    )
}
