"""Batches through the columns and back; a container may send any bytes without harm."""

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipper.core.errors import ModelFailed
from clipper.core.outputs import output_of
from clipper.core.types import Input, InputType
from clipper.rpc.columns import decode_outputs, encode_batch
from clipper.rpc.model_pb2 import Batch, Outputs, OutputType

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip
shapes = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple)


@st.composite
def arrays(draw: st.DrawFn) -> tuple[Input, np.ndarray[Any, Any]]:
    """An input of doubles, and the array that it stands for."""
    shape = draw(shapes)
    array = np.arange(np.prod(shape), dtype="<f8").reshape(shape)
    return Input(array.tobytes(), shape if len(shape) > 1 else None), array


@given(batch=st.lists(arrays(), min_size=1, max_size=8))
def test_arrays_of_any_shapes_can_be_told_apart_again(
    batch: list[tuple[Input, np.ndarray[Any, Any]]],
) -> None:
    sent = Batch.FromString(encode_batch(1, InputType.DOUBLES, [input for input, _ in batch]))
    assert sent.size == len(batch)
    shapes = [tuple(shape.dims) for shape in sent.shapes]
    if len(shapes) == 1:
        shapes *= len(batch)
    flat, start = np.frombuffer(sent.data, "<f8"), 0
    for (_, array), shape in zip(batch, shapes, strict=True):
        size = int(np.prod(shape))
        assert np.array_equal(flat[start : start + size].reshape(shape), array)
        start += size
    assert start == len(flat)


@given(blocks=st.lists(st.binary(max_size=20), min_size=1, max_size=8))
def test_blocks_of_bytes_can_be_told_apart_again(blocks: list[bytes]) -> None:
    sent = Batch.FromString(encode_batch(1, InputType.BYTES, [Input(block) for block in blocks]))
    found, start = [], 0
    for length in sent.lengths:
        found.append(sent.data[start : start + length])
        start += length
    assert found == blocks


@given(values=st.lists(json_values, max_size=8))
def test_json_values_come_back_as_they_were(values: Sequence[object]) -> None:
    texts = [output_of(value).json for value in values]
    outputs = Outputs(
        type=OutputType.JSON_TEXT,
        size=len(texts),
        data=b"".join(texts),
        lengths=[len(text) for text in texts],
    )
    assert [output.value for output in decode_outputs(outputs, len(values))] == values


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=8))
def test_numbers_come_back_bit_for_bit(values: list[float]) -> None:
    data = np.asarray(values, "<f8").tobytes()
    outputs = Outputs(type=OutputType.FLOAT64, size=len(values), data=data)
    assert [output.value for output in decode_outputs(outputs, len(values))] == values


@given(
    type=st.sampled_from(list(OutputType.values())),
    size=st.integers(0, 5),
    data=st.binary(max_size=40),
    dims=st.lists(st.sampled_from([0, 1, 2, 3, 2**31, 2**32 - 1]), max_size=5),
    lengths=st.lists(st.integers(0, 10), max_size=5),
)
def test_whatever_a_container_sends_is_outputs_or_the_models_failure(
    type: OutputType, size: int, data: bytes, dims: list[int], lengths: list[int]
) -> None:
    outputs = Outputs(type=type, size=size, data=data, dims=dims, lengths=lengths)
    with contextlib.suppress(ModelFailed):
        assert len(decode_outputs(outputs, size)) == size
    with pytest.raises(ModelFailed):
        decode_outputs(outputs, size + 1)
