"""Inputs as frames, which spare both sides their JSON: arrays of numbers, and bytes.

A frame is `CLPT`, the version 1, the type, the number of dimensions, the dimensions, and the data
as it is in memory, all of it little-endian; the README has the layout byte by byte.
"""

import struct
from typing import Any

from clipper.admin.errors import InvalidCall

MEDIA_TYPE = "application/octet-stream"
ARRAY_TYPES = {"<i4": 1, "<f4": 2, "<f8": 3}
"""The type of an array's frame, by the name that numpy's array interface has for its numbers."""
SENT_AS = {"i": "<i4", "u": "<i4", "f": "<f8"}
"""How an array of other numbers is sent, by their kind; `e`, of two bytes, is an `f` too."""
BYTES_TYPE = 5


def frame_of(value: Any) -> bytes | None:
    """The frame of an array or of bytes; None of anything else, which goes as JSON.

    Raises:
        InvalidCall: an array of numbers that no model takes.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        return _frame(BYTES_TYPE, (len(data),), data)
    layout = getattr(value, "__array_interface__", None)
    if layout is None or not layout["shape"]:  # a numpy scalar is a number like any other
        return None
    if layout["typestr"] not in ARRAY_TYPES:
        kind = SENT_AS.get(layout["typestr"][1])
        if kind is None:
            return None
        value = _narrowed(value, kind)
        layout = value.__array_interface__
    return _frame(ARRAY_TYPES[layout["typestr"]], layout["shape"], value.tobytes())


def _narrowed(array: Any, kind: str) -> Any:
    """The array in another type, if every number is the same in it."""
    narrowed = array.astype(kind)
    if not (narrowed == array).all():
        raise InvalidCall(
            f"The array of {array.dtype} has numbers that {narrowed.dtype} has not.",
            hint="Make it float64 with array.astype('float64'), or send array.tolist().",
        )
    return narrowed


def _frame(number: int, shape: tuple[int, ...], data: bytes) -> bytes:
    head = struct.pack(f"<4sBBH{len(shape)}I", b"CLPT", 1, number, len(shape), *shape)
    return head + data
