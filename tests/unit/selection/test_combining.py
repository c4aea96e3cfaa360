"""One answer out of several: by what outputs are, and with the confidence that they deserve."""

from typing import Any

import pytest

from clipper.core.errors import InvalidInput
from clipper.core.outputs import output_of
from clipper.core.types import ModelId, Output
from clipper.selection.combining import labels, make_combine, mean, scores, vote

A, B, C = (ModelId(name, "1") for name in "abc")
EVEN = {A: 1.0, B: 1.0, C: 1.0}


def outputs(*values: Any) -> dict[ModelId, Output]:
    """Of the first models, as many as there are values."""
    return {model: output_of(value) for model, value in zip((A, B, C), values, strict=False)}


@pytest.mark.parametrize(
    ("values", "answer", "share"),
    [
        (("cat", "dog", "cat"), "cat", 2 / 3),
        ((1, 2, 2.0), 2, 2 / 3),
        (([1, 2], [2, 1], [2, 1]), [2, 1], 2 / 3),
        (({"a": 1}, {"a": 1}, None), {"a": 1}, 2 / 3),
        (("cat", "dog", "cow"), "cat", 1 / 3),
    ],
)
def test_most_votes_win_and_of_equals_the_first(values: Any, answer: Any, share: float) -> None:
    output, confidence = vote(EVEN, outputs(*values))
    assert output.value == answer
    assert confidence == pytest.approx(share)


def test_votes_count_by_weight() -> None:
    output, confidence = vote({A: 5.0, B: 1.0, C: 2.0}, outputs("cat", "dog", "dog"))
    assert output.value == "cat"
    assert confidence == pytest.approx(5 / 8)


@pytest.mark.parametrize("combine", [vote, mean])
def test_who_has_not_answered_agrees_with_nobody(combine: Any) -> None:
    output, confidence = combine({A: 1.0, B: 1.0, C: 2.0}, outputs(3, 3))
    assert output.value == 3
    assert confidence == pytest.approx(0.5)


def test_numbers_are_averaged_by_weight() -> None:
    output, confidence = mean({A: 3.0, B: 1.0}, outputs(1.0, 2))
    assert output.value == pytest.approx(1.25)
    assert output.json == b"1.25"
    assert confidence == 1.0


def test_vectors_are_averaged_number_by_number() -> None:
    output, _ = mean({A: 3.0, B: 1.0}, outputs([1.0, 0], [2, 4]))
    assert output.value == pytest.approx([1.25, 1.0])


@pytest.mark.parametrize(
    "values",
    [
        ("cat", 1, "cat"),
        ([1], [1, 2], [1]),
        (True, 1.5, True),
        (10**400, 1, 10**400),
        ([10**400], [1], [10**400]),
    ],
)
@pytest.mark.parametrize("combine", [mean, scores])
def test_what_has_no_mean_is_voted_on(combine: Any, values: Any) -> None:
    assert combine(EVEN, outputs(*values))[0].value == values[0]


@pytest.mark.parametrize("odd", ["cat", None, True, 10**400, [1.0], {"a": 1}, []])
def test_one_that_says_something_else_has_no_part_in_an_average(odd: Any) -> None:
    for values in ((odd, 0.2, 0.4), (0.2, odd, 0.4)):
        output, confidence = mean(EVEN, outputs(*values))
        assert output.value == pytest.approx(0.3)
        assert confidence == pytest.approx(2 / 3)


@pytest.mark.parametrize("odd", ["cat", 7, None, [1.0], [0.1, 0.2, 0.7]])
@pytest.mark.parametrize("combine", [scores, labels])
def test_one_that_gives_no_such_scores_has_no_part_in_them(combine: Any, odd: Any) -> None:
    for values in ((odd, [0.9, 0.1], [0.5, 0.5]), ([0.9, 0.1], [0.5, 0.5], odd)):
        output, confidence = combine(EVEN, outputs(*values))
        assert output.value == pytest.approx([0.7, 0.3])
        assert confidence == pytest.approx(2 / 3)


def test_of_scores_the_best_class_of_the_mean_is_what_models_agree_on() -> None:
    output, confidence = scores(EVEN, outputs([0.9, 0.1], [0.4, 0.6], [0.6, 0.4]))
    assert output.value == pytest.approx([1.9 / 3, 1.1 / 3])
    assert confidence == pytest.approx(2 / 3)


def test_of_models_that_weigh_nothing_all_count_the_same() -> None:
    output, confidence = mean({A: 0.0, B: 0.0, C: 1.0}, outputs(1.0, 2.0))
    assert output.value == pytest.approx(1.5)
    assert confidence == 0.0


@pytest.mark.parametrize(
    ("name", "loss", "way"),
    [
        ("", "zero_one", labels),
        ("", "log", scores),
        ("", "given", labels),
        ("vote", "zero_one", vote),
        ("", "absolute", mean),
        ("", "squared", mean),
        ("scores", "zero_one", scores),
    ],
)
def test_the_loss_says_what_outputs_are_unless_the_application_does(
    name: str, loss: str, way: Any
) -> None:
    assert make_combine(name, loss) is way


def test_a_way_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot be combined by 'median'") as refusal:
        make_combine("median", "zero_one")
    assert "vote, mean, scores" in refusal.value.hint
