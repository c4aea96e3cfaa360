"""Weights that are fitted: to numbers, to score vectors, and to votes."""

from random import Random
from typing import Any

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


def test_a_newcomer_begins_at_the_mean_and_the_others_keep_what_they_learned() -> None:
    policy, state, random = Linear(forgetting=0, loss="squared"), LinearState(), Random(1)
    for _ in range(200):
        values = [random.random() for _ in MODELS]
        state = taught(policy, state, values[0], *values)
    newer = ModelId("d", "1")
    state = policy.observe(state, (A, newer), lesson((A,), {A: 0.0}))
    assert state.models == ["a:1", "d:1"]
    assert state.weights == pytest.approx([1.0, 0.5], abs=0.05)


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
