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
    number = ARRAY_TYPES.get(layout["typestr"])
    if number is None:
        raise InvalidCall(
            f"An array of {getattr(value, 'dtype', layout['typestr'])} cannot be sent as it is.",
            hint="Make it what the application takes: array.astype('int32') for integers, "
            "'float32' for floats, 'float64' for doubles, or array.tolist() for JSON.",
        )
    return _frame(number, layout["shape"], value.tobytes())


def _frame(number: int, shape: tuple[int, ...], data: bytes) -> bytes:
    head = struct.pack(f"<4sBBH{len(shape)}I", b"CLPT", 1, number, len(shape), *shape)
    return head + data
