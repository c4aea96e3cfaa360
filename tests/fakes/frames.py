"""Frames written from the README's table, naively: an oracle for who reads and who writes them."""

import struct
from collections.abc import Sequence

TYPES = {"integers": 1, "floats": 2, "doubles": 3, "strings": 4, "bytes": 5, "json": 6}
ITEM_BYTES = {"integers": 4, "floats": 4, "doubles": 8}


def frame(
    input_type: str,
    data: bytes,
    dims: Sequence[int] | None = None,
    *,
    magic: bytes = b"CLPT",
    version: int = 1,
    number: int | None = None,
) -> bytes:
    """A frame; without dimensions, it has the one that its data has."""
    if dims is None:
        dims = [len(data) // ITEM_BYTES.get(input_type, 1)]
    number = TYPES[input_type] if number is None else number
    head = magic + struct.pack("<BBH", version, number, len(dims))
    return head + b"".join(struct.pack("<I", size) for size in dims) + data
