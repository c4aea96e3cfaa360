"""The model that costs nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np


def test_arrays_are_summed_in_double_precision(framework: Callable[[str], Any]) -> None:
    model = framework("noop").NoopContainer("")
    sums = model.predict_batch(np.array([[1e8, 1], [2, 3]], np.float32))
    assert sums.dtype == np.float64
    assert sums.tolist() == [1e8 + 1, 5]
    assert model.predict_batch(np.ones((2, 3, 4), np.int32)).tolist() == [12, 12]
    assert model.predict_batch(np.zeros((2, 0))).tolist() == [0, 0]


def test_arrays_of_different_lengths_are_summed_too(framework: Callable[[str], Any]) -> None:
    model = framework("noop").NoopContainer("")
    assert model.predict_batch([np.ones(3), np.zeros(0), np.ones((2, 2))]).tolist() == [3, 0, 4]


def test_anything_else_is_measured(framework: Callable[[str], Any]) -> None:
    model = framework("noop").NoopContainer("")
    assert model.predict_batch(["abc", b"", [1, 2], {"a": 1}, None, 7]).tolist() == [
        3,
        0,
        2,
        1,
        1,
        1,
    ]
