"""What every selection policy must do, as tests: for ours, and for one of your own.

import pytest
from clipper.selection.contract import SelectionPolicyContract
from mine import Mine

@pytest.fixture
def policy() -> Mine:
    return Mine()

class TestMine(SelectionPolicyContract):
    pass
"""

import math
from random import Random

import msgspec

from clipper.core.outputs import output_of
from clipper.core.types import ModelId, Output
from clipper.selection.policy import Lesson, Selection, SelectionPolicy, State, Traffic

MODELS = tuple(ModelId(name, "1") for name in ("a", "b", "c"))
DRAWS = (0.0, 0.25, 0.5, 0.75, 1 - 2**-53)
SILENT = MODELS[1]
SEVEN = output_of(7)
NEARLY = 1e-9
MOST_BYTES = 20_000
"""Of a state about three models, as JSON: there may be one for each user."""


class SelectionPolicyContract:
    """Each test gets the `policy` by a fixture of that name."""

    def test_it_selects_at_least_one_of_the_models(self, policy: SelectionPolicy) -> None:
        for state in (policy.init(), learned(policy)):
            for draw in DRAWS:
                selection = policy.select(state, MODELS, draw)
                asked = selection.models + selection.shadows
                assert selection.models
                assert set(asked) <= set(MODELS)
                assert len(set(asked)) == len(asked)
                assert 0 < selection.propensity <= 1

    def test_with_one_model_there_is_no_choice(self, policy: SelectionPolicy) -> None:
        for draw in DRAWS:
            assert policy.select(policy.init(), MODELS[:1], draw) == Selection(MODELS[:1], 1.0)

    def test_the_same_draw_selects_the_same(self, policy: SelectionPolicy) -> None:
        state = learned(policy)
        for draw in DRAWS:
            assert policy.select(state, MODELS, draw) == policy.select(state, MODELS, draw)

    def test_the_shares_of_all_models_sum_to_one(self, policy: SelectionPolicy) -> None:
        for state in (policy.init(), learned(policy)):
            shares = policy.shares(state, MODELS)
            assert len(shares) == len(MODELS)
            assert all(0 <= share <= 1 + NEARLY for share in shares)
            assert math.isclose(sum(shares), 1)

    def test_it_combines_what_agrees_into_that(self, policy: SelectionPolicy) -> None:
        selection = policy.select(policy.init(), MODELS, 0.5)
        outputs = dict.fromkeys(selection.models, SEVEN)
        output, confidence = policy.combine(policy.init(), selection.models, outputs)
        assert math.isclose(output.value, SEVEN.value)
        assert 0 <= confidence <= 1

    def test_it_combines_what_is_there(self, policy: SelectionPolicy) -> None:
        for state in (policy.init(), learned(policy)):
            asked = policy.select(state, MODELS, 0.5).models
            for model in asked:
                for value in (3, 0.5, "cat", None, [0.25, 0.75], {"a": [1]}):
                    _, confidence = policy.combine(state, asked, {model: output_of(value)})
                    assert 0 <= confidence <= 1

    def test_learning_leaves_the_old_state_as_it_was(self, policy: SelectionPolicy) -> None:
        state = learned(policy)
        before = msgspec.json.encode(state)
        policy.observe(state, MODELS, lesson_of(policy.select(state, MODELS, 0.5), 1.0))
        policy.watch(state, MODELS, {MODELS[0]: Traffic(3, 1, 0.5, 0.2)})
        assert msgspec.json.encode(state) == before

    def test_every_loss_in_range_is_learned_from(self, policy: SelectionPolicy) -> None:
        for loss in (0.0, 0.5, 1.0):
            state = policy.init()
            for _ in range(100):
                state = policy.observe(
                    state, MODELS, lesson_of(policy.select(state, MODELS, 0.5), loss)
                )
            assert policy.select(state, MODELS, 0.5).models

    def test_any_outputs_and_labels_are_learned_from(self, policy: SelectionPolicy) -> None:
        state = policy.init()
        for value in (7, 0.5, "cat", None, True, [0.25, 0.75], [], {"a": [1]}):
            for label in (7, 0.5, "cat", None, True, [1, 0], [], {"a": [1]}):
                selection = policy.select(state, MODELS, 0.5)
                lesson = lesson_of(selection, 1.0, output_of(value))._replace(label=label)
                state = policy.observe(state, MODELS, lesson)
        assert policy.select(state, MODELS, 0.5).models

    def test_amounts_may_be_very_large(self, policy: SelectionPolicy) -> None:
        state = learned(policy)
        for large in (1e200, -1e200, [1e200, -1e200], [1e200, 0.5]):
            for label in (large, 7, [1, 0]):
                selection = policy.select(state, MODELS, 0.5)
                output, confidence = policy.combine(
                    state, selection.models, dict.fromkeys(selection.models, output_of(large))
                )
                assert msgspec.json.decode(output.json) == output.value
                assert 0 <= confidence <= 1
                asked = selection.models + selection.shadows
                for outputs in (
                    dict.fromkeys(asked, output_of(large)),
                    {asked[0]: output_of(large), **dict.fromkeys(asked[1:], SEVEN)},
                ):
                    lesson = Lesson(selection, dict.fromkeys(asked, 0.0), outputs, label)
                    state = policy.observe(state, MODELS, lesson)
                    check(policy, state)

    def test_who_gave_no_output_is_learned_from(self, policy: SelectionPolicy) -> None:
        state = learned(policy)
        selection = policy.select(state, MODELS, 0.5)
        silent = Lesson(selection, dict.fromkeys(selection.models, 1.0), {}, 7)
        assert policy.select(policy.observe(state, MODELS, silent), MODELS, 0.5).models

    def test_a_model_may_be_silent_for_ever(self, policy: SelectionPolicy) -> None:
        state = policy.init()
        for round_ in range(300):
            selection = policy.select(state, MODELS, round_ % 97 / 97)
            heard = lesson_of(selection, 0.5)
            lesson = heard._replace(
                outputs={model: out for model, out in heard.outputs.items() if model != SILENT},
                losses={
                    model: 1.0 if model == SILENT else loss
                    for model, loss in heard.losses.items()
                    if model != SILENT or model in selection.models
                },
            )
            state = policy.observe(state, MODELS, lesson)
        check(policy, state)

    def test_versions_that_are_gone_are_forgotten(self, policy: SelectionPolicy) -> None:
        state = policy.init()
        for version in range(300):
            models = tuple(ModelId(model.name, f"{version:040x}") for model in MODELS)
            for draw in DRAWS:
                selection = policy.select(state, models, draw)
                state = policy.observe(state, models, lesson_of(selection, 0.5))
        assert len(msgspec.json.encode(state)) < MOST_BYTES

    def test_what_it_learned_survives_the_store(self, policy: SelectionPolicy) -> None:
        if policy.state_type is None:
            assert policy.init() is None
            return
        state = learned(policy)
        read = msgspec.json.decode(msgspec.json.encode(state), type=policy.state_type)
        assert read == state
        for draw in DRAWS:
            assert policy.select(read, MODELS, draw) == policy.select(state, MODELS, draw)

    def test_models_may_come_and_go(self, policy: SelectionPolicy) -> None:
        state = learned(policy)
        newcomers = (ModelId("d", "1"), *MODELS[1:])
        for draw in DRAWS:
            selection = policy.select(state, newcomers, draw)
            assert set(selection.models + selection.shadows) <= set(newcomers)
            state = policy.observe(state, newcomers, lesson_of(selection, 1.0))
        gone = Selection((MODELS[0],), 0.5)
        after = policy.observe(state, newcomers, lesson_of(gone, 1.0))
        assert policy.select(after, newcomers, 0.5).models

    def test_feedback_may_come_when_no_model_is_linked(self, policy: SelectionPolicy) -> None:
        state = learned(policy)
        selection = policy.select(state, MODELS, 0.5)
        after = policy.observe(state, (), lesson_of(selection, 1.0))
        assert policy.select(after, MODELS, 0.5).models

    def test_it_stays_finite_for_ever(self, policy: SelectionPolicy) -> None:
        state = policy.init()
        for round_ in range(3000):
            selection = policy.select(state, MODELS, round_ % 97 / 97)
            state = policy.observe(state, MODELS, lesson_of(selection, float(round_ % 3 > 0)))
        assert math.isclose(sum(policy.shares(state, MODELS)), 1)

    def test_parameters_are_all_that_a_policy_holds(self, policy: SelectionPolicy) -> None:
        before = dict(vars(policy))
        learned(policy)
        assert vars(policy) == before


def lesson_of(selection: Selection, loss: float, output: Output = SEVEN) -> Lesson:
    """All that were asked said the same."""
    asked = selection.models + selection.shadows
    return Lesson(selection, dict.fromkeys(asked, loss), dict.fromkeys(asked, output), 7)


def check(policy: SelectionPolicy, state: State) -> None:
    """The store can hold it, and models can be selected by it."""
    if policy.state_type is not None:
        assert msgspec.json.decode(msgspec.json.encode(state), type=policy.state_type) == state
    shares = policy.shares(state, MODELS)
    assert all(0 <= share <= 1 + NEARLY for share in shares)
    assert math.isclose(sum(shares), 1)


def learned(policy: SelectionPolicy, rounds: int = 50) -> State:
    """A state that has seen good and bad."""
    state, random = policy.init(), Random(0)
    for _ in range(rounds):
        selection = policy.select(state, MODELS, random.random())
        state = policy.observe(state, MODELS, lesson_of(selection, random.random()))
    return state
