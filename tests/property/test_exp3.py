"""Exp3 stays a distribution over finite weights, for ever and whatever it is told."""

import math
from collections import Counter
from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from clipper.core.types import ModelId
from clipper.selection.exp3 import FLOOR, Exp3, Exp3State
from tests.fakes.lessons import lesson

MODELS = tuple(ModelId("m", str(version)) for version in range(5))

rounds = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1), st.integers(1, 5)), max_size=60
)


def check(policy: Exp3, state: Exp3State, models: tuple[ModelId, ...]) -> None:
    probabilities = policy.shares(state, models)
    assert math.isclose(sum(probabilities), 1.0)
    assert all(0 < probability <= 1 for probability in probabilities)
    assert all(FLOOR <= weight <= 0 for weight in state.log_weights.values())


@given(eta=st.floats(1e-6, 1), rounds=rounds)
def test_probabilities_sum_to_one_whatever_is_learned(
    eta: float, rounds: list[tuple[float, float, int]]
) -> None:
    policy, state = Exp3(eta), Exp3State()
    pulls: Counter[str] = Counter()
    for draw, loss, count in rounds:
        models = MODELS[:count]
        selection = policy.select(state, models, draw)
        assert selection.models[0] in models
        state = policy.observe(
            state,
            models,
            lesson((selection.models[0],), {selection.models[0]: loss}, selection.propensity),
        )
        check(policy, state, models)
        check(policy, state, MODELS)
        pulls[str(selection.models[0])] += 1
        pulls = Counter({name: pulls[name] for name in map(str, models) if name in pulls})
    assert state.pulls == pulls
    assert msgspec.json.decode(msgspec.json.encode(state), type=Exp3State) == state


@given(losses=st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_a_loss_never_makes_a_model_more_probable(losses: list[float]) -> None:
    policy, state = Exp3(), Exp3State()
    for index, loss in enumerate(losses):
        selection = policy.select(state, MODELS, (index + 0.5) / 5)
        (drawn,) = selection.models
        before = policy.shares(state, MODELS)[MODELS.index(drawn)]
        state = policy.observe(state, MODELS, lesson((drawn,), {drawn: loss}, selection.propensity))
        assert policy.shares(state, MODELS)[MODELS.index(drawn)] <= before + 1e-12


def test_after_a_hundred_thousand_updates_everything_is_finite() -> None:
    policy, state, random = Exp3(eta=1.0), Exp3State(), Random(3)
    for number in range(100_000):
        selection = policy.select(state, MODELS[:3], random.random())
        loss = 1.0 if number % 10 else random.random()
        state = policy.observe(
            state,
            MODELS[:3],
            lesson((selection.models[0],), {selection.models[0]: loss}, selection.propensity),
        )
    check(policy, state, MODELS[:3])
    assert sum(state.pulls.values()) == 100_000
    assert math.isfinite(sum(state.losses.values()))
