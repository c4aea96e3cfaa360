"""Requests and answers of the query listener, as pure functions."""

import json
from typing import Any

import numpy as np
import pytest

from clipper.admin.errors import ClipperUnreachable, InvalidCall
from clipper.admin.messages import (
    MISSING,
    QueryOptions,
    encode,
    feedback_request,
    parse_batch,
    parse_feedback,
    parse_prediction,
    path,
    predict_batch_request,
    predict_request,
)
from clipper.frontend.options import Options, read_options
from tests.fakes.frames import frame

ANSWER = {"query_id": 3, "output": 1.5, "default": False, "models": ["m:1"]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.array([1.0, 2.5]), "[1.0,2.5]"),
        (np.arange(4, dtype=np.int32).reshape(2, 2), "[[0,1],[2,3]]"),
        (np.float32(0.5), "0.5"),
        ([np.int64(1), 2], "[1,2]"),
        ((1, 2), "[1,2]"),
        (b"\x00\xff", '"AP8="'),
        ([bytearray(b"a"), memoryview(b"b")], '["YQ==","Yg=="]'),
        ("päck", '"päck"'),
        (None, "null"),
        ([], "[]"),
    ],
)
def test_a_value_becomes_json(value: object, text: str) -> None:
    assert encode(value).decode() == text


@pytest.mark.parametrize(
    "value",
    [float("nan"), np.array([np.inf]), {1, 2}, object(), 1j, "\ud800"],
    ids=["nan", "infinite array", "set", "object", "complex", "half a letter"],
)
def test_what_json_cannot_say_is_refused_with_a_hint(value: object) -> None:
    with pytest.raises(InvalidCall, match="cannot be sent") as refusal:
        encode(value)
    assert "arrays" in refusal.value.hint


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InvalidCall):
        encode(value)


def test_names_are_percent_encoded_and_absent_queries_left_out() -> None:
    assert path("a/b", "pre dict", explain=None) == "/a%2Fb/pre%20dict"
    assert path("a", tail=5, context="x&y") == "/a?tail=5&context=x%26y"


def test_a_query_carries_only_what_was_given() -> None:
    plain = predict_request("digits", [1], QueryOptions())
    assert (plain.method, plain.path, plain.body) == (
        "POST",
        "/digits/predict",
        b'{"input":[1]}',
    )
    full = predict_request("digits", [1], QueryOptions("2", "user-17", 5, explain=True))
    assert full.path == "/digits/predict?explain=1"
    assert json.loads(full.body or b"") == {
        "input": [1],
        "version": "2",
        "context": "user-17",
        "slo_ms": 5,
    }


def test_a_batch_may_be_a_generator() -> None:
    rows = ([row] for row in range(3))
    assert predict_batch_request("a", rows, QueryOptions()).body == b'{"input_batch":[[0],[1],[2]]}'


FLOATS = np.array([[1, 2], [3, 4]], np.float32)


def test_arrays_and_bytes_are_sent_as_frames() -> None:
    array = predict_request("a", FLOATS, QueryOptions())
    assert (array.method, array.path) == ("POST", "/a/predict")
    assert array.content_type == "application/octet-stream"
    assert array.body == frame("floats", FLOATS.tobytes(), (2, 2))
    for block in (b"\0\xff", bytearray(b"\0\xff"), memoryview(b"\0\xff")):
        assert predict_request("a", block, QueryOptions()).body == frame("bytes", b"\0\xff")


def test_what_json_has_keys_for_goes_into_the_url_with_frames() -> None:
    options = QueryOptions("2", "größer & mehr", 0.5, explain=True)
    framed = predict_request("a", FLOATS, options)
    query = framed.path.partition("?")[2].encode()
    assert read_options(query, framed.content_type.encode()) == Options(
        True, True, "2", "größer & mehr", 0.0005
    )


def test_a_batch_goes_as_frames_if_all_of_it_can() -> None:
    rows = [frame("floats", row.tobytes()) for row in FLOATS]
    for inputs in (FLOATS, list(FLOATS), iter(FLOATS)):
        assert predict_batch_request("a", inputs, QueryOptions()).body == b"".join(rows)
    mixed = predict_batch_request("a", [FLOATS[0], [5.0]], QueryOptions())
    assert mixed.content_type == "application/json"
    assert mixed.body == b'{"input_batch":[[1.0,2.0],[5.0]]}'
    assert predict_batch_request("a", [], QueryOptions()).body == b'{"input_batch":[]}'


@pytest.mark.parametrize("value", [np.float32(0.5), np.array(0.5), [0.5], "text", None, {"a": 1}])
def test_all_else_is_sent_as_json(value: object) -> None:
    asked = predict_request("a", value, QueryOptions())
    assert asked.content_type == "application/json"
    assert asked.body == encode({"input": value})


@pytest.mark.parametrize(
    ("array", "sent"),
    [
        (np.array([1, 2]), np.array([1, 2], "<i4")),
        (np.array([[1, 255]], np.uint8), np.array([[1, 255]], "<i4")),
        (np.array([1, 2.5], np.float16), np.array([1, 2.5], "<f8")),
        (np.array([1, 2.5], ">f4"), np.array([1, 2.5], "<f8")),
    ],
    ids=lambda array: str(array.dtype),
)
def test_an_array_of_other_numbers_is_sent_as_numbers_that_are_the_same(
    array: Any, sent: Any
) -> None:
    request = predict_request("a", array, QueryOptions())
    assert request == predict_request("a", sent, QueryOptions())
    assert request.content_type == "application/octet-stream"


@pytest.mark.parametrize("number", [2**40, -(2**31) - 1])
def test_numbers_that_no_type_of_a_frame_has_are_refused_with_the_fix(number: int) -> None:
    with pytest.raises(InvalidCall, match="array of int64 has numbers that int32") as refusal:
        predict_request("a", np.array([number]), QueryOptions())
    assert "astype('float64')" in refusal.value.hint


@pytest.mark.parametrize("array", [np.array([True]), np.array(["a"]), np.array([{"b": 1}, None])])
def test_an_array_of_what_are_no_numbers_goes_as_json(array: Any) -> None:
    request = predict_request("a", array, QueryOptions())
    assert request.content_type == "application/json"
    assert json.loads(request.body or b"") == {"input": array.tolist()}


def test_feedback_names_an_input_as_json_whatever_it_is() -> None:
    told = feedback_request("a", 1, None, FLOATS[0], None)
    assert told.content_type == "application/json"
    assert told.body == b'{"input":[1.0,2.0],"label":1}'


def test_feedback_names_its_query_by_id_or_by_input() -> None:
    by_id = feedback_request("a", 1, 12, MISSING, "user-17")
    assert by_id.path == "/a/feedback"
    assert by_id.body == b'{"query_id":12,"label":1,"context":"user-17"}'
    by_input = feedback_request("a", "cat", None, None, None)
    assert by_input.body == b'{"input":null,"label":"cat"}'


@pytest.mark.parametrize(("query_id", "value"), [(None, MISSING), (1, [1.0])])
def test_feedback_that_names_no_query_or_two_is_refused(query_id: int | None, value: Any) -> None:
    with pytest.raises(InvalidCall, match="query_id or by input"):
        feedback_request("a", 1, query_id, value, None)


def test_a_prediction_keeps_the_keys_it_has_no_name_for() -> None:
    prediction = parse_prediction(ANSWER)
    assert (prediction.query_id, prediction.output, prediction.is_default) == (3, 1.5, False)
    assert prediction.explanation == ""
    assert prediction.raw["models"] == ["m:1"]


def test_a_default_says_why() -> None:
    prediction = parse_prediction(
        ANSWER | {"default": True, "default_explanation": "No connected models found for query"}
    )
    assert prediction.is_default
    assert prediction.explanation == "No connected models found for query"


def test_batches_of_none_one_and_two_are_lists() -> None:
    assert parse_batch({"batch_predictions": []}) == []
    assert len(parse_batch(ANSWER)) == 1
    two = parse_batch({"batch_predictions": [ANSWER, ANSWER | {"query_id": 4}]})
    assert [one.query_id for one in two] == [3, 4]


@pytest.mark.parametrize("answer", [None, [], {}, "PONG", {"output": 1}])
def test_an_answer_that_is_not_clippers_is_not_believed(answer: object) -> None:
    with pytest.raises(ClipperUnreachable, match="no answer of Clipper"):
        parse_prediction(answer)
    with pytest.raises(ClipperUnreachable, match="no answer of Clipper"):
        parse_feedback(answer)
