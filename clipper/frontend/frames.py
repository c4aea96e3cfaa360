"""Bodies of frames: inputs as they are in memory, so that an array needs no JSON.

A body is one frame or more, back to back, each of them one input; integers are little-endian:

    offset 0     4 bytes  the magic, "CLPT"
           4     u8       the version, 1
           5     u8       the type, numbered as `InputType` of `proto/clipper/v1/model.proto`:
                          1 int32, 2 float32, 3 float64, 4 UTF-8 text, 5 bytes, 6 JSON text
           6     u16      n, the number of dimensions, at least 1
           8     u32 * n  the dimensions
           8+4n           the data: as many elements as the dimensions' product, packed

One dimension makes a vector, more a tensor. Text, bytes and JSON have one, their length in bytes.
The type has to be the application's, or one that JSON would let pass: whole numbers and floats of
the other width where it takes floats, any numbers where it takes JSON. The inputs are the very ones
that JSON would give, so that the cache knows them whichever way they come.

A body comes as the pieces in which it was received. Where it is a single frame, its data is copied
once, out of all of them; what a head claims is compared with what is there before that.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from struct import Struct
from typing import NamedTuple, NoReturn

from clipper.core.errors import InvalidInput
from clipper.core.types import Input
from clipper.frontend.decode import MAX_DIMENSIONS, MAX_INPUTS
from clipper.frontend.frame_types import (
    ELEMENTS,
    FRAME_TYPES,
    NUMBERS,
    FrameType,
    MalformedFrame,
)
from clipper.frontend.pieces import Piece

MAGIC = b"CLPT"
VERSION = 1
HEAD = Struct("<4sBBH")
MAX_HEAD_BYTES = HEAD.size + 4 * MAX_DIMENSIONS
MAX_EMPTY = 10_000
"""Rows of an array without a single number, which cost nothing here but would the model."""


class Frame(NamedTuple):
    """Where the data of a frame is, and its shape where it is a tensor."""

    number: int
    """Of its type."""
    start: int
    stop: int
    shape: tuple[int, ...] | None


def read_frames(pieces: Sequence[Piece], input_type: str) -> list[Input]:
    """The inputs of a body, at least one.

    Raises:
        MalformedFrame: it is not made of frames of this input type.
        InvalidInput: there are too many of them.
    """
    expected = FRAME_TYPES[input_type]
    if len(pieces[0]) < MAX_HEAD_BYTES:
        pieces = [b"".join(pieces)]
    first, size = pieces[0], sum(map(len, pieces))
    frame = _find(first, 0, size, expected)
    if frame.stop == size:
        data = b"".join([memoryview(first)[frame.start :], *pieces[1:]])
        return expected.check([expected.take(frame.number, data, frame.shape, 0)])
    return expected.check(_split(b"".join(pieces), expected))


def _split(body: bytes, expected: FrameType) -> list[Input]:
    inputs: list[Input] = []
    at = 0
    while at < len(body):
        if len(inputs) == MAX_INPUTS:
            raise InvalidInput(
                f"The body has more than {MAX_INPUTS} inputs; one request may have as many.",
                hint="Send several requests.",
            )
        try:
            frame = _find(body, at, len(body), expected)
        except MalformedFrame as error:
            place = f"Frame {len(inputs)}, at byte {at} of the body: "
            raise MalformedFrame(place + error.message, hint=error.hint) from None
        data = body[frame.start : frame.stop]
        inputs.append(expected.take(frame.number, data, frame.shape, len(inputs)))
        at = frame.stop
    return inputs


def _find(body: Piece, at: int, size: int, expected: FrameType) -> Frame:
    """The frame at an offset of a body of `size` bytes, of which `body` has the head at least."""
    if size - at < HEAD.size:
        raise MalformedFrame(f"There are {size - at} bytes, too few for a frame's head.")
    magic, version, number, dimensions = HEAD.unpack_from(body, at)
    if magic != MAGIC or version != VERSION:
        _refuse_beginning(magic, version)
    if number != expected.number and number not in expected.converted:
        _refuse_type(number, expected)
    start = at + HEAD.size + 4 * dimensions
    if start > size or not 1 <= dimensions <= MAX_DIMENSIONS:
        _refuse_dimensions(dimensions)
    shape = _dimensions(dimensions).unpack_from(body, at + HEAD.size)
    item_bytes = NUMBERS[number].itemsize if number in NUMBERS else 1
    stop = start + item_bytes * prod(shape)
    if stop > size:
        claimed, there = stop - start, size - start
        raise MalformedFrame(f"Shape {list(shape)} takes {claimed} bytes; {there} are there.")
    if dimensions == 1:
        return Frame(number, start, stop, None)
    _check_tensor(shape, number)
    return Frame(number, start, stop, shape)


def _refuse_beginning(magic: bytes, version: int) -> NoReturn:
    if magic == MAGIC:
        raise MalformedFrame(f"A frame of version {version} is not known here; send version 1.")
    raise MalformedFrame(
        f"No frame begins with {magic!r}; the magic is {MAGIC!r}.",
        hint="Send JSON under another Content-Type, such as application/json.",
    )


def _refuse_type(number: int, expected: FrameType) -> NoReturn:
    sent = ELEMENTS[number] if 0 < number < len(ELEMENTS) else "unknown"
    raise MalformedFrame(
        f"The frame is of type {number} ({sent}); this application takes {expected.input_type}.",
        hint=f"Send type {expected.number} ({expected.element}).",
    )


def _refuse_dimensions(count: int) -> NoReturn:
    if count == 0:
        raise MalformedFrame("A number alone is no input.", hint="Send a vector of one dimension.")
    if count > MAX_DIMENSIONS:
        raise MalformedFrame(f"There are {count} dimensions; there may be {MAX_DIMENSIONS}.")
    raise MalformedFrame(f"The body ends amid the {count} dimensions of a frame.")


def _check_tensor(shape: tuple[int, ...], number: int) -> None:
    if number not in NUMBERS:
        raise MalformedFrame(
            f"The frame has {len(shape)} dimensions; {ELEMENTS[number]} has one, its "
            "length in bytes."
        )
    if 0 in shape and prod(size or 1 for size in shape) > MAX_EMPTY:
        raise MalformedFrame(f"Shape {list(shape)} is too large for an array without numbers.")


@lru_cache(maxsize=MAX_DIMENSIONS)
def _dimensions(count: int) -> Struct:
    return Struct(f"<{count}I")
