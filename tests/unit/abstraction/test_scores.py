"""Scores: which lead by enough, and which outputs say the same."""

from typing import Any

import pytest

from clipper.abstraction.scores import agree, leads_by
from clipper.core.outputs import output_of, parse_text


@pytest.mark.parametrize(
    ("value", "leads"),
    [
        ([0.1, 0.75, 0.15], True),
        ([0.7, 0.1], True),
        ([7, 1, 2], True),
        ([0.1, 0.6, 0.3], False),
        ([0.5, 0.5], False),
        ([-1.0, -0.2], True),
    ],
)
def test_the_best_score_has_to_be_ahead_of_the_second(value: Any, leads: bool) -> None:
    assert leads_by(value, 0.5) is leads


def test_a_lead_of_exactly_the_margin_is_enough() -> None:
    assert leads_by([0.25, 0.75], 0.5)


@pytest.mark.parametrize(
    "value",
    [3, 0.9, "cat", None, True, {"a": 1.0}, [], [1.0], [[0.1, 0.9]], [True, False], [1, "a"]],
)
def test_what_is_no_score_vector_never_leads(value: Any) -> None:
    assert not leads_by(value, 0.0)


def agrees(served: Any, true: Any, tolerance: float | None = None) -> bool:
    return agree(output_of(served), output_of(true), tolerance)


@pytest.mark.parametrize("value", [3, 0.5, "cat", None, True, {"a": [1]}, [], [1], [0.1, 0.9]])
def test_equal_outputs_agree(value: Any) -> None:
    assert agrees(value, value)
    assert agrees(value, value, 0.1)


def test_scores_agree_in_which_is_the_best() -> None:
    assert agrees([0.1, 0.9], [0.4, 0.6])
    assert not agrees([0.4, 0.6], [0.6, 0.4])


def test_numbers_agree_within_the_tolerance_and_without_one_if_equal() -> None:
    assert agrees(1.0, 1)
    assert not agrees(1.0, 1.1)
    assert agrees(1.0, 1.1, 0.2)
    assert not agrees(1.0, 1.1, 0.05)


def test_given_a_tolerance_it_is_every_number_that_counts_and_not_the_best() -> None:
    assert agrees([0.49, 0.51], [0.51, 0.49], 0.05)
    assert not agrees([0.1, 0.9], [0.4, 0.6], 0.05)
    assert agrees([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 4.04]], 0.05)
    assert not agrees([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 4.06]], 0.05)


@pytest.mark.parametrize(
    ("served", "true"),
    [
        ("cat", "dog"),
        ("1", 1),
        (True, False),
        ({"label": 1}, {"label": 2}),
        ([0.1, 0.9], [0.1, 0.2, 0.7]),
        ([[1, 2], [3]], [[1, 2], [4]]),
        ([1, 2], "error"),
        ([1], [2]),
        (10**30, 10**30 + 1),
        (None, 0),
    ],
)
def test_what_cannot_be_weighed_has_to_be_equal(served: Any, true: Any) -> None:
    assert not agrees(served, true)
    assert not agrees(served, true, 0.5)


def test_deep_nesting_is_compared_as_text() -> None:
    deep = [parse_text(b"[" * 900 + digit + b"]" * 900) for digit in (b"1", b"2")]
    assert agree(deep[0], deep[0], 0.5)
    assert not agree(deep[0], deep[1], 0.5)
