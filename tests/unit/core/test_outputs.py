"""Outputs: any JSON value with its text; texts that parse are values, others stay texts."""

import tracemalloc

import pytest

from clipper.core.outputs import held_bytes, output_of, parse_json, parse_text
from clipper.core.types import Output

DEEP = b"[" * 200_000 + b"]" * 200_000


@pytest.mark.parametrize(
    ("text", "value", "json"),
    [
        (b"1", 1, b"1"),
        (b"-1.0", -1.0, b"-1.0"),
        (b"[1,2]", [1, 2], b"[1,2]"),
        (b' {"a": null} ', {"a": None}, b'{"a":null}'),
        (b'"1"', "1", b'"1"'),
        (b"true", True, b"true"),
        (b"9007199254740993", 2**53 + 1, b"9007199254740993"),
        (b"36893488147419103232", 2**65, b"36893488147419103232"),
    ],
)
def test_a_text_that_is_json_is_that_value(text: bytes, value: object, json: bytes) -> None:
    assert parse_text(text) == parse_json(text) == Output(value, json)


@pytest.mark.parametrize(
    "text",
    [
        *(b"None", b"hello", b"", b"NaN", b"Infinity", b"1e999", b"1 2", b"[1,", b"01", b"'1'"),
        *(b"\xef\xbb\xbf1", "çä€".encode(), b"1" * 5000, DEEP),
    ],
    ids=range(14),
)
def test_any_other_text_stays_the_string_that_it_is(text: bytes) -> None:
    output = parse_text(text)
    assert output.value == text.decode()
    assert parse_text(output.json).value == text.decode()
    with pytest.raises(ValueError, match=r".+"):
        parse_json(text)


def test_bytes_that_are_no_text_are_refused() -> None:
    for parse in (parse_text, parse_json):
        with pytest.raises(ValueError, match="utf-8"):
            parse(b'"\xff"')


def test_no_nesting_breaks_it_at_any_depth() -> None:
    for depth in range(850, 1100):
        text = b"[" * depth + b"]" * depth
        assert parse_text(text).json


def test_an_output_is_encoded_once_as_it_is() -> None:
    assert output_of({"a": [1, 2.5, "x", None, True]}).json == b'{"a":[1,2.5,"x",null,true]}'


@pytest.mark.parametrize(
    "text",
    [
        b"1",
        b'"%b"' % (b"x" * 1000),
        b"[%b]" % b",".join([b"0.5"] * 1000),
        b"[%b]" % b",".join(b"%.15f" % (number / 7) for number in range(1000)),
        b"[%b]" % b",".join([b"[]"] * 1000),
        b"[%b]" % b",".join([b'{"a":1}'] * 1000),
    ],
    ids=["number", "text", "short numbers", "long numbers", "arrays", "objects"],
)
def test_what_an_output_takes_is_known_well_enough_to_bound_it(text: bytes) -> None:
    tracemalloc.start()
    outputs = [parse_text(text) for _ in range(100)]
    held = tracemalloc.get_traced_memory()[0] / 100
    tracemalloc.stop()
    overhead = 200
    assert held / 1.2 - overhead < held_bytes(outputs[0]) < held * 2 + overhead
