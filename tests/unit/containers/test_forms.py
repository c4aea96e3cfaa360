"""Batches in the form that a model takes, and what is said of those that are not."""

from typing import Any

import numpy as np
import pytest
from clipper_container.forms import TEXT, Form, Forms, cast, in_fixed_batches, stacked
from hypothesis import given
from hypothesis import strategies as st

FLOAT32, INT64 = np.dtype(np.float32), np.dtype(np.int64)


@pytest.mark.parametrize(
    ("form", "text", "input_type"),
    [
        (Form(FLOAT32, (4,)), "float32[4]", "floats"),
        (Form(np.dtype(np.float16), (3, None)), "float16[3, ?]", "floats"),
        (Form(np.dtype(np.float64), None), "float64[...]", "doubles"),
        (Form(INT64), "int64", "integers"),
        (Form(np.dtype(np.bool_), (2,)), "bool[2]", "integers"),
        (Form(TEXT, (1,)), "text[1]", "strings"),
    ],
)
def test_a_form_says_what_it_is_and_which_input_type_carries_it(
    form: Form, text: str, input_type: str
) -> None:
    assert str(form) == text
    assert form.input_type == input_type


def test_a_sample_is_zeros_or_a_text_where_the_size_is_known() -> None:
    sample = Form(FLOAT32, (2, 3)).sample()
    assert (sample.shape, sample.dtype, sample.sum()) == ((2, 3), FLOAT32, 0)
    assert Form(INT64).sample().shape == ()
    assert Form(TEXT).sample() == "a text"
    assert Form(FLOAT32, (None,)).sample() is None
    assert Form(FLOAT32, None).sample() is None


def test_a_batch_is_converted_to_the_dtype() -> None:
    batch = Form(FLOAT32, (2,)).batch(np.array([[1.0, 2.0]]))
    assert batch.dtype == FLOAT32
    assert Form(INT64, (2,)).batch(np.array([[1, 2]], np.int32)).dtype == INT64
    assert Form(FLOAT32, (None, 2)).batch(np.zeros((5, 7, 2), np.float32)).shape == (5, 7, 2)
    assert Form(TEXT, (1,)).batch(["a", "b"]).tolist() == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("form", "inputs", "complaint"),
    [
        (Form(FLOAT32, (4,)), np.zeros((2, 3)), r"has the shape \[3\]; it takes float32\[4\]"),
        (Form(FLOAT32, (4,)), np.zeros((2, 2, 2)), r"has the shape \[2, 2\]"),
        (Form(FLOAT32, (4,)), [np.zeros(4), np.zeros(2)], r"differ in shape, \[2\] and \[4\]"),
        (Form(FLOAT32, (4,)), ["a text"], r"no number; the model takes float32\[4\]"),
        (Form(FLOAT32, (1,)), [[None]], "no number"),
        (Form(FLOAT32, (1,)), [[1e300]], "larger than float32 can hold"),
        (Form(np.dtype(np.uint8), (1,)), [[256]], "not from 0 to 255, which uint8"),
        (Form(np.dtype(np.uint8), (1,)), [[-1]], "not from 0 to 255"),
        (Form(INT64, (1,)), [[0.5]], "takes whole numbers, int64"),
        (Form(TEXT), [1.0], "takes texts"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(
    form: Form, inputs: Any, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        form.batch(inputs)


@given(st.lists(st.integers(-(2**31), 2**31 - 1)), st.sampled_from(["i1", "u2", "i4", "u4", "i8"]))
def test_whole_numbers_are_never_changed_on_the_way(numbers: list[int], dtype: str) -> None:
    array = np.array(numbers, np.int32)
    try:
        assert cast(array, np.dtype(dtype)).tolist() == numbers
    except ValueError:
        limits = np.iinfo(dtype)
        assert min(numbers) < limits.min or max(numbers) > limits.max


def test_stacked_makes_one_array_of_lists() -> None:
    assert stacked([[1, 2], [3, 4]]).shape == (2, 2)
    with pytest.raises(ValueError, match="differ in shape; send"):
        stacked([[1, 2], [3]])


def test_one_input_goes_by_itself_and_several_as_an_object() -> None:
    one = Forms({"x": Form(FLOAT32, (2,))})
    assert (str(one), one.input_type) == ("float32[2]", "floats")
    assert one.sample().tolist() == [0, 0]
    assert one.columns(np.ones((3, 2)))["x"].shape == (3, 2)
    two = Forms({"x": Form(FLOAT32, (2,)), "t": Form(TEXT)})
    assert (str(two), two.input_type) == ("{x: float32[2], t: text}", "json")
    assert two.sample().keys() == {"x", "t"}
    columns = two.columns([{"x": [1, 2], "t": "a"}, {"x": [3, 4], "t": "b", "more": 1}])
    assert columns["x"].tolist() == [[1, 2], [3, 4]]
    assert columns["t"].tolist() == ["a", "b"]
    assert Forms({"x": Form(FLOAT32, (None,)), "t": Form(TEXT)}).sample() is None


@pytest.mark.parametrize("record", [{"x": [1, 2]}, [1, 2], "x", None])
def test_an_object_that_lacks_something_is_refused_by_its_place(record: Any) -> None:
    two = Forms({"x": Form(FLOAT32, (2,)), "t": Form(TEXT)})
    with pytest.raises(ValueError, match=r"Input 1 of the batch is no JSON object with \{x: "):
        two.columns([{"x": [1, 2], "t": "a"}, record])


@given(st.integers(1, 9), st.integers(1, 4))
def test_a_model_for_one_size_of_batch_sees_no_other(count: int, size: int) -> None:
    seen: list[int] = []

    def run(columns: dict[str, Any]) -> dict[str, Any]:
        seen.append(len(columns["x"]))
        return {"y": columns["x"] * 10, "n": columns["x"][:, 0]}

    inputs = np.arange(2 * count).reshape(count, 2)
    outputs = in_fixed_batches(run, {"x": inputs}, size)
    np.testing.assert_array_equal(outputs["y"], inputs * 10)
    np.testing.assert_array_equal(outputs["n"], inputs[:, 0])
    assert set(seen) == {size}
    assert len(seen) == -(-count // size)
