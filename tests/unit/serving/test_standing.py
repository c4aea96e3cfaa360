"""How models stand: shares, losses with intervals, and who is surely worse."""

import pytest

from clipper.core.types import ModelId
from clipper.selection.arms import ArmsState
from clipper.selection.bandits import EpsilonGreedy
from clipper.selection.cascade import Cascade, CascadeState
from clipper.selection.ensemble import Majority
from clipper.selection.exp3 import Exp3, Exp3State
from clipper.selection.policy import Tally
from clipper.serving.standing import report, standings

A, B, C = (ModelId(name, "1") for name in "abc")


def known(*means: float, lessons: int = 2000) -> ArmsState:
    return ArmsState(
        {
            str(model): Tally(lessons, lessons, lessons * mean, lessons * mean)
            for model, mean in zip((A, B, C), means, strict=False)
        }
    )


def test_who_is_surely_worse_is_named_and_who_may_be_is_not() -> None:
    best, near, far = standings(EpsilonGreedy(), known(0.1, 0.11, 0.4), (A, B, C))
    assert (best.loss, near.loss, far.loss) == pytest.approx((0.1, 0.11, 0.4))
    assert best.above_best is None
    assert (best.is_worse, near.is_worse, far.is_worse) == (False, False, True)
    for standing in (best, near, far):
        assert standing.loss is not None
        assert standing.interval.low < standing.loss < standing.interval.high
    assert best.share > 0.9
    assert best.judged == 2000


def test_of_few_lessons_nothing_is_sure() -> None:
    assert not any(
        one.is_worse for one in standings(EpsilonGreedy(), known(0, 1, lessons=3), (A, B))
    )


def test_who_was_never_judged_has_no_loss() -> None:
    _, unknown = standings(EpsilonGreedy(), known(0.1), (A, B))
    assert (unknown.loss, unknown.judged, unknown.is_worse) == (None, 0, False)


def test_in_a_cascade_nobody_is_worse_because_losses_are_about_different_queries() -> None:
    policy = Cascade(["a", "b"], [0.3])
    state = CascadeState(known(0.4, 0.01).arms, about=policy.about)
    one, other = standings(policy, state, (A, B))
    assert (one.loss, other.loss) == pytest.approx((0.4, 0.01))
    assert (one.is_worse, other.is_worse) == (False, False)


def test_what_holds_under_other_parameters_only_is_not_reported() -> None:
    policy = Cascade(["a", "b"], [0.3])
    state = CascadeState(known(0.4, 0.01).arms, True, "so it was", policy.about)
    shown = report(policy, state, (A, B))
    assert (shown.state.reason, shown.models[0].judged) == ("so it was", 2000)
    shown = report(Cascade(["a", "b"], [0.2]), state, (A, B))
    assert (shown.state.reason, shown.models[0].judged) == ("", 0)


def test_policies_that_learn_nothing_have_shares_only() -> None:
    assert [one.share for one in standings(Majority(), None, (A, B))] == [0.5, 0.5]
    assert standings(Majority(), None, ()) == []


def test_what_exp3_counts_is_shown() -> None:
    state = Exp3State({}, {"a:1": 10}, {"a:1": 5.0})
    standing, _ = standings(Exp3(), state, (A, B))
    assert (standing.judged, standing.loss) == (10, 0.5)
