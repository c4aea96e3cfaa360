"""What another policy would have cost, from a log: compared with what it then does cost."""

from collections.abc import Iterator
from random import Random

import pytest

from clipper.core.errors import InvalidInput
from clipper.core.outputs import output_of
from clipper.core.types import ModelId
from clipper.selection.bandits import EpsilonGreedy, Ucb1
from clipper.selection.comparing import Split
from clipper.selection.ensemble import Exp4, Majority
from clipper.selection.exp3 import Exp3
from clipper.selection.policy import Lesson, Selection, SelectionPolicy
from clipper.selection.replay import Logged, evaluate

MODELS = tuple(ModelId(name, "1") for name in "abc")
CHANCES = dict(zip(MODELS, (0.5, 0.1, 0.3), strict=True))


def logged(policy: SelectionPolicy, rounds: int, seed: int = 1) -> Iterator[Logged]:
    """What a policy decided, and what it learned."""
    state, random = policy.init(), Random(seed)
    for _ in range(rounds):
        selection = policy.select(state, MODELS, random.random())
        wrong = {model: random.random() < chance for model, chance in CHANCES.items()}
        losses = {model: float(wrong[model]) for model in selection.models}
        outputs = {model: output_of("no" if wrong[model] else "yes") for model in losses}
        yield Logged("a", MODELS, selection, outputs, "yes", losses)
        state = policy.observe(state, MODELS, Lesson(selection, losses, outputs, "yes"))


@pytest.mark.parametrize(("name", "loss"), [("a", 0.5), ("b", 0.1), ("c", 0.3)])
def test_from_a_log_of_random_choices_each_model_is_judged_rightly(name: str, loss: float) -> None:
    decisions = list(logged(Split(), 6000))
    estimate = evaluate(Split({name: 1}), decisions, "zero_one")
    assert estimate.loss == pytest.approx(loss, abs=0.03)
    assert estimate.interval.low < loss < estimate.interval.high
    assert estimate.mean_weight == pytest.approx(1, abs=0.1)
    assert estimate.used == pytest.approx(2000, rel=0.1)


def test_a_log_that_favours_one_model_is_corrected_for() -> None:
    decisions = list(logged(Split({"a": 8, "b": 1, "c": 1}), 8000))
    plain = sum(sum(one.losses.values()) for one in decisions) / len(decisions)
    assert plain > 0.4
    assert evaluate(Split({"b": 1}), decisions, "zero_one").loss == pytest.approx(0.1, abs=0.04)
    assert evaluate(Split(), decisions, "zero_one").loss == pytest.approx(0.3, abs=0.04)


def test_a_policy_that_learns_is_better_than_chance() -> None:
    decisions = list(logged(Exp3(), 4000))
    assert evaluate(EpsilonGreedy(), decisions, "zero_one").loss < 0.2


def test_from_a_log_of_an_ensemble_any_policy_is_played() -> None:
    decisions = list(logged(Majority(), 2000))
    alone = evaluate(Split({"b": 1}), decisions, "zero_one")
    assert alone.loss == pytest.approx(0.1, abs=0.03)
    assert alone.used == 2000
    assert evaluate(Exp4(), decisions, "zero_one").loss < 0.2


def test_where_the_log_tried_nothing_of_it_it_says_so() -> None:
    decisions = list(logged(Split({"a": 1}), 100))
    with pytest.raises(InvalidInput, match="no decision that this policy would have taken"):
        evaluate(Split({"b": 1}), decisions, "zero_one")


def test_the_same_seed_gives_the_same() -> None:
    decisions = list(logged(Exp3(), 500))
    assert evaluate(Ucb1(), decisions, "zero_one", 5) == evaluate(Ucb1(), decisions, "zero_one", 5)


def test_a_model_that_gave_no_output_cost_what_was_logged() -> None:
    silent = Logged("a", MODELS, Selection(MODELS, 1.0), {}, "yes", dict.fromkeys(MODELS, 1.0))
    assert evaluate(Majority(), [silent], "zero_one").loss == 1.0
