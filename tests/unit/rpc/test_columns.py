"""Batches as columns: what is sent, and what a container that cannot be trusted sends back."""

import struct

import numpy as np
import pytest

from clipper.core.errors import ModelFailed
from clipper.core.outputs import output_of
from clipper.core.types import Input, InputType
from clipper.rpc.columns import MAX_VALUES, WIRE_TYPE, decode_outputs, encode_batch
from clipper.rpc.model_pb2 import Batch, Outputs, OutputType

DOUBLES = InputType.DOUBLES


def vector(*numbers: float) -> Input:
    return Input(struct.pack(f"<{len(numbers)}d", *numbers))


def sent(batch_id: int, input_type: InputType, inputs: list[Input]) -> Batch:
    """What arrives of a batch."""
    return Batch.FromString(encode_batch(batch_id, input_type, inputs))


def texts(*blocks: bytes, kind: OutputType = OutputType.TEXT) -> Outputs:
    return Outputs(
        type=kind, size=len(blocks), data=b"".join(blocks), lengths=[len(block) for block in blocks]
    )


def numbers(array: object, kind: OutputType, dtype: str) -> Outputs:
    typed = np.asarray(array, dtype)
    return Outputs(type=kind, size=len(typed), data=typed.tobytes(), dims=typed.shape[1:])


def test_equal_vectors_share_one_shape_and_lie_back_to_back() -> None:
    batch = sent(7, DOUBLES, [vector(1, 2), vector(3, 4)])
    assert (batch.id, batch.size) == (7, 2)
    assert [list(shape.dims) for shape in batch.shapes] == [[2]]
    assert np.frombuffer(batch.data, "<f8").tolist() == [1, 2, 3, 4]
    assert not batch.lengths


def test_vectors_of_different_length_have_a_shape_each() -> None:
    batch = sent(1, DOUBLES, [vector(1, 2), vector(), vector(3)])
    assert [list(shape.dims) for shape in batch.shapes] == [[2], [0], [1]]


def test_a_tensor_keeps_its_shape() -> None:
    tensor = Input(vector(1, 2, 3, 4, 5, 6).data, (2, 3))
    batch = sent(1, DOUBLES, [tensor, tensor])
    assert [list(shape.dims) for shape in batch.shapes] == [[2, 3]]


def test_empty_vectors_are_legal() -> None:
    batch = sent(1, DOUBLES, [vector(), vector()])
    assert [list(shape.dims) for shape in batch.shapes] == [[0]]
    assert batch.data == b""


@pytest.mark.parametrize("input_type", [InputType.INTEGERS, InputType.FLOATS])
def test_smaller_numbers_make_longer_vectors_of_the_same_bytes(input_type: InputType) -> None:
    batch = sent(1, input_type, [Input(bytes(12))])
    assert [list(shape.dims) for shape in batch.shapes] == [[3]]


@pytest.mark.parametrize("input_type", [InputType.STRINGS, InputType.BYTES, InputType.JSON])
def test_texts_and_bytes_come_with_their_lengths(input_type: InputType) -> None:
    batch = sent(1, input_type, [Input("ä".encode()), Input(b""), Input(b"xyz")])
    assert list(batch.lengths) == [2, 0, 3]
    assert batch.data == "äxyz".encode()
    assert not batch.shapes


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 2_097_152, 5_000_000])
def test_data_of_any_size_arrives_whole(size: int) -> None:
    blocks = [b"x" * (size // 2), b"y" * (size - size // 2)]
    batch = sent(3, InputType.BYTES, [Input(block) for block in blocks])
    assert batch == Batch(
        id=3, input_type=WIRE_TYPE[InputType.BYTES], size=2, data=b"".join(blocks),
        lengths=map(len, blocks),
    )  # fmt: skip


def test_every_input_type_has_its_own_on_the_wire() -> None:
    assert set(WIRE_TYPE) == set(InputType)
    assert len(set(WIRE_TYPE.values())) == len(InputType)


@pytest.mark.parametrize(
    ("outputs", "values"),
    [
        (numbers([1, -(2**63), 2**63 - 1], OutputType.INT64, "<i8"), [1, -(2**63), 2**63 - 1]),
        (numbers([0.1, -1e300], OutputType.FLOAT64, "<f8"), [0.1, -1e300]),
        (numbers([0.5, 2.0], OutputType.FLOAT32, "<f4"), [0.5, 2.0]),
        (numbers([True, False], OutputType.BOOL, "?"), [True, False]),
        (numbers([[1, 2], [3, 4]], OutputType.INT64, "<i8"), [[1, 2], [3, 4]]),
        (numbers([[[0.5]], [[1.5]]], OutputType.FLOAT64, "<f8"), [[[0.5]], [[1.5]]]),
        (numbers([[], []], OutputType.FLOAT64, "<f8"), [[], []]),
    ],
)
def test_numbers_keep_their_type_and_shape(outputs: Outputs, values: list[object]) -> None:
    decoded = decode_outputs(outputs, len(values))
    assert [output.value for output in decoded] == values
    assert [type(output.value) for output in decoded] == [type(value) for value in values]


def test_texts_are_parsed_where_they_parse() -> None:
    outputs = texts(b"1", b"", b"None", b'{"a":1}', "é".encode())
    values = [output.value for output in decode_outputs(outputs, 5)]
    assert values == [1, "", "None", {"a": 1}, "é"]


def test_json_texts_are_values() -> None:
    outputs = texts(b'"1"', b"[1,2.5]", b"null", kind=OutputType.JSON_TEXT)
    assert decode_outputs(outputs, 3) == [output_of("1"), output_of([1, 2.5]), output_of(None)]


@pytest.mark.parametrize(
    ("outputs", "complaint"),
    [
        (texts(b"1", b"2"), "The model gave 2 outputs for 1 inputs."),
        (texts(), "The model gave 0 outputs for 1 inputs."),
        (Outputs(), "The model gave 0 outputs for 1 inputs."),
        (Outputs(size=1), "outputs of an unknown type, 0"),
        (Outputs.FromString(b"\x08\x63\x10\x01"), "outputs of an unknown type, 99"),
        (Outputs(type=OutputType.INT64, size=1, data=bytes(7)), "7 bytes for outputs of shape"),
        (Outputs(type=OutputType.INT64, size=1, data=bytes(16)), "16 bytes for outputs of shape"),
        (Outputs(type=OutputType.INT64, size=1, data=bytes(8), dims=[2**31] * 9), "8 bytes"),
        (Outputs(type=OutputType.INT64, size=1, dims=[0, *[2**32 - 1] * 3]), "outputs of shape"),
        (Outputs(type=OutputType.INT64, size=1, data=bytes(8), dims=[1] * 70), "of 70 dimensions"),
        (numbers([float("nan")], OutputType.FLOAT64, "<f8"), "NaN or Infinity"),
        (numbers([float("inf")], OutputType.FLOAT32, "<f4"), "NaN or Infinity"),
        (Outputs(type=OutputType.TEXT, size=1, data=b"x"), "lengths do not add up"),
        (Outputs(type=OutputType.TEXT, size=1, data=b"x", lengths=[2]), "lengths do not add up"),
        (Outputs(type=OutputType.TEXT, size=1, data=b"xy", lengths=[1, 1]), "do not add up"),
        (texts(b"\xff"), "cannot be read: .*utf-8"),
        (texts(b"hello", kind=OutputType.JSON_TEXT), "cannot be read"),
        (texts(b"NaN", kind=OutputType.JSON_TEXT), "cannot be read"),
        (texts(b"", kind=OutputType.JSON_TEXT), "cannot be read"),
        (texts(b"[" * 200_000, kind=OutputType.JSON_TEXT), "cannot be read"),
        (texts(b"1" * 5000, kind=OutputType.JSON_TEXT), "cannot be read"),
    ],
    ids=range(21),
)
def test_an_answer_that_does_not_fit_is_the_models_failure(
    outputs: Outputs, complaint: str
) -> None:
    with pytest.raises(ModelFailed, match=complaint) as failure:
        decode_outputs(outputs, 1)
    assert len(failure.value.message) < 1000


MUCH = MAX_VALUES // 2


@pytest.mark.parametrize(
    "outputs",
    [
        Outputs(type=OutputType.BOOL, size=1, data=bytes(MUCH + 1), dims=[MUCH + 1, 1]),
        Outputs(type=OutputType.BOOL, size=1, data=bytes(2 * MUCH), dims=[2 * MUCH]),
        texts(b"[" + b"[]," * (MUCH + 1) + b"0]", kind=OutputType.JSON_TEXT),
        texts(b"[" + b"0," * (2 * MUCH) + b"0]"),
        texts(b"[" + b'{"":0},' * (MUCH + 1) + b"0]"),
    ],
    ids=["lists of one", "numbers", "lists as JSON", "numbers as text", "objects as text"],
)
def test_outputs_of_so_many_values_that_all_would_wait_for_them_are_refused(
    outputs: Outputs,
) -> None:
    with pytest.raises(ModelFailed, match="more than 2097152 values and lists"):
        decode_outputs(outputs, 1)


def test_large_outputs_are_taken() -> None:
    array = Outputs(type=OutputType.FLOAT32, size=1, data=bytes(4 * MUCH), dims=[MUCH])
    assert len(decode_outputs(array, 1)[0].value) == MUCH
    text = "x" * (3 * MAX_VALUES)
    assert decode_outputs(texts(text.encode()), 1) == [output_of(text)]


def test_outputs_of_nothing_in_huge_dimensions_cost_no_memory() -> None:
    outputs = Outputs(type=OutputType.INT64, size=1, dims=[2**31, 0])
    with pytest.raises(ModelFailed):
        decode_outputs(outputs, 1)
