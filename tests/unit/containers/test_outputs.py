"""What models return to columns, and what is refused."""

import datetime
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from clipper_container import model_pb2
from clipper_container.model_pb2 import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT64,
    JSON_TEXT,
    TEXT,
    OutputType,
)
from clipper_container.outputs import InvalidOutputs, encode_outputs
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.fakes.wire import values_of

NUMBERS = st.sampled_from(["?", "i1", "i2", "<i4", ">i8", "u1", "u4", "u8", "f2", "f4", ">f8"])


class Frame:
    """As pandas and torch do: no array, but willing to become one."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array([[1.5], [2.5]])


@pytest.mark.parametrize(
    ("answer", "output_type", "values"),
    [
        (np.array([1, 2]), INT64, [1, 2]),
        (np.array([1, 2], np.uint8), INT64, [1, 2]),
        (np.array([1, 2], np.uint64), INT64, [1, 2]),
        (np.array([1, 2**64 - 1], np.uint64), JSON_TEXT, [1, 2**64 - 1]),
        (np.array([1.5, 2.5]), FLOAT64, [1.5, 2.5]),
        (np.array([1.5, 2.5], np.float32), FLOAT32, [1.5, 2.5]),
        (np.array([1.5, 2.5], np.float16), FLOAT32, [1.5, 2.5]),
        (np.array([1.5, 2.5], np.longdouble), FLOAT64, [1.5, 2.5]),
        (np.array([1.5, 2.5], ">f8"), FLOAT64, [1.5, 2.5]),
        (np.array([True, False]), BOOL, [True, False]),
        (np.array([[1, 2], [3, 4]]).T, INT64, [[1, 3], [2, 4]]),
        (np.zeros((2, 0)), FLOAT64, [[], []]),
        (np.array(["a", "bé"]), TEXT, ["a", "bé"]),
        (np.array(["a", "b"], np.dtypes.StringDType()), TEXT, ["a", "b"]),
        (np.array([["a"], ["b"]]), JSON_TEXT, [["a"], ["b"]]),
        (np.array(["a", "b"], object), TEXT, ["a", "b"]),
        (np.array([1, "b"], object), JSON_TEXT, [1, "b"]),
        (np.array([1, 2], object), INT64, [1, 2]),
        ([1, 2], INT64, [1, 2]),
        ([np.int8(1), 2], INT64, [1, 2]),
        ([np.uint64(2**64 - 1), -1], JSON_TEXT, [2**64 - 1, -1]),
        ([2**63 - 1, -(2**63)], INT64, [2**63 - 1, -(2**63)]),
        ([2**63, 10**30], JSON_TEXT, [2**63, 10**30]),
        ([1.5, 2.5], FLOAT64, [1.5, 2.5]),
        ([np.float32(1.5), np.float32(2.5)], FLOAT32, [1.5, 2.5]),
        ([np.float32(1.5), 2.5], FLOAT64, [1.5, 2.5]),
        ([np.longdouble(1.5), 2.5], FLOAT64, [1.5, 2.5]),
        ([True, np.False_], BOOL, [True, False]),
        ([1, 2.5], JSON_TEXT, [1, 2.5]),
        ([1, True], JSON_TEXT, [1, True]),
        (["a", ""], TEXT, ["a", ""]),
        ([np.str_("a"), "b"], TEXT, ["a", "b"]),
        (["a", 1], JSON_TEXT, ["a", 1]),
        ([None, None], JSON_TEXT, [None, None]),
        ([[1, 2.5], []], JSON_TEXT, [[1, 2.5], []]),
        ([np.array([1, 2]), np.array([3, 4])], INT64, [[1, 2], [3, 4]]),
        ([np.array(1.5), np.array(2.5)], FLOAT64, [1.5, 2.5]),
        ([np.array([1, 2]), np.array([3])], JSON_TEXT, [[1, 2], [3]]),
        ([np.array([1]), np.array([1.5])], JSON_TEXT, [[1], [1.5]]),
        ([np.array(["a"]), np.array(["b"])], JSON_TEXT, [["a"], ["b"]]),
        ([{"a": np.float32(1.5)}, {"b": np.arange(2)}], JSON_TEXT, [{"a": 1.5}, {"b": [0, 1]}]),
        ([{"n": np.int64(1), "b": np.True_}, "é"], JSON_TEXT, [{"n": 1, "b": True}, "é"]),
        ([{"l": np.longdouble(1.5)}, ()], JSON_TEXT, [{"l": 1.5}, []]),
        ((1, 2), INT64, [1, 2]),
        (map(float, "12"), FLOAT64, [1.0, 2.0]),
        (Frame(), FLOAT64, [[1.5], [2.5]]),
    ],
)
def test_answers_travel_as_the_narrowest_column_that_keeps_them_whole(
    answer: Any, output_type: Any, values: list[Any]
) -> None:
    outputs = encode_outputs(answer, 2)
    assert OutputType.Name(outputs.type) == OutputType.Name(output_type)
    assert values_of(outputs) == values
    assert list(map(type, values_of(outputs))) == list(map(type, values))


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (None, "returned NoneType"),
        ("ab", "returned str"),
        (b"ab", "returned bytes"),
        ({"a": 1, "b": 2}, "returned dict"),
        ({1, 2}, "returned set"),
        (3.5, "returned float"),
        (np.float64(3.5), "returned one numpy.float64"),
        (np.array(3.5), "returned one numpy.ndarray"),
        (object(), "returned object"),
        ([], "returned 0 outputs for 2 inputs"),
        ([1, 2, 3], "returned 3 outputs for 2 inputs"),
        (np.zeros((3, 2)), "returned 3 outputs for 2 inputs"),
        (np.ma.MaskedArray([1, 2], [True, False]), "masked array"),
        ([1.0, math.nan], "Output 1 of the batch has nan"),
        (np.array([[0, 1], [0, -math.inf]]), "Output 1 of the batch has -inf"),
        (np.array([1, "1e400"], np.longdouble), "Output 1 of the batch has inf"),
        ([1, math.inf], "Output 1 of the batch cannot be written"),
        ([1, {"score": math.nan}], "Output 1 of the batch cannot be written"),
        ([1, {"scores": np.array([math.nan])}], "Output 1 of the batch cannot be written"),
        ([1, np.float32("nan")], "Output 1 of the batch cannot be written"),
        ([1, b"raw"], "Output 1 .*: bytes has no JSON form"),
        ([1, Decimal(1)], "Output 1 .*: decimal.Decimal has no JSON form"),
        ([1, datetime.date(2000, 1, 1)], "datetime.date has no JSON form"),
        ([1, np.datetime64("2000-01-01")], "numpy.datetime64 has no JSON form"),
        ([1, np.timedelta64(1, "s")], "numpy.timedelta64 has no JSON form"),
        ([1, 1j], "complex has no JSON form"),
        ([1, {np.int64(1): 1}], "keys must be"),
        ([1, np.array(["2000-01-01"], "M8[ns]")], r"numpy.ndarray of datetime64\[ns\]"),
        (np.array(["2000-01-01"] * 2, "M8[D]"), r"an array of datetime64\[D\]"),
        (np.array([1j, 2j]), "an array of complex128"),
        (np.array([b"a", b"b"]), r"an array of \|S1"),
        (np.zeros(2, [("a", "i4")]), r"an array of \[\('a', '<i4'\)\]"),
        (["a", "\ud800"], "Output 1 of the batch"),
        ([1, "\ud800"], "Output 1 of the batch"),
        ([1, 10**5000], "Output 1 of the batch"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_an_answer_that_is_none_is_refused_by_name_and_place(answer: Any, complaint: str) -> None:
    with pytest.raises(InvalidOutputs, match=complaint):
        encode_outputs(answer, 2)


def test_an_output_that_holds_itself_or_is_too_deep_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for output in (endless, deep):
        with pytest.raises(InvalidOutputs, match="Output 1 of the batch"):
            encode_outputs([None, output], 2)


@given(st.data(), NUMBERS, hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
def test_every_array_of_finite_numbers_arrives_exactly(
    data: Any, dtype: Any, shape: tuple[int, ...]
) -> None:
    finite: Any = {"allow_nan": False, "allow_infinity": False} if "f" in dtype else {}
    array = data.draw(hnp.arrays(dtype, shape, elements=hnp.from_dtype(np.dtype(dtype), **finite)))
    assert values_of(encode_outputs(array, len(array))) == array.tolist()


@given(st.lists(st.one_of(st.integers(), st.booleans(), st.text(st.characters(codec="utf-8")))))
def test_every_list_of_values_arrives_exactly_with_its_types(values: list[Any]) -> None:
    arrived = values_of(encode_outputs(values, len(values)))
    assert arrived == values
    assert list(map(type, arrived)) == list(map(type, values))


def test_a_uniform_list_of_texts_is_no_json() -> None:
    outputs = encode_outputs(['"1"', "[2]"], 2)
    assert outputs.type == model_pb2.TEXT
    assert values_of(outputs) == ['"1"', "[2]"]
