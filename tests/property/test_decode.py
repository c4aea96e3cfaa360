"""Bodies of any content: an input that means the same, or a refusal, and nothing else."""

import base64
import contextlib
import struct

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from clipper.core.errors import InvalidInput
from clipper.core.types import Input
from clipper.frontend.decode import CODECS, QueryRequest

INT32 = st.integers(-(2**31), 2**31 - 1)
FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
JSON_CHARACTERS = '{}[]":,.0123456789eE+-ntrufalsi \\'
FLOAT64 = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = {"integers": (INT32, "i"), "floats": (FLOAT32, "f"), "doubles": (FLOAT64, "d")}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOAT64 | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def read(input_type: str, value: object, key: str = "input") -> QueryRequest:
    return CODECS[input_type].read(msgspec.json.encode({key: value}), lambda version: None)


@given(data=st.data(), input_type=st.sampled_from(sorted(NUMBERS)))
def test_numbers_come_through_bit_for_bit(data: st.DataObject, input_type: str) -> None:
    element, code = NUMBERS[input_type]
    numbers = data.draw(st.lists(element, max_size=20))
    packed = struct.pack(f"<{len(numbers)}{code}", *numbers)
    assert read(input_type, numbers).inputs == [Input(packed)]


@given(rows=st.integers(1, 4), columns=st.integers(0, 4), depth=st.integers(0, 3))
def test_a_tensor_comes_through_with_its_shape(rows: int, columns: int, depth: int) -> None:
    numbers = [float(number) for number in range(rows * columns)]
    matrix: object = [numbers[row * columns : (row + 1) * columns] for row in range(rows)]
    for _ in range(depth):
        matrix = [matrix]
    (input,) = read("doubles", matrix).inputs
    assert input.shape == (*[1] * depth, rows, columns)
    assert struct.unpack(f"<{rows * columns}d", input.data) == tuple(range(rows * columns))


@given(text=st.text())
def test_texts_come_through(text: str) -> None:
    assert read("strings", text).inputs == [Input(text.encode())]


@given(block=st.binary())
def test_bytes_come_through(block: bytes) -> None:
    assert read("bytes", base64.b64encode(block).decode()).inputs == [Input(block)]


@given(value=json_values)
def test_json_values_come_through(value: object) -> None:
    (input,) = read("json", value).inputs
    assert msgspec.json.decode(input.data) == value


@given(value=json_values, input_type=st.sampled_from(sorted(CODECS)))
def test_a_batch_is_read_as_its_inputs_are_alone(value: object, input_type: str) -> None:
    def outcome(value: object, key: str) -> list[Input] | None:
        try:
            return read(input_type, value, key).inputs
        except InvalidInput:
            return None

    alone = outcome(value, "input")
    assert outcome([value], "input_batch") == alone
    assert outcome([value, value], "input_batch") == (None if alone is None else alone * 2)


@given(
    raw=st.binary(max_size=60)
    | st.text(alphabet='{}[]":,.0123456789eE+-ntrufalsi \\input_batch', max_size=60).map(
        str.encode
    ),
    input_type=st.sampled_from(sorted(CODECS)),
)
def test_whatever_is_sent_is_read_or_refused(raw: bytes, input_type: str) -> None:
    for body in (raw, b'{"input": %b}' % raw, b'{"input_batch": [%b]}' % raw):
        with contextlib.suppress(InvalidInput):
            CODECS[input_type].read(body, lambda version: None)
