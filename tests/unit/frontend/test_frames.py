"""Bodies of frames: the inputs that JSON would give, and a refusal that says why for all else."""

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from clipper.core.errors import InvalidInput
from clipper.core.types import Input, InputType
from clipper.frontend.decode import CODECS, MAX_DIMENSIONS, MAX_INPUTS
from clipper.frontend.frame_types import FRAME_TYPES, MalformedFrame
from clipper.frontend.frames import read_frames
from clipper.rpc.columns import WIRE_TYPE
from tests.fakes.frames import frame

FLOATS = struct.pack("<6f", *range(6))
HUGE = 2**32 - 1


def read(input_type: str, *frames: bytes) -> list[Input]:
    return read_frames([b"".join(frames)], input_type)


def from_json(input_type: str, text: str) -> list[Input]:
    body = f'{{"input": {text}}}'.encode()
    return CODECS[input_type].read(body, lambda version: None).inputs


def cause(input_type: str, *frames: bytes) -> str:
    """Why a body is refused."""
    with pytest.raises(MalformedFrame) as refusal:
        read(input_type, *frames)
    said = f"{refusal.value.message} {refusal.value.hint}".strip()
    assert 0 < len(said) < 1000
    return said


def test_types_are_numbered_as_in_the_contract_with_containers() -> None:
    assert set(FRAME_TYPES) == set(InputType)
    for input_type, frame_type in FRAME_TYPES.items():
        assert frame_type.number == WIRE_TYPE[InputType(input_type)]


@pytest.mark.parametrize(
    ("input_type", "data", "text"),
    [
        ("integers", struct.pack("<2i", -(2**31), 2**31 - 1), "[-2147483648, 2147483647]"),
        ("floats", struct.pack("<3f", 1, 0.5, -1e38), "[1, 0.5, -1e38]"),
        ("doubles", struct.pack("<3d", 1, 0.1, -1e308), "[1, 0.1, -1e308]"),
        ("doubles", struct.pack("<2d", -0.0, 5e-324), "[-0.0, 5e-324]"),
        ("strings", "größer\0".encode(), '"gr\\u00f6\\u00dfer\\u0000"'),
        ("bytes", b"\x00\x01\xff", '"AAH/"'),
        ("json", b' {"b": [1, 2.50, null], "a": "\\u0078"}\n', '{"b":[1,2.5,null],"a":"x"}'),
        ("integers", b"", "[]"),
        ("floats", b"", "[]"),
        ("doubles", b"", "[]"),
        ("strings", b"", '""'),
        ("bytes", b"", '""'),
    ],
)
def test_a_frame_gives_the_input_that_json_gives(input_type: str, data: bytes, text: str) -> None:
    assert read(input_type, frame(input_type, data)) == from_json(input_type, text)


@pytest.mark.parametrize("shape", [(2, 3), (1, 6), (6, 1), (1, 2, 3), (*[1] * 31, 6)])
def test_a_tensor_keeps_its_shape(shape: tuple[int, ...]) -> None:
    nested = np.frombuffer(FLOATS, "<f4").reshape(shape).tolist()
    assert read("floats", frame("floats", FLOATS, shape)) == from_json("floats", str(nested))


@pytest.mark.parametrize("shape", [(2, 0), (1, 0), (1, 2, 0), (0, 3), (0, 0)])
def test_a_tensor_may_be_empty(shape: tuple[int, ...]) -> None:
    assert read("floats", frame("floats", b"", shape)) == [Input(b"", shape)]


@pytest.mark.parametrize("shape", [(0, HUGE), (HUGE, 0), (HUGE, HUGE, 0, HUGE), (200, 200, 0)])
def test_nothing_at_all_does_not_pass_for_a_huge_array(shape: tuple[int, ...]) -> None:
    assert "too large" in cause("floats", frame("floats", b"", shape))


def test_frames_lie_back_to_back_and_may_differ_in_shape() -> None:
    shapes = [(6,), (2, 3), (3, 2)]
    body = [frame("floats", FLOATS, shape) for shape in shapes]
    assert [one.shape for one in read("floats", *body)] == [None, (2, 3), (3, 2)]
    texts = [frame("strings", text) for text in (b"a", b"", b"bc")]
    assert read("strings", *texts) == [Input(b"a"), Input(b""), Input(b"bc")]


def test_a_request_holds_a_bounded_number_of_inputs() -> None:
    body = frame("bytes", b"") * MAX_INPUTS
    assert len(read("bytes", body)) == MAX_INPUTS
    with pytest.raises(InvalidInput, match=f"more than {MAX_INPUTS} inputs"):
        read("bytes", body, frame("bytes", b""))


@pytest.mark.parametrize("input_type", sorted(FRAME_TYPES))
def test_a_frame_of_another_type_is_refused_with_both_named_and_the_fix(input_type: str) -> None:
    expected = FRAME_TYPES[input_type]
    for other in FRAME_TYPES.values():
        if other is not expected and other.number not in expected.converted:
            said = cause(input_type, frame(other.input_type, b"\0" * 8))
            assert f"of type {other.number} ({other.element})" in said
            assert f"this application takes {input_type}" in said
            assert f"Send type {expected.number} ({expected.element})." in said


WHOLE, WIDE = np.array([[1, -2]], "<i4"), np.array([0.5, 0.1], "<f8")


@pytest.mark.parametrize(
    ("input_type", "sent", "array", "expected"),
    [
        ("floats", "integers", WHOLE, Input(WHOLE.astype("<f4").tobytes(), (1, 2))),
        ("doubles", "integers", WHOLE, Input(WHOLE.astype("<f8").tobytes(), (1, 2))),
        ("floats", "doubles", WIDE, Input(WIDE.astype("<f4").tobytes())),
        (
            "doubles",
            "floats",
            WIDE.astype("<f4"),
            Input(WIDE.astype("<f4").astype("<f8").tobytes()),
        ),
        ("json", "doubles", WIDE, Input(b"[0.5,0.1]")),
        ("json", "integers", WHOLE, Input(b"[[1,-2]]")),
    ],
)
def test_numbers_are_taken_wherever_json_would_let_them_pass(
    input_type: str, sent: str, array: Any, expected: Input
) -> None:
    data = frame(sent, array.tobytes(), array.shape)
    assert read(input_type, data) == [expected]
    other = frame(input_type, expected.data, array.shape) if input_type != "json" else data
    assert read(input_type, data, other) == [expected, expected]


def test_what_is_beyond_the_range_of_the_applications_numbers_is_refused() -> None:
    data = np.array([1.0, 1e39], "<f8").tobytes()
    assert "Every number has to be finite" in cause("floats", frame("doubles", data))
    data = np.array([np.nan], "<f8").tobytes()
    assert "NaN or infinity" in cause("json", frame("doubles", data))


@pytest.mark.parametrize("number", [0, 7, 255])
def test_a_type_that_there_is_not_is_refused(number: int) -> None:
    assert f"type {number} (unknown)" in cause("floats", frame("floats", FLOATS, number=number))


def test_json_under_this_media_type_is_told_where_it_belongs() -> None:
    said = cause("floats", b'{"input": [0.5, 1.5]}')
    assert "No frame begins with b'{\"in'" in said
    assert "application/json" in said


def test_a_version_to_come_is_refused() -> None:
    assert "version 2" in cause("floats", frame("floats", FLOATS, version=2))


def test_a_body_without_a_frame_is_refused() -> None:
    assert "0 bytes" in cause("floats", b"")


@pytest.mark.parametrize("dims", [[], [1] * (MAX_DIMENSIONS + 1), [1] * 65_535])
def test_dimensions_are_one_at_least_and_bounded(dims: list[int]) -> None:
    cause("floats", frame("floats", b"\0" * 4, dims))


def test_a_claim_of_dimensions_that_are_not_there_is_refused() -> None:
    head = b"CLPT" + struct.pack("<BBH", 1, 2, 65_535)
    assert "65535 dimensions" in cause("floats", head)
    assert "ends amid the 3 dimensions" in cause("floats", frame("floats", b"", [1, 1, 1])[:-1])


@pytest.mark.parametrize(
    "dims", [[HUGE], [7], [2, 4], [HUGE] * MAX_DIMENSIONS, [2**16, 2**16], [2**31, 2, 1]]
)
def test_a_claim_of_more_than_is_there_is_refused(dims: list[int]) -> None:
    said = cause("floats", frame("floats", FLOATS, dims))
    assert "24 are there" in said


@pytest.mark.parametrize("cut", range(1, 36))
def test_a_frame_that_was_cut_off_anywhere_is_refused(cut: int) -> None:
    whole = frame("floats", FLOATS)
    assert len(whole) == 36
    cause("floats", whole[:-cut])
    assert "Frame 1, at byte 36" in cause("floats", whole, (whole + b"x")[: 36 - cut])


@pytest.mark.parametrize("rest", [b"\0", b"CLPT", b"\r\n" * 8])
def test_what_follows_a_frame_has_to_be_a_frame(rest: bytes) -> None:
    assert "Frame 2, at byte 72" in cause("floats", frame("floats", FLOATS) * 2, rest)


@pytest.mark.parametrize("input_type", ["strings", "bytes", "json"])
def test_only_arrays_have_several_dimensions(input_type: str) -> None:
    assert "has one, its length in bytes" in cause(input_type, frame(input_type, b"1111", [2, 2]))


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(("input_type", "code"), [("floats", "f"), ("doubles", "d")])
@pytest.mark.parametrize("others", [5, 500])
def test_what_is_no_number_is_refused_and_its_place_named(
    input_type: str, code: str, number: str, others: int
) -> None:
    good, bad = ([1.0] * others, [1.0, 2.0, float(number)])
    body = [frame(input_type, struct.pack(f"<{len(one)}{code}", *one)) for one in (good, bad)]
    said = cause(input_type, *body)
    assert f"Frame 1 has {number} at place 2" in said
    assert "finite" in said


def test_finite_numbers_whose_sum_is_not_are_taken() -> None:
    data = struct.pack("<4d", *[1.7e308] * 4)
    assert read("doubles", frame("doubles", data)) == [Input(data)]


@pytest.mark.parametrize(
    "data", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"a" * 1000 + b"\x80"], ids=range(4)
)
def test_text_that_is_not_utf8_is_refused(data: bytes) -> None:
    assert "Frame 1 is not UTF-8" in cause(
        "strings", frame("strings", b"good"), frame("strings", data)
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"NaN", b"1 2", b"'x'", b'"\xff"', b"\xef\xbb\xbf1", b"[" * 200_000, b"1e999"],
    ids=range(9),
)
def test_text_that_is_not_json_is_refused(data: bytes) -> None:
    assert "Frame 1 is not JSON" in cause("json", frame("json", b"1"), frame("json", data))


def cut(body: bytes, *places: int) -> Sequence[bytes]:
    """A body in pieces."""
    edges = [0, *places, len(body)]
    return [body[start:stop] for start, stop in pairwise(edges)]


def test_pieces_of_any_size_make_the_same_inputs() -> None:
    one = frame("floats", FLOATS * 100, (20, 30))
    for body in (one, one * 3):
        whole = read_frames([body], "floats")
        for place in (*range(150), 1000, len(body) - 1):
            assert read_frames(cut(body, place), "floats") == whole
            assert read_frames([bytearray(piece) for piece in cut(body, place)], "floats") == whole
        assert read_frames(cut(body, *range(1, len(body))), "floats") == whole


def test_the_data_of_an_input_is_bytes_whatever_its_pieces_are() -> None:
    body = frame("bytes", b"x" * 1000)
    (input,) = read_frames([bytearray(body[:500]), bytearray(body[500:])], "bytes")
    assert type(input.data) is bytes
    assert hash(input) == hash(Input(b"x" * 1000))
