"""Frames of any content, from either end: the inputs that JSON would give, and nothing else."""

import contextlib
import itertools
import struct
from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from clipper.admin.frames import frame_of
from clipper.admin.messages import encode
from clipper.core.errors import InvalidInput
from clipper.core.types import Input
from clipper.frontend.decode import CODECS
from clipper.frontend.frames import read_frames
from tests.fakes.frames import TYPES, frame

DTYPES = {"integers": "<i4", "floats": "<f4", "doubles": "<f8"}


def from_json(input_type: str, values: list[Any]) -> list[Input]:
    body = encode({"input_batch": values})
    return CODECS[input_type].read(body, lambda version: None).inputs


def cut(data: st.DataObject, body: bytes) -> list[bytes]:
    """A body in pieces of any size."""
    places = sorted(data.draw(st.sets(st.integers(1, max(1, len(body) - 1)), max_size=5)))
    edges = [0, *(place for place in places if place < len(body)), len(body)]
    return [body[start:stop] for start, stop in itertools.pairwise(edges)]


def finite_arrays(input_type: str) -> st.SearchStrategy[Any]:
    shapes = arrays.array_shapes(max_dims=4, min_side=1, max_side=4)
    finite = {"allow_nan": False, "allow_infinity": False}
    elements = None if input_type == "integers" else finite
    return arrays.arrays(DTYPES[input_type], shapes, elements=elements)


@given(data=st.data(), input_type=st.sampled_from(sorted(DTYPES)))
def test_arrays_are_the_same_inputs_as_frames_and_as_json(
    data: st.DataObject, input_type: str
) -> None:
    values = data.draw(st.lists(finite_arrays(input_type), min_size=1, max_size=4))
    written = [frame(input_type, value.tobytes(), value.shape) for value in values]
    assert written == [frame_of(value) for value in values]
    inputs = read_frames(cut(data, b"".join(written)), input_type)
    assert inputs == from_json(input_type, values)
    assert set(inputs) == set(from_json(input_type, values)), "to the cache, too"


@given(view=finite_arrays("doubles"))
def test_a_view_of_an_array_is_sent_as_it_looks(view: Any) -> None:
    for look in (view.T, view[::-1], view[..., ::2], np.broadcast_to(view, (2, *view.shape))):
        written = frame_of(look)
        assert written is not None
        assert read_frames([written], "doubles") == from_json("doubles", [look])


@given(data=st.data(), blocks=st.lists(st.binary(max_size=40), min_size=1, max_size=5))
def test_bytes_are_the_same_inputs_as_frames_and_as_json(
    data: st.DataObject, blocks: list[bytes]
) -> None:
    written = [frame("bytes", block) for block in blocks]
    assert written == [frame_of(block) for block in blocks]
    inputs = read_frames(cut(data, b"".join(written)), "bytes")
    assert inputs == from_json("bytes", list(blocks))


@given(data=st.data(), texts=st.lists(st.text(), min_size=1, max_size=5))
def test_texts_are_the_same_inputs_as_frames_and_as_json(
    data: st.DataObject, texts: list[str]
) -> None:
    body = b"".join(frame("strings", text.encode()) for text in texts)
    assert read_frames(cut(data, body), "strings") == from_json("strings", list(texts))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(values=st.lists(json_values, min_size=1, max_size=4), indent=st.integers(1, 8))
def test_json_is_the_same_input_however_it_is_written(values: list[Any], indent: int) -> None:
    texts = [msgspec.json.format(msgspec.json.encode(one), indent=indent) for one in values]
    body = b"".join(frame("json", text) for text in texts)
    assert read_frames([body], "json") == from_json("json", values)


@given(
    data=st.data(),
    input_type=st.sampled_from(sorted(TYPES)),
    dims=st.lists(st.integers(0, 5) | st.integers(0, 2**32 - 1), max_size=40),
    block=st.binary(max_size=80),
)
def test_whatever_is_claimed_is_there_or_refused(
    data: st.DataObject, input_type: str, dims: list[int], block: bytes
) -> None:
    body = frame(input_type, block, dims)
    with contextlib.suppress(InvalidInput):
        (input,) = read_frames(cut(data, body), input_type)
        assert input.data == block or input_type == "json"
        assert input.shape == (tuple(dims) if len(dims) > 1 else None)


@given(raw=st.binary(max_size=80), input_type=st.sampled_from(sorted(TYPES)))
def test_whatever_is_sent_is_read_or_refused(raw: bytes, input_type: str) -> None:
    head = b"CLPT" + struct.pack("<BB", 1, TYPES[input_type])
    for body in (raw, head + raw, frame(input_type, b"") + raw):
        with contextlib.suppress(InvalidInput):
            assert read_frames([body], input_type)
