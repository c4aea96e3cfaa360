"""Bodies of queries: what each input type takes, and a refusal that says why for all else."""

import base64
import struct

import msgspec
import pytest

from clipper.core.errors import InvalidInput
from clipper.core.types import Input, InputType
from clipper.frontend.decode import (
    CODECS,
    MAX_INPUTS,
    MalformedQuery,
    QueryRequest,
)
from clipper.frontend.options import MAX_CONTEXT

DEEP = 200_000
HUGE = "1" + "0" * 400


def read(input_type: str, body: str | bytes) -> QueryRequest:
    raw = body.encode() if isinstance(body, str) else body
    return CODECS[input_type].read(raw, lambda version: None)


def read_one(input_type: str, input: str) -> Input:
    (only,) = read(input_type, f'{{"input": {input}}}').inputs
    return only


def test_every_input_type_has_a_codec() -> None:
    assert set(CODECS) == {input_type.value for input_type in InputType}


@pytest.mark.parametrize(
    ("input_type", "input", "data"),
    [
        ("integers", "[1, 2147483647]", struct.pack("<2i", 1, 2**31 - 1)),
        ("integers", "[-2147483648]", struct.pack("<i", -(2**31))),
        ("floats", "[1, 0.5, -1e38]", struct.pack("<3f", 1, 0.5, -1e38)),
        ("doubles", "[1, 0.1, -1e308]", struct.pack("<3d", 1, 0.1, -1e308)),
        ("doubles", "[123456789012345678901234567890]", struct.pack("<d", 1.2345678901234568e29)),
        ("strings", '"caf\\u00e9 \\ud83d\\ude00"', "café 😀".encode()),
        ("strings", '"a\\u0000b"', b"a\0b"),
        ("bytes", '"AAH/"', b"\x00\x01\xff"),
        ("json", ' {"b": [1, 2.50, null], "a": "x"} ', b'{"b":[1,2.5,null],"a":"x"}'),
        ("json", "null", b"null"),
    ],
)
def test_an_input_is_packed_as_the_model_gets_it(input_type: str, input: str, data: bytes) -> None:
    assert read_one(input_type, input) == Input(data)


@pytest.mark.parametrize(
    ("input_type", "input"),
    [("integers", "[]"), ("floats", "[]"), ("doubles", "[]"), ("strings", '""'), ("bytes", '""')],
)
def test_empty_vectors_and_texts_are_legal(input_type: str, input: str) -> None:
    assert read_one(input_type, input) == Input(b"")


@pytest.mark.parametrize(
    ("input", "shape"),
    [
        ("[[1, 2], [3, 4], [5, 6]]", (3, 2)),
        ("[[[1], [2]]]", (1, 2, 1)),
        ("[[], []]", (2, 0)),
        ("[[]]", (1, 0)),
        ("[[[], []]]", (1, 2, 0)),
        ("[" * 32 + "7" + "]" * 32, (1,) * 32),
    ],
)
def test_a_nested_array_keeps_its_shape(input: str, shape: tuple[int, ...]) -> None:
    numbers = [float(one) for one in "".join(" " if one in "[]," else one for one in input).split()]
    packed = struct.pack(f"<{len(numbers)}d", *numbers)
    assert read_one("doubles", input) == Input(packed, shape)


def test_a_vector_and_a_tensor_may_go_together_in_one_batch() -> None:
    request = read("integers", '{"input_batch": [[1], [[1]], []]}')
    packed = struct.pack("<i", 1)
    assert request.inputs == [Input(packed), Input(packed, (1, 1)), Input(b"")]


@pytest.mark.parametrize(
    ("input_type", "input"),
    [
        ("integers", "[1.0]"),
        ("integers", "[1.5]"),
        ("integers", "[true]"),
        ("integers", "[2147483648]"),
        ("integers", "[-2147483649]"),
        ("integers", "[36893488147419103232]"),
        ("integers", f"[{HUGE}]"),
        ("integers", "[[1], [1.0]]"),
        ("integers", '["1"]'),
        ("floats", "[1e39]"),
        ("floats", "[3.4028235677973366e38]"),
        ("floats", "[[1, 2], [3, 1e39]]"),
        ("floats", f"[{HUGE}]"),
        ("floats", f"[[{HUGE}]]"),
        ("floats", "[NaN]"),
        ("floats", "[null]"),
        ("doubles", "[1e999]"),
        ("doubles", "[-Infinity]"),
        ("doubles", "[[1e999]]"),
        ("doubles", "[1, [2]]"),
        ("doubles", "[[1], 2]"),
        ("doubles", "[[1], [2, 3]]"),
        ("doubles", "[[], [1]]"),
        ("doubles", "[[[1]], [[1], [2]]]"),
        ("doubles", "[[[1]], [2]]"),
        ("doubles", '[[1], ["2"]]'),
        ("doubles", "[" * 33 + "]" * 33),
        ("doubles", "[" * DEEP + "]" * DEEP),
        ("doubles", "1"),
        ("doubles", "null"),
        ("doubles", "{}"),
        ("doubles", "true"),
        ("doubles", '"AAAA"'),
        ("doubles", "[" + "1" * 5000 + "]"),
        ("strings", '["a"]'),
        ("strings", "1"),
        ("strings", "null"),
        ("strings", '"\\ud800"'),
        ("bytes", '"A"'),
        ("bytes", '"===="'),
        ("bytes", '"A A="'),
        ("bytes", '"AAAA\\n"'),
        ("bytes", '"é"'),
        ("bytes", "[65]"),
        ("json", "NaN"),
        ("json", "[" * DEEP + "]" * DEEP),
        ("json", "1" * 5000),
    ],
    ids=range(47),
)
def test_what_is_no_input_of_the_type_is_refused(input_type: str, input: str) -> None:
    for body in (f'{{"input": {input}}}', f'{{"input_batch": [{input}]}}'):
        with pytest.raises(MalformedQuery) as refusal:
            read(input_type, body)
        assert 0 < len(refusal.value.message) < 1000


def test_no_nesting_breaks_it_at_any_depth() -> None:
    for depth in range(850, 1100):
        body = b'{"input":%b}' % (b"[" * depth + b"]" * depth)
        try:
            assert read("json", body).inputs
        except MalformedQuery:
            continue


def test_a_number_out_of_range_is_named_with_its_place() -> None:
    with pytest.raises(MalformedQuery, match=r"input\[1\] is 1e\+39, .* range of float32"):
        read_one("floats", "[1, 1e39]")


@pytest.mark.parametrize("number", ["3.4028235677973362e38", "3.4028235e38", "1e-320"])
def test_what_rounds_to_a_finite_float32_is_taken(number: str) -> None:
    (packed,) = struct.unpack("<f", read_one("floats", f"[{number}]").data)
    assert packed < float("inf")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"{", b"}", b"nonsense", b"null", b"[]", b'"x"', b"1", b"true", b"{}"),
        *(b'{"input": [1]', b'{"input": [1]}}', b'{"input": [1]} x', b"{'input': [1]}"),
        *(b'\xef\xbb\xbf{"input": [1]}', b'{"input": "\xff"}'),
        *(b'{"inputs": [1]}', b'{"input_batch": [1]}', b'{"input_batch": {}}'),
        *(b'{"input_batch": null}', b'{"input_batch": "x"}', b'{"input": NaN}'),
        *(b'{"input": [1], "version": 2}', b'{"input": [1], "context": 7}'),
        *(b'{"input": [1], "context": ["u"]}', b"[" * DEEP, b'{"a":' * DEEP),
        b'\x00{"input": [1]}',
    ],
    ids=range(29),
)
def test_what_is_no_query_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedQuery):
        read("doubles", body)


def test_an_input_wins_over_a_batch() -> None:
    assert len(read("doubles", '{"input": [1], "input_batch": [[1], [2]]}').inputs) == 1
    assert len(read("doubles", '{"input": [[1]], "input_batch": [[1], [2]]}').inputs) == 1


def test_a_batch_may_be_empty() -> None:
    assert read("doubles", '{"input_batch": []}').inputs == []


def test_one_bad_input_refuses_the_whole_batch() -> None:
    with pytest.raises(MalformedQuery):
        read("doubles", '{"input_batch": [[1], [2], "x"]}')


def test_a_request_holds_a_bounded_number_of_inputs() -> None:
    body = b'{"input_batch":[%b]}'
    assert len(read("doubles", body % b",".join([b"[]"] * MAX_INPUTS)).inputs) == MAX_INPUTS
    message = f"input_batch has {MAX_INPUTS + 1} inputs; one request may have {MAX_INPUTS}"
    for one in (b"[]", b"[[]]"):
        with pytest.raises(InvalidInput, match=message):
            read("doubles", body % b",".join([one] * (MAX_INPUTS + 1)))


def test_unknown_keys_are_ignored() -> None:
    assert read("doubles", '{"input": [1], "uid": 7, "extra": {"a": [1]}}').inputs


def test_what_else_a_query_may_say_is_read() -> None:
    rest = '"version": "2", "context": "u", "slo_ms": 5'
    for input in ("[1]", "[[1]]"):
        request = read("doubles", f'{{"input": {input}, {rest}}}')
        assert (request.version, request.context, request.slo_s) == ("2", "u", 0.005)


def test_what_else_may_be_left_out_or_null() -> None:
    rest = '"version": null, "context": null, "slo_ms": null'
    for body in ('{"input": [1]}', f'{{"input": [1], {rest}}}', f'{{"input": [[1]], {rest}}}'):
        request = read("doubles", body)
        assert (request.version, request.context, request.slo_s) == (None, None, None)


@pytest.mark.parametrize("slo_ms", ["0", "-1", "-0.5", "true", '"5"', "[5]", f"-{HUGE}"])
def test_an_slo_that_is_no_number_above_zero_is_refused(slo_ms: str) -> None:
    for input in ("[1]", "[[1]]"):
        with pytest.raises(InvalidInput, match="slo_ms is") as refusal:
            read("doubles", f'{{"input": {input}, "slo_ms": {slo_ms}}}')
        assert len(refusal.value.message) < 200


def test_an_slo_beyond_all_bounds_is_only_long() -> None:
    slo_s = read("doubles", f'{{"input": [1], "slo_ms": {HUGE}}}').slo_s
    assert slo_s is not None
    assert slo_s > 1e6


def test_a_context_is_bounded() -> None:
    assert read("doubles", f'{{"input": [1], "context": "{"u" * MAX_CONTEXT}"}}').context
    for input in ("[1]", "[[1]]"):
        with pytest.raises(InvalidInput, match=f"context has {MAX_CONTEXT + 1} characters"):
            read("doubles", f'{{"input": {input}, "context": "{"u" * (MAX_CONTEXT + 1)}"}}')


def test_the_version_is_checked_before_the_input() -> None:
    class NoSuchVersion(InvalidInput):
        pass

    def refuse(version: str) -> None:
        raise NoSuchVersion(version)

    for input in ("[1]", "[[1]]", '"x"', "null"):
        with pytest.raises(NoSuchVersion, match="9"):
            CODECS["doubles"].read(b'{"input": %b, "version": "9"}' % input.encode(), refuse)


def test_the_same_values_give_the_same_bytes_however_they_are_written() -> None:
    plain = read_one("doubles", "[1, 2.5]")
    assert read_one("doubles", "[1.0,25e-1]") == plain
    assert CODECS["doubles"].pack_any([1, 2.5]) == plain


def test_an_input_that_was_decoded_already_is_packed_the_same_way() -> None:
    values = {"integers": [1], "floats": [[0.5]], "strings": "x", "json": {"a": 1}}
    for input_type, value in values.items():
        body = msgspec.json.encode({"input": value})
        assert read(input_type, body).inputs == [CODECS[input_type].pack_any(value)]
    encoded = base64.b64encode(b"xyz").decode()
    assert CODECS["bytes"].pack_any(encoded) == Input(b"xyz")
    with pytest.raises(MalformedQuery, match="input: Expected `array`, got `str`"):
        CODECS["doubles"].pack_any("x")
