"""Cascades: who is asked, when the next is, and when the whole is given up."""

from typing import Any

import pytest

from clipper.core.errors import InvalidInput
from clipper.core.outputs import output_of
from clipper.core.types import ModelId
from clipper.selection.cascade import Cascade, CascadeState, doubt, entropy
from clipper.selection.policy import Lesson
from tests.fakes.lessons import lesson

CHEAP, DEAR, DEAREST = (ModelId(name, "1") for name in ("cheap", "dear", "dearest"))
BOTH = (DEAR, CHEAP)
SURE, UNSURE = output_of([0.98, 0.02]), output_of([0.55, 0.45])


def cascade(**params: Any) -> Cascade:
    return Cascade(**{"models": ["cheap", "dear"], "thresholds": [0.3], **params})


def sure(loss: float) -> Lesson:
    """The cheap one was sure, and alone."""
    return lesson((CHEAP,), {CHEAP: loss}, outputs={CHEAP: [0.98, 0.02]})


def test_the_cheap_one_is_asked_first_whatever_order_they_were_linked_in() -> None:
    assert cascade().select(CascadeState(), BOTH, 0.9).models == (CHEAP,)


def test_who_is_sure_has_the_last_word() -> None:
    assert cascade().escalate(CascadeState(), BOTH, (CHEAP,), {CHEAP: SURE}) is None


@pytest.mark.parametrize("output", [UNSURE, output_of("cat"), output_of([0, 0]), output_of(3)])
def test_who_is_not_is_followed_by_the_next(output: Any) -> None:
    assert cascade().escalate(CascadeState(), BOTH, (CHEAP,), {CHEAP: output}) == DEAR


def test_who_gave_no_output_is_followed_by_the_next() -> None:
    assert cascade().escalate(CascadeState(), BOTH, (CHEAP,), {}) == DEAR


def test_the_last_has_the_last_word() -> None:
    outputs = {CHEAP: UNSURE, DEAR: UNSURE}
    assert cascade().escalate(CascadeState(), BOTH, (CHEAP, DEAR), outputs) is None
    output, confidence = cascade().combine(CascadeState(), (CHEAP, DEAR), outputs)
    assert output is UNSURE
    assert confidence == pytest.approx(0.55)


def test_each_level_has_its_own_threshold() -> None:
    policy = cascade(models=["cheap", "dear", "dearest"], thresholds=[0.05, 0.7])
    models = (CHEAP, DEAR, DEAREST)
    assert policy.escalate(CascadeState(), models, (CHEAP,), {CHEAP: SURE}) == DEAR
    outputs = {CHEAP: SURE, DEAR: UNSURE}
    assert policy.escalate(CascadeState(), models, (CHEAP, DEAR), outputs) is None


def test_without_thresholds_the_last_is_asked() -> None:
    assert Cascade().select(CascadeState(), (CHEAP, DEAR), 0.0).models == (DEAR,)


def test_where_the_last_that_was_asked_first_fails_the_one_before_is_asked() -> None:
    policy, models = Cascade(), (CHEAP, DEAR, DEAREST)
    state = policy.init()
    assert policy.escalate(state, models, (DEAREST,), {}) == DEAR
    assert policy.escalate(state, models, (DEAREST, DEAR), {}) == CHEAP
    assert policy.escalate(state, models, (DEAREST, DEAR, CHEAP), {}) is None
    assert policy.escalate(state, models, (DEAREST,), {DEAREST: UNSURE}) is None
    assert policy.escalate(state, models, (DEAREST, DEAR), {DEAR: UNSURE}) is None


def test_how_unsure_an_output_is() -> None:
    assert entropy([1.0, 0.0]) == 0.0
    assert entropy([0.5, 0.5]) == pytest.approx(0.6931, abs=1e-4)
    assert doubt([0.75, 0.25]) == 0.25


def test_where_sure_answers_turn_out_wrong_the_last_model_is_asked_always() -> None:
    policy, state = cascade(tolerance=0.05), CascadeState()
    for number in range(200):
        state = policy.observe(state, BOTH, sure(float(number % 3 == 0)))
    assert state.is_off
    assert "cheap:1" in state.reason
    assert policy.select(state, BOTH, 0.0).models == (DEAR,)


def test_as_long_as_they_are_as_good_as_agreed_it_stays() -> None:
    policy, state = cascade(tolerance=0.05), CascadeState()
    for number in range(500):
        state = policy.observe(state, BOTH, sure(float(number % 25 == 0)))
    assert not state.is_off
    assert policy.tally(state, CHEAP).pulls == 500


def test_of_those_who_were_asked_the_one_who_answered_is_judged() -> None:
    policy = cascade(tolerance=0.0)
    state = CascadeState()
    outputs = {CHEAP: [0.55, 0.45], DEAR: [0.55, 0.45]}
    for _ in range(100):
        told = lesson((CHEAP, DEAR), {CHEAP: 1.0, DEAR: 0.0}, outputs=outputs)
        state = policy.observe(state, BOTH, told)
    assert not state.is_off
    assert policy.tally(state, CHEAP).pulls == 0
    assert policy.tally(state, DEAR).pulls == 100


@pytest.mark.parametrize(
    ("asked", "outputs"),
    [
        ((CHEAP,), {}),
        ((CHEAP, DEAR), {}),
        ((CHEAP,), {CHEAP: [0.55, 0.45]}),
        ((CHEAP, DEAR), {CHEAP: [0.55, 0.45]}),
        ((CHEAP,), {CHEAP: "cat"}),
    ],
    ids=["no output", "none from both", "unsure, alone", "unsure, dear one late", "no chances"],
)
def test_who_was_not_sure_is_not_blamed(
    asked: tuple[ModelId, ...], outputs: dict[ModelId, Any]
) -> None:
    policy, state = cascade(tolerance=0.0), CascadeState()
    for _ in range(300):
        told = lesson(asked, dict.fromkeys(asked, 1.0), outputs=outputs)
        state = policy.observe(state, BOTH, told)
    assert not state.is_off
    assert policy.tally(state, CHEAP).pulls == 0
    assert policy.select(state, BOTH, 0.0).models == (CHEAP,)


def test_a_sure_answer_is_judged_though_a_dearer_model_was_asked_in_vain() -> None:
    policy, state = cascade(tolerance=0.05), CascadeState()
    told = lesson((CHEAP, DEAR), {CHEAP: 1.0, DEAR: 1.0}, outputs={CHEAP: [0.98, 0.02]})
    for _ in range(100):
        state = policy.observe(state, BOTH, told)
    assert state.is_off


def test_while_the_dear_one_is_not_linked_unsure_answers_do_not_count_either() -> None:
    policy, state = cascade(tolerance=0.05), CascadeState()
    for _ in range(100):
        told = lesson((CHEAP,), {CHEAP: 1.0}, outputs={CHEAP: [0.55, 0.45]})
        state = policy.observe(state, (CHEAP,), told)
    for _ in range(10):
        state = policy.observe(state, BOTH, sure(0.0))
    assert not state.is_off


def switched_off(policy: Cascade) -> CascadeState:
    state = policy.init()
    for _ in range(100):
        state = policy.observe(state, BOTH, sure(1.0))
    assert policy.select(state, BOTH, 0.0).models == (DEAR,)
    return state


@pytest.mark.parametrize(
    "params",
    [
        {"thresholds": [0.1]},
        {"models": ["cheap:1", "dear"]},
        {"score": "top"},
        {"tolerance": 0.5},
    ],
    ids=str,
)
def test_a_cascade_that_was_fitted_anew_is_on_again(params: dict[str, Any]) -> None:
    state = switched_off(cascade(tolerance=0.05))
    policy = cascade(**{"tolerance": 0.05, **params})
    assert policy.select(state, BOTH, 0.0).models == (CHEAP,)
    assert policy.current(state).reason == ""
    assert policy.tally(state, CHEAP).pulls == 0
    after = policy.observe(state, BOTH, sure(0.0))
    assert not after.is_off
    assert policy.tally(after, CHEAP).pulls == 1


def test_with_the_same_parameters_it_stays_off() -> None:
    state = switched_off(cascade(tolerance=0.05))
    again = cascade(tolerance=0.05, forgetting=0.01)
    assert again.select(state, BOTH, 0.0).models == (DEAR,)
    assert again.observe(state, BOTH, sure(0.0)).is_off


def test_a_version_that_is_named_is_not_meant_by_the_name_alone() -> None:
    policy = cascade(models=["m", "m:2"])
    old, new = ModelId("m", "1"), ModelId("m", "2")
    assert policy.select(policy.init(), (new, old), 0.0).models == (old,)
    assert policy.escalate(policy.init(), (new, old), (old,), {old: UNSURE}) == new
    both = {old: UNSURE, new: UNSURE}
    assert policy.escalate(policy.init(), (new, old), (old, new), both) is None


@pytest.mark.parametrize(
    "params",
    [
        {"thresholds": []},
        {"thresholds": ["a"]},
        {"models": "cheap"},
        {"models": ["cheap", "cheap"]},
        {"models": ["cheap"], "thresholds": []},
        {"score": "luck"},
        {"tolerance": 2},
    ],
)
def test_parameters_that_make_no_cascade_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="cascade got"):
        cascade(**params)
