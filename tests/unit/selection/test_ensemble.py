"""Ensembles: everybody is asked, and weighs as much as was stated, or learned."""

import math
from random import Random
from typing import Any

import pytest

from clipper.core.errors import InvalidInput
from clipper.core.outputs import output_of
from clipper.core.types import ModelId
from clipper.selection.ensemble import Ensemble, Exp4, Exp4State, Majority, Static
from clipper.selection.policy import Selection
from tests.fakes.lessons import lesson

MODELS = tuple(ModelId(name, "1") for name in "abc")
A, B, C = MODELS


def judged(policy: Exp4, state: Exp4State, *losses: float) -> Exp4State:
    """All three were asked, and cost so much."""
    return policy.observe(state, MODELS, lesson(MODELS, dict(zip(MODELS, losses, strict=False))))


@pytest.mark.parametrize("policy", [Majority(), Static(), Exp4()])
def test_everybody_is_asked(policy: Ensemble) -> None:
    for draw in (0.0, 0.5, 0.99):
        assert policy.select(policy.init(), MODELS, draw) == Selection(MODELS, 1.0)


def test_in_a_majority_everybody_has_one_vote() -> None:
    outputs = {A: output_of("cat"), B: output_of("dog"), C: output_of("dog")}
    output, confidence = Majority().combine(None, MODELS, outputs)
    assert output.value == "dog"
    assert confidence == pytest.approx(2 / 3)


def test_weights_that_are_stated_hold_for_every_version() -> None:
    policy = Static({"a": 3})
    newer = ModelId("a", "2")
    outputs = {newer: output_of("cat"), B: output_of("dog"), C: output_of("dog")}
    output, confidence = policy.combine(None, (newer, B, C), outputs)
    assert output.value == "cat"
    assert confidence == pytest.approx(0.6)


@pytest.mark.parametrize("weight", [0, -1, "much", True, float("nan"), None, 1e308])
def test_a_weight_that_is_none_is_refused(weight: object) -> None:
    with pytest.raises(InvalidInput, match=r"static got weights\.a="):
        Static({"a": weight})  # type: ignore[dict-item]


@pytest.mark.parametrize("weights", ["abc", [3], 3])
def test_weights_that_are_not_by_name_are_refused(weights: Any) -> None:
    with pytest.raises(InvalidInput, match="static got weights="):
        Static(weights)


def test_every_model_pays_its_own_loss_by_the_rule_of_the_paper() -> None:
    policy = Exp4(eta=0.5, share=1e-6)
    weights = policy.weights(judged(policy, Exp4State(), 1.0, 0.5, 0.0), MODELS)
    raw = [math.exp(-0.5), math.exp(-0.25), 1.0]
    assert list(weights.values()) == pytest.approx([one / sum(raw) for one in raw], abs=1e-6)


def test_who_was_not_asked_pays_what_the_others_pay_on_average() -> None:
    policy, state = Exp4(share=1e-6), Exp4State()
    for _ in range(50):
        state = judged(policy, state, 0.4, 0.4)
    assert list(policy.weights(state, MODELS).values()) == pytest.approx([1 / 3] * 3)


def test_what_was_judged_is_counted() -> None:
    policy = Exp4()
    state = judged(policy, judged(policy, Exp4State(), 1.0, 0.0, 0.5), 1.0)
    assert state.feedbacks == {"a:1": 2, "b:1": 1, "c:1": 1}
    assert state.losses == {"a:1": 2.0, "b:1": 0.0, "c:1": 0.5}


def test_a_model_never_judged_weighs_as_much_as_the_mean() -> None:
    policy = Exp4()
    state = Exp4State(log_weights={"a:1": 0.0, "b:1": math.log(0.5)})
    assert policy.weights(state, MODELS)[C] == pytest.approx(1 / 3)


def test_a_model_that_is_no_longer_linked_is_forgotten() -> None:
    policy = Exp4()
    state = judged(policy, Exp4State(), 0.0, 1.0, 1.0)
    after = policy.observe(state, (B, C), lesson(MODELS, {A: 1.0, B: 1.0}))
    assert set(after.log_weights) == set(after.feedbacks) == {"b:1", "c:1"}


@pytest.mark.parametrize("params", [{"eta": 0}, {"eta": True}, {"share": 0}, {"share": 0.6}])
def test_a_parameter_out_of_range_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="exp4 got"):
        Exp4(**params)


ACCURACIES = (0.7575, 0.654, 0.832, 0.54, 0.9085)
"""Of the models of the paper's study on CIFAR-10."""
BEST, FAILED = 4, 0.2


def study(policy: Exp4, seed: int, rounds: int = 8000) -> tuple[float, float]:
    """The error where the best model fails for the second quarter, and that of the model alone."""
    models = tuple(ModelId(str(number), "1") for number in range(len(ACCURACIES)))
    random, state, wrong, alone = Random(seed), policy.init(), 0, 0
    for number in range(rounds):
        fails = rounds // 4 <= number < rounds // 2
        accuracies = [*ACCURACIES[:BEST], FAILED if fails else ACCURACIES[BEST]]
        labels = [0 if random.random() < one else random.randint(1, 9) for one in accuracies]
        outputs = {m: output_of(label) for m, label in zip(models, labels, strict=True)}
        wrong += policy.combine(state, models, outputs)[0].value != 0
        alone += labels[BEST] != 0
        losses = {model: float(output.value != 0) for model, output in outputs.items()}
        state = policy.observe(state, models, lesson(models, losses))
    return wrong / rounds, alone / rounds


def test_where_the_best_model_fails_and_recovers_the_ensemble_is_right_more_often() -> None:
    for seed in range(3):
        error, alone = study(Exp4(), seed)
        assert alone > 0.25
        assert error < 0.13


def test_a_model_that_recovers_is_soon_trusted_again() -> None:
    policy, state = Exp4(), Exp4State()
    for _ in range(20_000):
        state = judged(policy, state, 1.0, 0.0, 0.0)
    for _ in range(200):
        state = judged(policy, state, 0.0, 1.0, 1.0)
    assert policy.weights(state, MODELS)[A] > 0.9
