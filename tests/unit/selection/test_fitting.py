"""Thresholds that are cheap and not wrong more often than agreed, and that none is an answer."""

from typing import Any

import numpy as np
import pytest

from clipper.selection.fitting import (
    Level,
    alone,
    best_alone,
    evaluate,
    fit,
    right_below,
    upper_share,
)
from clipper.selection.losses import LOSSES

COUNT = 4000


def levels(
    cheap: float = 0.7, is_calibrated: bool = True, cost: float = 0.1
) -> tuple[Level, Level]:
    """A cheap model that knows when it is right (or does not), and a dear one that nearly is."""
    rng = np.random.default_rng(1)
    right = rng.random(COUNT) < cheap
    doubts = np.where(right, rng.random(COUNT) * 0.5, 0.4 + rng.random(COUNT) * 0.5)
    if not is_calibrated:
        doubts = rng.random(COUNT)
    dear = rng.random(COUNT) < 0.97
    return Level(doubts, wrong(right), cost), Level(np.zeros(COUNT), wrong(dear), 1.0)


def wrong(right: Any) -> Any:
    """The loss zero_one."""
    return 1.0 - right


def test_a_cheap_model_that_knows_what_it_knows_answers_most() -> None:
    found = fit(levels(), 0.01)
    assert found.levels == (0, 1)
    assert found.shares[0] > 0.5
    assert found.cost < 0.6
    assert found.accuracy > 0.95
    assert found.added_error <= 0.01


def test_a_larger_tolerance_is_cheaper() -> None:
    costs = [fit(levels(), tolerance).cost for tolerance in (0.0, 0.01, 0.05, 0.2)]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize(
    "without", [levels(is_calibrated=False), levels(cost=1.1), levels(cheap=0.1)]
)
def test_where_no_cascade_is_worth_it_there_is_none(without: tuple[Level, Level]) -> None:
    found = fit(without, 0.005)
    assert found == best_alone(without)
    assert found.levels == (1,)
    assert found.thresholds == ()


def test_a_cheap_model_that_is_wrong_no_more_often_than_agreed_answers_alone() -> None:
    found = fit(levels(cheap=0.96), 0.05)
    assert found == alone(levels(cheap=0.96), 0)
    assert (found.levels, found.thresholds, found.shares) == ((0,), (), (1.0,))
    assert 0.01 < found.added_error <= 0.05
    cheap, dear = levels(cheap=0.96)
    middle = cheap._replace(cost=0.5)
    assert fit((cheap, middle, dear), 0.05) == found


@pytest.mark.parametrize("tolerance", [0.0, 0.005, 0.02, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("cheap", [0.5, 0.9, 0.96])
def test_the_last_model_of_a_cascade_is_asked_at_times(cheap: float, tolerance: float) -> None:
    first, dear = levels(cheap)
    middle = Level(np.random.default_rng(2).random(COUNT), dear.losses, 0.5)
    for given in ((first, dear), (first, middle, dear._replace(losses=wrong(np.ones(COUNT))))):
        found = fit(given, tolerance)
        assert found.added_error <= tolerance
        assert found.shares[-1] > 0


def test_alone_tells_how_much_more_often_it_is_wrong_than_the_best() -> None:
    assert alone(levels(), 1).added_error == 0
    assert alone(levels(), 0).added_error == pytest.approx(0.27, abs=0.02)


def test_the_best_alone_of_equals_is_the_cheapest() -> None:
    right = np.array([True, False])
    equals = [Level(np.zeros(2), wrong(right), 2.0), Level(np.zeros(2), wrong(right), 1.0)]
    assert best_alone(equals).levels == (1,)


def test_of_three_a_middle_one_may_be_left_out_or_used() -> None:
    cheap, dear = levels()
    middle = Level(np.random.default_rng(2).random(COUNT), cheap.losses, 0.9)
    found = fit((cheap, middle, dear), 0.01)
    assert found.levels == (0, 1) or found.levels == (0, 2)


def test_costs_and_shares_add_up() -> None:
    one = evaluate(levels(), (0, 1), (0.3,))
    assert sum(one.shares) == pytest.approx(1)
    assert one.cost == pytest.approx(0.1 + one.shares[1])
    assert alone(levels(), 0).cost == 0.1


def test_the_loss_is_that_of_whoever_answers() -> None:
    cheap = Level(np.array([0.1, 0.9]), np.array([0.25, 0.75]), 0.1)
    dear = Level(np.zeros(2), np.array([0.0, 0.125]), 1.0)
    one = evaluate((cheap, dear), (0, 1), (0.5,))
    assert one.loss == (0.25 + 0.125) / 2
    assert one.accuracy == 1.0
    assert alone((cheap, dear), 0).loss == 0.5
    assert alone((cheap, dear), 0).accuracy == 0.5


@pytest.mark.parametrize(
    ("loss", "right", "is_wrong"),
    [
        ("zero_one", 0.0, 1.0),
        ("absolute", 0.07, 0.5),
        ("squared", 0.07**2, 0.25),
        ("log", LOSSES["log"](1, 0.51), LOSSES["log"](1, 0.49)),
    ],
)
def test_who_does_better_than_undecided_is_right(loss: str, right: float, is_wrong: float) -> None:
    assert right < right_below(loss) <= is_wrong


def test_an_output_without_probabilities_is_never_an_answer() -> None:
    cheap, dear = levels()
    doubts = np.where(np.arange(COUNT) % 2, cheap.doubts, np.inf)
    found = fit((cheap._replace(doubts=doubts), dear), 0.01)
    assert found.levels == (0, 1)
    assert found.shares[0] < 0.5
    assert np.isfinite(found.thresholds).all()
    never = cheap._replace(doubts=np.full(COUNT, np.inf))
    assert fit((never, dear), 0.2).levels == (1,)


def test_few_examples_are_not_trusted() -> None:
    assert upper_share(0, 100) > 0.02
    assert upper_share(0, 10_000) < 0.001
    few = [Level(level.doubts[:50], level.losses[:50], level.cost) for level in levels()]
    assert fit(few, 0.005).levels == (1,)
