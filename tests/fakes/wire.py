"""The container protocol from the daemon's side, naively: an oracle for the columns."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from clipper_container import model_pb2
from clipper_container.model_pb2 import Batch, Outputs, Shape

INPUT_DTYPES = {
    model_pb2.INTEGERS: "<i4",
    model_pb2.FLOATS: "<f4",
    model_pb2.DOUBLES: "<f8",
}
OUTPUT_DTYPES = {
    model_pb2.INT64: "<i8",
    model_pb2.FLOAT32: "<f4",
    model_pb2.FLOAT64: "<f8",
    model_pb2.BOOL: "?",
}


def batch_of(
    inputs: Sequence[Any],
    input_type: model_pb2.InputType = model_pb2.FLOATS,
    batch_id: int = 1,
) -> Batch:
    """A batch of arrays (anything that numpy takes for one), texts, bytes or JSON values."""
    batch = Batch(id=batch_id, input_type=input_type, size=len(inputs))
    if dtype := INPUT_DTYPES.get(input_type):
        arrays = [np.asarray(each, dtype) for each in inputs]
        batch.data = b"".join(array.tobytes() for array in arrays)
        batch.shapes.extend(Shape(dims=array.shape) for array in arrays)
        return batch
    blocks = [_block(each, input_type) for each in inputs]
    batch.data = b"".join(blocks)
    batch.lengths.extend(len(block) for block in blocks)
    return batch


def _block(value: Any, input_type: model_pb2.InputType) -> bytes:
    if input_type == model_pb2.JSON:
        return json.dumps(value).encode()
    return value.encode() if isinstance(value, str) else bytes(value)


def values_of(outputs: Outputs) -> list[Any]:
    """The outputs as plain values; fails where the columns do not add up."""
    if dtype := OUTPUT_DTYPES.get(outputs.type):
        array = np.frombuffer(outputs.data, dtype).reshape((outputs.size, *outputs.dims))
        return list(array.tolist())
    assert len(outputs.lengths) == outputs.size
    assert sum(outputs.lengths) == len(outputs.data)
    texts, rest = [], outputs.data
    for length in outputs.lengths:
        texts.append(rest[:length].decode())
        rest = rest[length:]
    return texts if outputs.type == model_pb2.TEXT else [json.loads(text) for text in texts]
