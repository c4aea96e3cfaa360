"""What every selection policy must do, whatever it learns."""

from collections.abc import Mapping
from random import Random

import msgspec
import pytest

from clipper.core.outputs import output_of
from clipper.core.types import ModelId
from clipper.selection.policies import POLICIES, make_policy
from clipper.selection.policy import Selection, SelectionPolicy, State

MODELS = tuple(ModelId(name, "1") for name in ("a", "b", "c"))
DRAWS = (0.0, 0.25, 0.5, 0.75, 1 - 2**-53)


@pytest.fixture(params=sorted(POLICIES))
def policy(request: pytest.FixtureRequest) -> SelectionPolicy:
    return make_policy(request.param, {}, "zero_one")


def losses_of(selection: Selection, loss: float) -> Mapping[ModelId, float]:
    return dict.fromkeys(selection.models, loss)


def learned(policy: SelectionPolicy, rounds: int = 50) -> State:
    """A state that has seen good and bad."""
    state, random = policy.init(), Random(0)
    for _ in range(rounds):
        selection = policy.select(state, MODELS, random.random())
        state = policy.observe(state, MODELS, selection, losses_of(selection, random.random()))
    return state


def test_it_is_known_by_its_own_name(policy: SelectionPolicy) -> None:
    assert POLICIES[policy.name] is type(policy)


@pytest.mark.parametrize("draw", DRAWS)
def test_it_selects_at_least_one_of_the_models(policy: SelectionPolicy, draw: float) -> None:
    for state in (policy.init(), learned(policy)):
        selection = policy.select(state, MODELS, draw)
        assert selection.models
        assert set(selection.models) <= set(MODELS)
        assert len(set(selection.models)) == len(selection.models)
        assert 0 < selection.propensity <= 1


@pytest.mark.parametrize("draw", DRAWS)
def test_with_one_model_there_is_no_choice(policy: SelectionPolicy, draw: float) -> None:
    assert policy.select(policy.init(), MODELS[:1], draw) == (MODELS[:1], 1.0)


def test_the_same_draw_selects_the_same(policy: SelectionPolicy) -> None:
    state = learned(policy)
    for draw in DRAWS:
        assert policy.select(state, MODELS, draw) == policy.select(state, MODELS, draw)


def test_it_combines_what_is_there_into_one_of_the_outputs(policy: SelectionPolicy) -> None:
    for state in (policy.init(), learned(policy)):
        selection = policy.select(state, MODELS, 0.5)
        outputs = {model: output_of(7) for model in selection.models}
        output, confidence = policy.combine(state, selection.models, outputs)
        assert output == output_of(7)
        assert confidence == pytest.approx(1.0)


def test_learning_leaves_the_old_state_as_it_was(policy: SelectionPolicy) -> None:
    state = learned(policy)
    before = msgspec.json.encode(state)
    selection = policy.select(state, MODELS, 0.5)
    policy.observe(state, MODELS, selection, losses_of(selection, 1.0))
    assert msgspec.json.encode(state) == before


@pytest.mark.parametrize("loss", [0.0, 0.5, 1.0])
def test_every_loss_in_range_is_learned_from(policy: SelectionPolicy, loss: float) -> None:
    state = policy.init()
    for _ in range(100):
        selection = policy.select(state, MODELS, 0.5)
        state = policy.observe(state, MODELS, selection, losses_of(selection, loss))
    assert policy.select(state, MODELS, 0.5).models


def test_what_it_learned_survives_the_store(policy: SelectionPolicy) -> None:
    if policy.state_type is None:
        assert policy.init() is None
        return
    state = learned(policy)
    read = msgspec.json.decode(msgspec.json.encode(state), type=policy.state_type)
    assert read == state
    for draw in DRAWS:
        assert policy.select(read, MODELS, draw) == policy.select(state, MODELS, draw)


def test_models_may_come_and_go(policy: SelectionPolicy) -> None:
    state = learned(policy)
    newcomers = (ModelId("d", "1"), *MODELS[1:])
    for draw in DRAWS:
        selection = policy.select(state, newcomers, draw)
        assert set(selection.models) <= set(newcomers)
        state = policy.observe(state, newcomers, selection, losses_of(selection, 1.0))
    gone = Selection((MODELS[0],), 0.5)
    after = policy.observe(state, newcomers, gone, losses_of(gone, 1.0))
    assert policy.select(after, newcomers, 0.5).models


def test_feedback_may_come_when_no_model_is_linked_any_more(policy: SelectionPolicy) -> None:
    state = learned(policy)
    selection = policy.select(state, MODELS, 0.5)
    after = policy.observe(state, (), selection, losses_of(selection, 1.0))
    assert policy.select(after, MODELS, 0.5).models


def test_parameters_are_all_that_a_policy_holds(policy: SelectionPolicy) -> None:
    before = dict(vars(policy))
    learned(policy)
    assert vars(policy) == before
