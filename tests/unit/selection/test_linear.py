"""Weights that are fitted: to numbers, to score vectors, and to votes."""

from random import Random
from typing import Any

import numpy as np
import pytest

from clipper.core.errors import InvalidInput
from clipper.core.outputs import output_of
from clipper.core.types import ModelId
from clipper.selection.linear import Linear, LinearState
from tests.fakes.lessons import lesson

MODELS = tuple(ModelId(name, "1") for name in "abc")
A, B, C = MODELS


def answer(policy: Linear, state: LinearState, *values: Any) -> tuple[Any, float]:
    outputs = {model: output_of(value) for model, value in zip(MODELS, values, strict=False)}
    output, confidence = policy.combine(state, MODELS, outputs)
    return output.value, confidence


def taught(policy: Linear, state: LinearState, label: Any, *values: Any) -> LinearState:
    outputs = dict(zip(MODELS, values, strict=False))
    losses = dict.fromkeys(outputs, 0.5)
    return policy.observe(state, MODELS, lesson(MODELS, losses, 1.0, outputs, label))


def taught_silent(policy: Linear, state: LinearState, label: Any, *values: Any) -> LinearState:
    """All were asked; who has no value was silent."""
    outputs = dict(zip(MODELS, values, strict=False))
    losses = {model: 0.5 if model in outputs else 1.0 for model in MODELS}
    return policy.observe(state, MODELS, lesson(MODELS, losses, 1.0, outputs, label))


def test_a_fresh_context_has_the_mean_of_the_models() -> None:
    policy = Linear(loss="squared")
    value, confidence = answer(policy, policy.init(), 0.3, 0.6, 0.9)
    assert value == pytest.approx(0.6)
    assert confidence == pytest.approx(1.0)


def test_the_weights_of_a_sum_are_found() -> None:
    policy, state, random = (
        Linear(ridge=0.01, forgetting=0, loss="squared"),
        LinearState(),
        Random(1),
    )
    for _ in range(100):
        values = [random.random() for _ in MODELS]
        label = 0.7 * values[0] + 0.5 * values[1] - 0.2 * values[2]
        state = taught(policy, state, label, *values)
    assert state.weights == pytest.approx([0.7, 0.5, -0.2], abs=0.01)


def test_vectors_share_the_weights_of_their_models() -> None:
    policy, state, random = Linear(loss="log"), LinearState(), Random(1)
    for _ in range(200):
        label = random.randrange(3)
        right = [float(place == label) for place in range(3)]
        noise = [[random.random() for _ in range(3)] for _ in range(2)]
        state = taught(policy, state, label, right, *noise)
    value, _ = answer(policy, state, [0.1, 0.8, 0.1], [0.9, 0.0, 0.1], [0.9, 0.1, 0.0])
    assert max(range(3), key=value.__getitem__) == 1


def test_of_labels_the_trusted_minority_wins() -> None:
    policy, state, random = Linear(), LinearState(), Random(2)
    for _ in range(200):
        label = random.choice(["cat", "dog", "cow"])
        state = taught(policy, state, label, label, random.choice(["cat", "dog"]), "cow")
    value, confidence = answer(policy, state, "dog", "cow", "cow")
    assert value == "dog"
    assert confidence > 0.8


def test_whole_numbers_are_labels_where_the_loss_compares_labels() -> None:
    policy = Linear()
    assert answer(policy, policy.init(), 3, 3, 7)[0] == 3


def test_what_changes_is_learned_anew() -> None:
    policy, state, random = Linear(forgetting=0.05, loss="squared"), LinearState(), Random(1)
    for right in (0, 2):
        for _ in range(200):
            values = [random.random() for _ in MODELS]
            state = taught(policy, state, values[right], *values)
    assert state.weights == pytest.approx([0, 0, 1], abs=0.05)


def test_who_is_late_is_stood_in_for() -> None:
    policy = Linear(loss="squared")
    outputs = {A: output_of(0.3), B: output_of(0.3)}
    output, confidence = policy.combine(policy.init(), MODELS, outputs, {C: output_of(0.9)})
    assert output.value == pytest.approx(0.5)
    assert confidence == pytest.approx(2 / 3)


def test_the_answer_keeps_its_size_when_a_model_is_silent() -> None:
    policy = Linear(loss="squared")
    value, confidence = answer(policy, policy.init(), 10.0)
    assert value == pytest.approx(10.0)
    assert confidence == pytest.approx(1 / 3)
    assert answer(policy, policy.init(), 10.0, 40.0)[0] == pytest.approx(25.0)


@pytest.mark.parametrize("weights", [[1.5, -0.4, -0.1], [1.0, -1.0, 1.0], [0.0, 0.0, 1.0]])
def test_so_it_does_whatever_signs_the_weights_have(weights: list[float]) -> None:
    state = LinearState(list(map(str, MODELS)), weights, [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    value, _ = answer(Linear(loss="squared"), state, 10.0, 10.0)
    assert value == pytest.approx(10.0)


def test_vectors_keep_their_size_too() -> None:
    policy = Linear(loss="log")
    value, _ = answer(policy, policy.init(), [0.25, 0.75])
    assert value == pytest.approx([0.25, 0.75])


def test_with_a_silent_model_the_others_are_taught_and_it_is_taught_when_it_returns() -> None:
    policy, state, random = Linear(forgetting=0.02, loss="squared"), LinearState(), Random(1)
    for _ in range(1000):
        a, b = random.random(), random.random()
        state = taught_silent(policy, state, a, a, b)
    value, _ = answer(policy, state, 0.9, 0.1)
    assert value == pytest.approx(0.9, abs=0.01)
    for _ in range(300):
        values = [random.random() for _ in MODELS]
        state = taught(policy, state, values[2], *values)
    assert state.weights == pytest.approx([0, 0, 1], abs=0.01)


def test_what_a_model_used_to_say_has_no_say_once_it_is_silent_for_good() -> None:
    policy, state, random = Linear(forgetting=0.02, loss="squared"), LinearState(), Random(1)
    for _ in range(300):
        c = random.random()
        state = taught(policy, state, c, random.random(), random.random(), c)
    for _ in range(600):
        a = random.random()
        state = taught_silent(policy, state, a, a, random.random())
    outputs, usual = {A: output_of(0.9), B: output_of(0.1)}, {C: output_of(0.5)}
    output, _ = policy.combine(state, MODELS, outputs, usual)
    assert output.value == pytest.approx(0.9, abs=0.01)
    state = taught(policy, state, 0.5, 0.5, 0.5, 0.5)
    late, _ = policy.combine(state, MODELS, outputs, usual)
    assert late.value != pytest.approx(output.value, abs=0.01)


def test_a_newcomer_begins_at_the_mean_and_the_others_keep_what_they_learned() -> None:
    policy, state, random = Linear(forgetting=0, loss="squared"), LinearState(), Random(1)
    for _ in range(200):
        values = [random.random() for _ in MODELS]
        state = taught(policy, state, values[0], *values)
    newer = ModelId("d", "1")
    state = policy.observe(state, (A, newer), lesson((A,), {A: 0.0}))
    assert state.models == ["a:1", "d:1"]
    assert state.weights == pytest.approx([1.0, 0.5], abs=0.05)


def test_what_changes_is_learned_anew_by_models_that_always_say_the_same() -> None:
    policy, state, random = Linear(forgetting=0.05, loss="squared"), LinearState(), Random(1)
    for factor, lessons in ((1.0, 3000), (0.3, 300)):
        for _ in range(lessons):
            value = random.random()
            state = taught(policy, state, factor * value, value, value, value)
        assert answer(policy, state, 1.0, 1.0, 1.0)[0] == pytest.approx(factor, abs=0.01)


@pytest.mark.parametrize("forgetting", [0, 0.01, 0.5])
@pytest.mark.parametrize("largest", [1e-3, 1.0, 1e11])
def test_the_inverse_stays_positive_definite_whatever_is_never_observed(
    forgetting: float, largest: float
) -> None:
    policy, state, random = Linear(forgetting=forgetting, loss="squared"), LinearState(), Random(1)
    for number in range(3000):
        value = random.random() * largest
        state = taught(policy, state, value, value, value, value if number % 100 else 0.0)
    inverse = np.array(state.inverse)
    assert np.linalg.eigvalsh(inverse).min() > 0
    assert inverse.max() < 1e4
    assert max(map(abs, state.weights)) < 10


def test_a_long_vector_makes_it_forget_no_more_than_a_number() -> None:
    policy = Linear(forgetting=0.5)
    state = taught(policy, LinearState(), [0] * 2000, *([0.0] * 2000 for _ in MODELS))
    assert state.inverse[0][0] == pytest.approx(2.0)


def test_an_inverse_that_rounding_has_ruined_is_begun_anew() -> None:
    policy, random = Linear(loss="squared"), Random(1)
    ruined = [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]
    state = LinearState(list(map(str, MODELS)), [0.0, 0.0, 0.0], ruined)
    state = taught(policy, state, 0.5, 0.4, 0.5, 0.6)
    assert np.linalg.eigvalsh(np.array(state.inverse)).min() > 0
    for _ in range(300):
        values = [random.random() for _ in MODELS]
        state = taught(policy, state, values[1], *values)
    assert state.weights == pytest.approx([0, 1, 0], abs=0.05)


def test_an_amount_that_cannot_be_meant_counts_as_none() -> None:
    policy, state, random = Linear(forgetting=0, loss="squared"), LinearState(), Random(1)
    assert answer(policy, state, 1e200, 0.5, 0.7)[0] == pytest.approx(0.6)
    before = taught(policy, state, 0.5, 0.4, 0.5, 0.6)
    after = taught(policy, before, 1e200, 1e200, 1e200, 1e200)
    assert (after.weights, after.inverse) == (before.weights, before.inverse)
    assert taught(policy, before, 1e200, 0.4, 0.5, 0.6).weights == before.weights
    for _ in range(300):
        b = random.random()
        state = taught(policy, state, b, 1e200, b, random.random())
    assert answer(policy, state, 1e200, 0.9, 0.1)[0] == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("broken", ["x", None, [0.5, 0.5], {"score": 0.5}], ids=str)
def test_a_model_that_says_no_number_stops_nobody_from_learning(broken: Any) -> None:
    policy, state, random = Linear(forgetting=0.01, loss="squared"), LinearState(), Random(1)
    value, confidence = answer(policy, state, 0.2, 0.4, broken)
    assert value == pytest.approx(0.3)
    assert confidence == pytest.approx(2 / 3)
    for _ in range(300):
        b = random.random()
        state = taught(policy, state, b, random.random(), b, broken)
    assert answer(policy, state, 0.1, 0.9, broken)[0] == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("loss", ["log", "zero_one"])
@pytest.mark.parametrize("broken", ["x", 0.5, [0.5, 0.5], []], ids=str)
def test_nor_does_one_that_says_no_scores_of_these_classes(loss: str, broken: Any) -> None:
    policy, state, random = Linear(forgetting=0.01, loss=loss), LinearState(), Random(1)
    for _ in range(300):
        label = random.randrange(3)
        right = [float(place == label) for place in range(3)]
        state = taught(policy, state, label, [random.random() for _ in range(3)], right, broken)
    value, _ = answer(policy, state, [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], broken)
    assert value == pytest.approx([0.0, 0.0, 1.0], abs=0.1)


@pytest.mark.parametrize("broken", [[9.0, 9.0, 9.0], "x"], ids=str)
@pytest.mark.parametrize("loss", ["log", "squared"])
def test_nor_does_the_most_trusted_one_once_it_is_broken(loss: str, broken: Any) -> None:
    policy, state, random = Linear(forgetting=0.01, loss=loss), LinearState(), Random(1)
    for _ in range(300):
        label = random.randrange(2)
        state = taught(policy, state, label, random.random(), random.random(), float(label))
    assert state.weights[2] > 0.9
    for _ in range(300):
        label = random.randrange(2)
        outputs = {A: random.random(), B: float(label), C: broken}
        told = lesson(MODELS, {A: 0.5, B: 0.0, C: 1.0}, 1.0, outputs, label)
        state = policy.observe(state, MODELS, told)
    assert answer(policy, state, 0.2, 0.9, broken)[0] == pytest.approx(0.9, abs=0.1)


def test_among_labels_scores_are_one_answer_more() -> None:
    policy, state = Linear(), LinearState()
    for _ in range(50):
        state = taught(policy, state, "dog", "cat", "dog", [0.1, 0.9])
    assert answer(policy, state, "cat", "cow", [0.1, 0.9])[0] == "cow"


def test_what_a_model_used_to_say_has_no_say_once_it_says_no_numbers() -> None:
    policy, state = Linear(loss="squared"), LinearState()
    for _ in range(10):
        state = taught(policy, state, 0.5, 0.4, 0.6, "x")
    outputs, usual = {A: output_of(0.4), B: output_of(0.6)}, {C: output_of(9.0)}
    with_usual, _ = policy.combine(state, MODELS, outputs, usual)
    assert with_usual == policy.combine(state, MODELS, outputs)[0]


def test_what_comes_out_as_no_number_is_not_kept() -> None:
    policy = Linear(loss="squared")
    identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    state = LinearState(list(map(str, MODELS)), [1e308, 1e308, 0.0], identity)
    after = taught(policy, state, 1.0, 1.0, 1.0, 1.0)
    assert (after.weights, after.inverse) == (state.weights, state.inverse)
    assert policy.tally(after, A).pulls == 1


def test_models_that_are_no_longer_linked_are_forgotten() -> None:
    policy = Linear()
    state = taught(policy, LinearState(), 1, 1, 2, 3)
    after = policy.observe(state, (B, C), lesson((A, B), {A: 0.0, B: 1.0}, 1.0, {A: 1}, 1))
    assert set(after.arms) == {"b:1", "c:1"}
    assert set(after.silent) == {"b:1"}
    assert policy.tally(after, B).pulls == 2


def test_a_label_of_another_kind_teaches_no_weights() -> None:
    policy = Linear(loss="squared")
    state = taught(policy, policy.init(), "cat", 0.1, 0.2, 0.3)
    assert state.weights == pytest.approx([1 / 3] * 3)
    assert policy.tally(state, A).pulls == 1


@pytest.mark.parametrize("params", [{"ridge": 0}, {"forgetting": 1}, {"ridge": "much"}])
def test_a_parameter_out_of_range_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="linear got"):
        Linear(**params)


def test_a_loss_that_tells_no_truth_is_refused() -> None:
    with pytest.raises(InvalidInput, match="linear cannot learn from the loss given"):
        Linear(loss="given")
