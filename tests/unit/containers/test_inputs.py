"""Batches to what a model is given, and what is refused."""

import contextlib
from typing import Any

import numpy as np
import pytest
from clipper_container import model_pb2
from clipper_container.inputs import InvalidBatch, decode_batch
from clipper_container.model_pb2 import Batch, Shape
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.fakes.wire import batch_of

ARRAYS = [
    (model_pb2.INTEGERS, np.int32),
    (model_pb2.FLOATS, np.float32),
    (model_pb2.DOUBLES, np.float64),
]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda values: (
        st.lists(values) | st.dictionaries(st.text(st.characters(codec="utf-8")), values)
    ),
    max_leaves=10,
)


@pytest.mark.parametrize(("input_type", "dtype"), ARRAYS)
def test_inputs_of_one_shape_become_one_array_of_the_input_types_own_dtype(
    input_type: Any, dtype: Any
) -> None:
    inputs = decode_batch(batch_of([[1, 2, 3], [4, 5, 6]], input_type))
    assert isinstance(inputs, np.ndarray)
    assert inputs.dtype == dtype
    assert inputs.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_one_shape_may_stand_for_all_inputs() -> None:
    batch = Batch(
        input_type=model_pb2.FLOATS,
        size=2,
        data=np.arange(12, dtype="<f4").tobytes(),
        shapes=[Shape(dims=[3, 2])],
    )
    inputs = decode_batch(batch)
    assert isinstance(inputs, np.ndarray)
    assert inputs.shape == (2, 3, 2)


def test_a_model_may_change_its_inputs_in_place() -> None:
    inputs: Any = decode_batch(batch_of([[1.0, 2.0], [3.0, 4.0]]))
    inputs -= 1
    ragged = decode_batch(batch_of([[1.0, 2.0], [3.0]]))
    ragged[0] += 1
    assert ragged[1].tolist() == [3.0]


def test_inputs_of_different_shapes_become_a_list_of_arrays() -> None:
    inputs = decode_batch(batch_of([[1, 2, 3], [], [[4, 5], [6, 7]]]))
    assert isinstance(inputs, list)
    assert [each.tolist() for each in inputs] == [[1, 2, 3], [], [[4, 5], [6, 7]]]


def test_empty_vectors_texts_and_bytes_are_inputs_like_any_other() -> None:
    empty: Any = decode_batch(batch_of([[], []]))
    assert empty.shape == (2, 0)
    assert decode_batch(batch_of(["", "a"], model_pb2.STRINGS)) == ["", "a"]
    assert decode_batch(batch_of([b"", b"\xff"], model_pb2.BYTES)) == [b"", b"\xff"]


@given(st.data(), st.sampled_from(ARRAYS), SHAPES, st.integers(1, 5))
def test_every_uniform_batch_comes_out_as_it_went_in(
    data: Any, array_type: Any, shape: tuple[int, ...], size: int
) -> None:
    input_type, dtype = array_type
    sent = data.draw(hnp.arrays(dtype, (size, *shape)))
    received: Any = decode_batch(batch_of(list(sent), input_type))
    np.testing.assert_array_equal(received, sent)
    assert received.dtype == dtype


@given(st.lists(SHAPES.flatmap(lambda shape: hnp.arrays(np.float64, shape)), min_size=1))
def test_every_ragged_batch_comes_out_as_it_went_in(sent: Any) -> None:
    received: Any = decode_batch(batch_of(sent, model_pb2.DOUBLES))
    assert len(received) == len(sent)
    for ours, theirs in zip(received, sent, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.shape == theirs.shape


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1))
def test_every_text_comes_out_as_it_went_in(sent: Any) -> None:
    assert decode_batch(batch_of(sent, model_pb2.STRINGS)) == sent


@given(st.lists(st.binary(), min_size=1))
def test_all_bytes_come_out_as_they_went_in(sent: Any) -> None:
    assert decode_batch(batch_of(sent, model_pb2.BYTES)) == sent


@given(st.lists(JSON_VALUES, min_size=1))
def test_every_json_value_comes_out_as_it_went_in(sent: Any) -> None:
    assert decode_batch(batch_of(sent, model_pb2.JSON)) == sent


HUGE = 2**32 - 1


def floats(**fields: Any) -> Batch:
    return Batch(input_type=model_pb2.FLOATS, **fields)


def strings(**fields: Any) -> Batch:
    return Batch(input_type=model_pb2.STRINGS, **fields)


def unknown(number: int) -> Batch:
    return Batch.FromString(bytes([0x10, number, 0x18, 1]))


@pytest.mark.parametrize(
    ("batch", "complaint"),
    [
        (floats(), "is empty"),
        (unknown(99), "input type 99"),
        (unknown(0), "input type 0"),
        (floats(size=1, data=b"1234"), "0 shapes for 1 inputs"),
        (floats(size=3, shapes=[Shape()] * 2), "2 shapes for 3 inputs"),
        (floats(size=1, data=b"12345", shapes=[Shape(dims=[1])]), "5 bytes"),
        (floats(size=2, data=b"1234", shapes=[Shape(dims=[1])]), "4 bytes"),
        (floats(size=HUGE, data=b"1234", shapes=[Shape(dims=[HUGE] * 9)]), "4 bytes"),
        (floats(size=1, shapes=[Shape(dims=[0] * 99)]), "is no array"),
        (floats(size=1, shapes=[Shape(dims=[HUGE, HUGE, HUGE, 0])]), "is no array"),
        (
            floats(size=2, data=b"1234", shapes=[Shape(dims=[1]), Shape(dims=[2])]),
            "4 bytes",
        ),
        (strings(size=2, data=b"ab", lengths=[2]), "1 lengths"),
        (strings(size=2, data=b"ab", lengths=[1, 2]), "of 3 bytes"),
        (strings(size=2, data=b"a\xff", lengths=[1, 1]), "Input 1 of the batch"),
    ],
)
def test_a_batch_that_does_not_add_up_is_refused_by_name(batch: Batch, complaint: str) -> None:
    with pytest.raises(InvalidBatch, match=complaint):
        decode_batch(batch)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"NaN", b'{"a": Infinity}', b"\xff", b"\xef\xbb\xbf1", b"[" * 200_000, b"1" * 5000],
    ids=lambda text: repr(text[:8]),
)
def test_what_is_no_json_is_refused_by_its_place(text: bytes) -> None:
    batch = Batch(input_type=model_pb2.JSON, size=2, data=b"1" + text, lengths=[1, len(text)])
    with pytest.raises(InvalidBatch, match="Input 1 of the batch"):
        decode_batch(batch)


@given(st.binary(max_size=64), st.integers(0, 3), st.lists(st.integers(0, 9)), st.integers(0, 7))
def test_no_batch_breaks_the_decoder(
    data: Any, size: int, numbers: list[int], input_type: Any
) -> None:
    batch = Batch(
        input_type=input_type,
        size=size,
        data=data,
        lengths=numbers,
        shapes=[Shape(dims=[number]) for number in numbers],
    )
    with contextlib.suppress(InvalidBatch):
        assert len(decode_batch(batch)) == size
