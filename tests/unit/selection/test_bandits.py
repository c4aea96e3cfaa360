"""Bandits: who is asked, how probable that was, and what is remembered."""

from collections import Counter
from random import Random

import pytest

from clipper.core.errors import InvalidInput
from clipper.core.types import ModelId
from clipper.selection.arms import ArmsState, Bandit
from clipper.selection.bandits import EpsilonGreedy, Ucb1
from clipper.selection.policy import Tally
from clipper.selection.thompson import Thompson, best_chances
from tests.fakes.lessons import lesson

MODELS = tuple(ModelId(name, "1") for name in "abc")
A, B, C = MODELS
EVERY = [EpsilonGreedy, Ucb1, Thompson]


def known(*means: float, lessons: int = 100) -> ArmsState:
    """Models of which so many lessons taught this mean loss, each being 0 or 1."""
    return ArmsState(
        {
            str(model): Tally(lessons, lessons, lessons * mean, lessons * mean)
            for model, mean in zip(MODELS, means, strict=False)
        }
    )


def play(
    policy: Bandit, chances: dict[ModelId, float], rounds: int, state: ArmsState | None = None
) -> tuple[ArmsState, Counter[ModelId]]:
    """Ask again and again; each model is wrong with its chance."""
    random, asked = Random(5), Counter[ModelId]()
    state = policy.init() if state is None else state
    for _ in range(rounds):
        selection = policy.select(state, MODELS, random.random())
        (model,) = selection.models
        asked[model] += 1
        loss = float(random.random() < chances[model])
        state = policy.observe(state, MODELS, lesson((model,), {model: loss}, selection.propensity))
    return state, asked


@pytest.mark.parametrize("kind", EVERY)
def test_the_best_model_is_soon_asked_most(kind: type[Bandit]) -> None:
    policy, chances = kind(), {A: 0.6, B: 0.1, C: 0.4}
    state, _ = play(policy, chances, 2000)
    _, asked = play(policy, chances, 1000, state)
    assert asked[B] > 800


@pytest.mark.parametrize("kind", EVERY)
def test_a_model_that_fails_is_left_and_found_again_when_it_recovers(kind: type[Bandit]) -> None:
    policy = kind(forgetting=0.01)
    well, ill = {A: 0.05, B: 0.3, C: 0.4}, {A: 0.9, B: 0.3, C: 0.4}
    state, _ = play(policy, well, 2000)
    state, _ = play(policy, ill, 1000, state)
    state, asked = play(policy, ill, 500, state)
    assert asked[A] < 100
    state, _ = play(policy, well, 3000, state)
    _, asked = play(policy, well, 500, state)
    assert asked[A] > 300


@pytest.mark.parametrize("kind", EVERY)
def test_every_model_is_tried(kind: type[Bandit]) -> None:
    _, asked = play(kind(), {A: 0.0, B: 1.0, C: 1.0}, 50)
    assert set(asked) == set(MODELS)


@pytest.mark.parametrize("kind", EVERY)
def test_how_probable_a_choice_was_is_how_often_it_is_made(kind: type[Bandit]) -> None:
    policy, state = kind(), known(0.2, 0.25, 0.3)
    if isinstance(policy, Thompson):
        state = policy.observe(state, MODELS, lesson((A,), {A: 0.0}))
    draws = 4000
    propensities, counts = {}, Counter[ModelId]()
    for number in range(draws):
        selection = policy.select(state, MODELS, number / draws)
        counts[selection.models[0]] += 1
        propensities[selection.models[0]] = selection.propensity
    for model, propensity in propensities.items():
        assert counts[model] / draws == pytest.approx(propensity, abs=0.001)
    assert sum(propensities.values()) == pytest.approx(1.0)


def test_who_was_never_judged_is_tried_first() -> None:
    for policy in (EpsilonGreedy(epsilon=0), Ucb1()):
        assert policy.select(known(0.0, 0.0), MODELS, 0.5).models == (C,)


def test_the_bound_leaves_more_room_where_less_is_known() -> None:
    state = ArmsState({"a:1": Tally(1000, 1000, 200, 200), "b:1": Tally(10, 10, 3, 3)})
    assert Ucb1().select(state, (A, B), 0.5).models == (B,)
    assert Ucb1(exploration=0).select(state, (A, B), 0.5).models == (A,)


def test_without_forgetting_every_lesson_counts_alike() -> None:
    policy, state = EpsilonGreedy(forgetting=0), ArmsState()
    for loss in (1.0, 0.5, 0.0):
        state = policy.observe(state, MODELS, lesson((A,), {A: loss}))
    arm = state.arms["a:1"]
    assert (arm.pulls, arm.weight, arm.mean) == (3, 3.0, 0.5)
    assert arm.square == 1.25


def test_what_is_long_ago_counts_less() -> None:
    policy, state = EpsilonGreedy(forgetting=0.1), ArmsState()
    for loss in (*[1.0] * 100, *[0.0] * 20):
        state = policy.observe(state, MODELS, lesson((A,), {A: loss}))
    assert state.arms["a:1"].mean == pytest.approx(0.9**20, rel=0.01)
    assert state.arms["a:1"].pulls == 120


def test_of_models_that_are_no_longer_linked_nothing_is_remembered() -> None:
    policy = Ucb1()
    state = policy.observe(known(0.5, 0.5, 0.5), (B, C), lesson((A,), {A: 1.0}))
    assert set(state.arms) == {"b:1", "c:1"}


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        (EpsilonGreedy, {"epsilon": 1.1}),
        (EpsilonGreedy, {"epsilon": True}),
        (Ucb1, {"exploration": -1}),
        (Ucb1, {"exploration": "much"}),
        (Thompson, {"forgetting": 0.6}),
        (Thompson, {"forgetting": float("nan")}),
    ],
)
def test_a_parameter_out_of_range_is_refused(kind: type[Bandit], params: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=f"{kind.name} got {next(iter(params))}="):
        kind(**params)


@pytest.mark.parametrize("lessons", [0, 3, 30, 300])
def test_a_model_is_asked_as_often_as_it_would_win_a_draw_of_beliefs(lessons: int) -> None:
    means, random, wins = (0.3, 0.4, 0.35), Random(2), Counter[int]()
    for _ in range(20_000):
        drawn = [random.betavariate(1 + lessons * m, 1 + lessons * (1 - m)) for m in means]
        wins[drawn.index(min(drawn))] += 1
    expected = [wins[number] / 20_000 for number in range(3)]
    chances = best_chances(known(*means, lessons=lessons).of(MODELS))
    assert chances == pytest.approx(expected, abs=0.015)


def test_of_losses_between_the_normal_belief_is_narrower() -> None:
    """Losses that hardly differ tell more about their mean than those that are 0 or 1."""
    steady = [Tally(20, 20, 20 * mean, 20 * mean * mean) for mean in (0.3, 0.4)]
    chances = best_chances(steady)
    assert chances[0] > 0.99
    assert chances[0] > best_chances(known(0.3, 0.4, lessons=20).of((A, B)))[0]


def test_nobody_is_ever_ruled_out() -> None:
    chances = best_chances(known(0.0, 1.0, lessons=100_000).of((A, B)))
    assert 0 < chances[1] < 1e-5
    assert sum(chances) == pytest.approx(1.0)


def test_who_came_after_the_last_lesson_is_drawn_as_well() -> None:
    policy = Thompson()
    state = policy.observe(policy.init(), (A,), lesson((A,), {A: 0.0}))
    drawn = {policy.select(state, MODELS, number / 100).models[0] for number in range(100)}
    assert drawn == set(MODELS)
