"""Batches to what `predict_batch` is given: arrays where the inputs are arrays, else lists.

Whoever sends a batch is not trusted to have done the sums: whatever does not add up is an
`InvalidBatch` that says what, before anything of the size that it claims is allocated.
"""

import json
import math
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from clipper_container import model_pb2
from clipper_container.model_pb2 import Batch

Array = NDArray[Any]

DTYPES: dict[int, np.dtype[Any]] = {
    model_pb2.INTEGERS: np.dtype("<i4"),
    model_pb2.FLOATS: np.dtype("<f4"),
    model_pb2.DOUBLES: np.dtype("<f8"),
}


class InvalidBatch(Exception):
    """The batch cannot be read."""


def decode_batch(batch: Batch) -> Array | list[Any]:
    """The inputs: one array [size, ...shape] where shapes agree, else a list of one item an input.

    Raises:
        InvalidBatch: sizes that do not add up, text or JSON that is none, an unknown input type.
    """
    if batch.size == 0:
        raise InvalidBatch("The batch is empty; a batch has at least one input.")
    if dtype := DTYPES.get(batch.input_type):
        return _arrays(batch, dtype)
    if read := READERS.get(batch.input_type):
        return _items(batch, read)
    raise InvalidBatch(f"The batch is of input type {batch.input_type}, which is not known here.")


def _arrays(batch: Batch, dtype: np.dtype[Any]) -> Array | list[Array]:
    shapes = [tuple(shape.dims) for shape in batch.shapes]
    if len(shapes) not in (1, batch.size):
        raise InvalidBatch(f"The batch has {len(shapes)} shapes for {batch.size} inputs.")
    if shapes.count(shapes[0]) == len(shapes):
        return _uniform(batch.data, dtype, (batch.size, *shapes[0]))
    return _ragged(batch.data, dtype, shapes)


def _uniform(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    _check_bytes(data, dtype, math.prod(shape), f"[{shape[0]} inputs of shape {list(shape[1:])}]")
    # A copy, because models work in place and the message's own bytes are read-only.
    return _reshape(np.frombuffer(data, dtype).copy(), shape)


def _ragged(data: bytes, dtype: np.dtype[Any], shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    counts = [math.prod(shape) for shape in shapes]
    _check_bytes(data, dtype, sum(counts), f"the shapes of its {len(shapes)} inputs")
    flat = np.frombuffer(data, dtype).copy()
    return [
        _reshape(flat[stop - count : stop], shape)
        for shape, count, stop in zip(shapes, counts, accumulate(counts), strict=True)
    ]


def _check_bytes(data: bytes, dtype: np.dtype[Any], count: int, what: str) -> None:
    needed = count * dtype.itemsize
    if len(data) != needed:
        raise InvalidBatch(
            f"The batch has {len(data)} bytes, but {dtype.name} {what} has {needed}."
        )


def _reshape(flat: Array, shape: tuple[int, ...]) -> Array:
    try:
        return flat.reshape(shape)
    except ValueError as error:  # more dimensions than numpy has, or sizes beyond its integers
        raise InvalidBatch(f"An input of shape {list(shape)} is no array: {error}") from None


def _items(batch: Batch, read: Callable[[bytes], Any]) -> list[Any]:
    data, lengths = batch.data, batch.lengths
    if len(lengths) != batch.size or sum(lengths) != len(data):
        raise InvalidBatch(
            f"The batch has {len(lengths)} lengths, of {sum(lengths)} bytes together, "
            f"for {batch.size} inputs in {len(data)} bytes."
        )
    items: list[Any] = []
    start = 0
    try:
        for length in lengths:
            items.append(read(data[start : start + length]))
            start += length
    except (ValueError, RecursionError) as error:
        raise InvalidBatch(f"Input {len(items)} of the batch cannot be read: {error}") from None
    return items


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def _read_json(data: bytes) -> Any:
    return _decoder.decode(data.decode())


READERS: dict[int, Callable[[bytes], Any]] = {
    model_pb2.STRINGS: bytes.decode,
    model_pb2.BYTES: bytes,
    model_pb2.JSON: _read_json,
}
