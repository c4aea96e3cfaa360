"""Exp3: draws by weight, learns from losses, forgives, and stays finite."""

import math
from collections import Counter
from random import Random

import pytest

from clipper.core.outputs import output_of
from clipper.core.types import ModelId
from clipper.selection.exp3 import FLOOR, Exp3, Exp3State
from tests.fakes.lessons import lesson

MODELS = tuple(ModelId("m", str(version)) for version in range(3))
A, B, C = MODELS


def learn(policy: Exp3, state: Exp3State, losses: dict[ModelId, float], draw: float) -> Exp3State:
    """One round: draw a model, suffer its loss."""
    selection = policy.select(state, tuple(losses), draw)
    (drawn,) = selection.models
    return policy.observe(
        state, tuple(losses), lesson((drawn,), {drawn: losses[drawn]}, selection.propensity)
    )


def play(
    policy: Exp3, state: Exp3State, losses: dict[ModelId, float], rounds: int, random: Random
) -> tuple[Exp3State, Counter[ModelId]]:
    """Many rounds, and who was drawn how often."""
    drawn: Counter[ModelId] = Counter()
    for _ in range(rounds):
        draw = random.random()
        drawn.update(policy.select(state, tuple(losses), draw).models)
        state = learn(policy, state, losses, draw)
    return state, drawn


def test_at_first_every_model_is_as_good_as_any_other() -> None:
    assert Exp3().shares(Exp3State(), MODELS) == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("draw", "chosen"), [(0.0, A), (0.3, A), (0.34, B), (0.66, B), (0.67, C), (1 - 1e-16, C)]
)
def test_the_draw_decides(draw: float, chosen: ModelId) -> None:
    selection = Exp3().select(Exp3State(), MODELS, draw)
    assert selection.models == (chosen,)
    assert selection.propensity == pytest.approx(1 / 3)


def test_models_are_drawn_as_often_as_their_weights_say() -> None:
    state = Exp3State(log_weights={str(A): 0.0, str(B): math.log(0.5), str(C): math.log(0.5)})
    random = Random(1)
    drawn = Counter(Exp3().select(state, MODELS, random.random()).models for _ in range(10_000))
    assert drawn[(A,)] == pytest.approx(5000, rel=0.05)
    assert drawn[(B,)] == pytest.approx(2500, rel=0.1)


def test_a_loss_lowers_the_drawn_models_weight_by_the_rule_of_the_paper() -> None:
    policy = Exp3(eta=0.1)
    state = learn(policy, Exp3State(), {A: 1.0, B: 0.0}, draw=0.0)
    factor = math.exp(-0.1 * 1.0 / (0.5 + 0.05))
    expected = [factor / (factor + 1), 1 / (factor + 1)]
    assert policy.shares(state, (A, B)) == pytest.approx(expected)


def test_without_a_loss_the_weights_stay() -> None:
    policy = Exp3()
    state = learn(policy, Exp3State(), {A: 0.0, B: 1.0}, draw=0.0)
    assert policy.shares(state, (A, B)) == pytest.approx([0.5, 0.5])
    assert state.pulls == {str(A): 1}


def test_pulls_and_losses_are_counted_by_model() -> None:
    state = Exp3State()
    for draw in (0.0, 0.0, 0.99):
        state = learn(Exp3(), state, {A: 0.5, B: 0.25}, draw)
    assert state.pulls == {str(A): 2, str(B): 1}
    assert state.losses == {str(A): 1.0, str(B): 0.25}


def test_the_best_model_is_soon_drawn_most() -> None:
    policy, random = Exp3(), Random(7)
    state, _ = play(policy, Exp3State(), {A: 0.9, B: 0.1, C: 0.5}, 1000, random)
    _, drawn = play(policy, state, {A: 0.9, B: 0.1, C: 0.5}, 1000, random)
    assert drawn[B] > 850


def test_it_forgives_a_model_that_recovers_after_a_hundred_thousand_queries() -> None:
    policy, random = Exp3(), Random(7)
    state, _ = play(policy, Exp3State(), {A: 0.9, B: 0.0}, 100_000, random)
    state, _ = play(policy, state, {A: 0.0, B: 0.9}, 2000, random)
    _, drawn = play(policy, state, {A: 0.0, B: 0.9}, 1000, random)
    assert drawn[A] > 900


def test_at_the_floor_a_model_is_still_drawn_now_and_then() -> None:
    state = Exp3State(log_weights={str(A): 0.0, str(B): FLOOR})
    share = Exp3().shares(state, (A, B))[1]
    assert share == pytest.approx(1 / 1000, rel=0.2)


def test_a_model_never_seen_starts_in_the_middle() -> None:
    state = Exp3State(log_weights={str(A): 0.0, str(B): -2.0})
    a, b, newcomer = Exp3().shares(state, MODELS)
    assert a > newcomer > b
    assert newcomer / b == pytest.approx(math.e)


def test_feedback_on_a_model_that_is_no_longer_linked_changes_nothing_for_the_others() -> None:
    policy = Exp3()
    state = Exp3State(log_weights={str(A): 0.0, str(B): -1.0})
    before = policy.shares(state, (A, B))
    late = policy.select(Exp3State(), (C,), 0.0)
    after = policy.observe(state, (A, B), lesson(late.models, {C: 1.0}))
    assert policy.shares(after, (A, B)) == pytest.approx(before)


def test_models_that_are_no_longer_linked_are_forgotten() -> None:
    policy = Exp3()
    state = learn(policy, Exp3State(), {A: 0.5, B: 0.25}, draw=0.0)
    state = learn(policy, state, {B: 0.25, C: 0.0}, draw=0.0)
    assert set(state.log_weights) == {str(B), str(C)}
    assert state.pulls == {str(B): 1}
    assert state.losses == {str(B): 0.25}


def test_nothing_is_kept_about_a_model_that_was_gone_before_its_feedback_came() -> None:
    state = learn(Exp3(), Exp3State(), {A: 0.5, B: 0.25}, draw=0.0)
    assert Exp3().observe(state, (A, B), lesson((C,), {C: 1.0})) == state


def test_a_single_model_is_certain_whatever_it_costs() -> None:
    policy, state = Exp3(), Exp3State()
    for _ in range(100):
        state = learn(policy, state, {A: 1.0}, draw=0.5)
    assert policy.shares(state, (A,)) == [1.0]


def test_the_answer_is_the_drawn_models_own() -> None:
    output = output_of("cat")
    assert Exp3().combine(Exp3State(), (B,), {B: output}) == (output, 1.0)
