"""Cascades: who is asked, when the next is, and when the whole is given up."""

from typing import Any

import pytest

from clipper.core.errors import InvalidInput
from clipper.core.outputs import output_of
from clipper.core.types import ModelId
from clipper.selection.cascade import Cascade, CascadeState, doubt, entropy
from tests.fakes.lessons import lesson

CHEAP, DEAR, DEAREST = (ModelId(name, "1") for name in ("cheap", "dear", "dearest"))
BOTH = (DEAR, CHEAP)
SURE, UNSURE = output_of([0.98, 0.02]), output_of([0.55, 0.45])


def cascade(**params: Any) -> Cascade:
    return Cascade(**{"models": ["cheap", "dear"], "thresholds": [0.3], **params})


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


def test_how_unsure_an_output_is() -> None:
    assert entropy([1.0, 0.0]) == 0.0
    assert entropy([0.5, 0.5]) == pytest.approx(0.6931, abs=1e-4)
    assert doubt([0.75, 0.25]) == 0.25


def test_where_sure_answers_turn_out_wrong_the_last_model_is_asked_always() -> None:
    policy, state = cascade(tolerance=0.05), CascadeState()
    for number in range(200):
        loss = float(number % 3 == 0)
        state = policy.observe(state, BOTH, lesson((CHEAP,), {CHEAP: loss}))
    assert state.is_off
    assert "cheap:1" in state.reason
    assert policy.select(state, BOTH, 0.0).models == (DEAR,)


def test_as_long_as_they_are_as_good_as_agreed_it_stays() -> None:
    policy, state = cascade(tolerance=0.05), CascadeState()
    for number in range(500):
        state = policy.observe(state, BOTH, lesson((CHEAP,), {CHEAP: float(number % 25 == 0)}))
    assert not state.is_off


def test_of_those_who_were_asked_the_one_who_answered_is_judged() -> None:
    policy = cascade(tolerance=0.0)
    state = CascadeState()
    for _ in range(100):
        state = policy.observe(state, BOTH, lesson((CHEAP, DEAR), {CHEAP: 1.0, DEAR: 0.0}))
    assert not state.is_off
    assert policy.tally(state, CHEAP).pulls == 0
    assert policy.tally(state, DEAR).pulls == 100


@pytest.mark.parametrize(
    "params",
    [
        {"thresholds": []},
        {"thresholds": ["a"]},
        {"models": "cheap"},
        {"score": "luck"},
        {"tolerance": 2},
    ],
)
def test_parameters_that_make_no_cascade_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="cascade got"):
        cascade(**params)
