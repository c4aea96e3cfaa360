"""Losses: in [0, 1], or refused; whatever the label, no other error."""

import pytest

from clipper.core.errors import InvalidInput
from clipper.selection.losses import LOSSES, absolute, squared, zero_one


@pytest.mark.parametrize(
    ("label", "output", "loss"),
    [
        *((1, 1, 0), (1, 1.0, 0), (1, 2, 1), ("a", "a", 0), ([1, {"b": 2}], [1, {"b": 2}], 0)),
        *((None, None, 0), (None, 0, 1), ("1", 1, 1), ({}, [], 1)),
    ],
)
def test_zero_one_compares_any_json_values(label: object, output: object, loss: float) -> None:
    assert zero_one(label, output) == loss


@pytest.mark.parametrize(("label", "output"), [(0.25, 1), (1, 0.25)])
def test_the_distance_of_two_numbers_has_no_sign(label: float, output: float) -> None:
    assert absolute(label, output) == 0.75
    assert squared(label, output) == 0.5625


@pytest.mark.parametrize("name", ["absolute", "squared"])
@pytest.mark.parametrize(
    ("label", "output", "message"),
    [
        ("a", 1, r"The label 'a' is not a number\."),
        (None, 1, r"The label None is not a number\."),
        (True, 1, r"The label True is not a number\."),
        (1, [1], r"The output \[1\] is not a number\."),
        (3, 1, r"The loss is [24]; it must be between 0 and 1\."),
        (1e200, 0, "it must be between 0 and 1"),
        (1e308, -1e308, "it must be between 0 and 1"),
        pytest.param(10**400, 1, "The label 10+.* is too large", id="huge label"),
        pytest.param(0.5, -(10**400), "The output -10+.* is too large", id="huge output"),
        ("x" * 10_000, 1, r"The label 'x+\.\.\.x+' is not a number"),
        (float("nan"), 1, "it must be between 0 and 1"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    name: str, label: object, output: object, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message) as refusal:
        LOSSES[name](label, output)
    assert len(refusal.value.message) < 200


def test_there_are_the_losses_that_applications_may_ask_for() -> None:
    assert set(LOSSES) == {"zero_one", "absolute", "squared", "log", "given"}


def test_values_nested_too_deeply_are_refused() -> None:
    deep: tuple[list[object], list[object]] = ([], [])
    for _ in range(5000):
        deep = ([deep[0]], [deep[1]])
    with pytest.raises(InvalidInput, match="nested too deeply"):
        zero_one(*deep)


@pytest.mark.parametrize(
    ("label", "output", "loss"),
    [(2, [0.1, 0.2, 0.7], 0), (1, [0.1, 0.2, 0.7], 1), (0, [], 1), ([0.5], [0.5], 0)],
)
def test_a_class_is_compared_with_the_one_that_scores_best(
    label: object, output: object, loss: float
) -> None:
    assert zero_one(label, output) == loss


def test_the_distance_of_two_vectors_is_the_mean_over_their_places() -> None:
    assert absolute([1, 0.5], [0.5, 0.5]) == 0.25
    assert squared([1, 0.5], [0.5, 0.5]) == 0.125
    for wrong in ([1], [], [1, "a"], [1, 9]):
        with pytest.raises(InvalidInput):
            absolute(wrong, [0.5, 0.5])


def test_the_log_loss_is_0_for_the_truth_and_1_at_the_least_probability() -> None:
    assert LOSSES["log"](1, [0.0, 1.0]) == 0.0
    assert LOSSES["log"](1, 1) == 0.0
    assert LOSSES["log"](0, [0.0, 1.0]) == 1.0
    assert LOSSES["log"](1, [0.5, 0.5]) == pytest.approx(0.1003, abs=1e-4)
    assert LOSSES["log"](0, 0.5) == LOSSES["log"](1, 0.5)


@pytest.mark.parametrize(
    ("label", "output"),
    [(2, [0.5, 0.5]), (-1, [0.5, 0.5]), (True, 0.5), ("a", 0.5), (1, [2, 3]), (1, "x"), (1, [])],
)
def test_what_has_no_probability_is_refused(label: object, output: object) -> None:
    with pytest.raises(InvalidInput):
        LOSSES["log"](label, output)


def test_a_loss_that_is_given_is_taken_as_it_is() -> None:
    assert LOSSES["given"](0.25, "whatever") == 0.25
    for wrong in (-0.1, 1.1, "x", None, True):
        with pytest.raises(InvalidInput):
            LOSSES["given"](wrong, "whatever")
