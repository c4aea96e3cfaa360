"""Several outputs to one answer for each input."""

from typing import Any

import numpy as np
import pytest
from clipper_container import LoadError
from clipper_container.answers import answer, check_output, form_of, labels


def test_the_only_output_answers_and_several_are_an_object_for_each_input() -> None:
    scores = np.array([[0.5], [1.5]])
    assert answer({"scores": scores}, "") is scores
    both = answer({"scores": scores, "label": ["a", "b"]}, "")
    assert [(each["scores"].tolist(), each["label"]) for each in both] == [
        ([0.5], "a"),
        ([1.5], "b"),
    ]


def test_the_output_that_is_wanted_answers_alone() -> None:
    assert answer({"scores": [1], "label": ["a"]}, "label") == ["a"]
    with pytest.raises(LoadError, match="no output 'lable'; it has scores, label"):
        answer({"scores": [1], "label": ["a"]}, "lable")
    check_output("", [])


def test_outputs_of_different_lengths_are_no_answer() -> None:
    with pytest.raises(ValueError, match="zip"):
        answer({"a": [1, 2], "b": [1]}, "")


def test_labels_are_the_classes_that_score_best() -> None:
    assert labels(np.array([0.2, 0.7])).tolist() == [0, 1]
    assert labels(np.array([[0.2, 0.7, 0.1], [0.5, 0.2, 0.3]])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("outputs", "form"),
    [
        (np.zeros((2, 3, 4), np.float32), "float32[3, 4]"),
        (np.zeros(2, np.int64), "int64"),
        (np.array(["a"]), "text"),
        (["a"], "text"),
        ([{"label": "up", "score": 0.5}], "{label, score}"),
        ([1, 2], ""),
        ([], ""),
        (None, ""),
    ],
)
def test_outputs_show_their_form(outputs: Any, form: str) -> None:
    assert form_of(outputs) == form
