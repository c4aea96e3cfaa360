"""A split, a shadow, a canary: who answers, who is judged, and when the trial is over."""

from collections import Counter
from itertools import permutations
from random import Random
from typing import Any

import pytest

from clipper.core.errors import InvalidInput
from clipper.core.types import ModelId
from clipper.selection.comparing import PROMOTED, ROLLED_BACK, Canary, CanaryState, Shadow, Split
from clipper.selection.policy import Selection, Traffic
from tests.fakes.lessons import lesson

OLD, NEW, OTHER = ModelId("m", "1"), ModelId("m", "2"), ModelId("n", "1")


def test_a_split_is_as_it_was_stated() -> None:
    policy, random = Split({"m:1": 3, "m:2": 1}), Random(1)
    drawn = Counter(
        policy.select(policy.init(), (OLD, NEW), random.random()).models[0] for _ in range(4000)
    )
    assert drawn[OLD] == pytest.approx(3000, rel=0.05)
    assert policy.candidates == ["m:1", "m:2"]


def test_a_split_by_name_holds_for_every_version_and_leaves_out_the_others() -> None:
    assert Split({"m": 1, "n": 1}).shares(None, (OLD, OTHER)) == [0.5, 0.5]
    assert Split({"m": 1}).shares(None, (OLD, OTHER)) == [1.0, 0.0]
    assert Split({"gone": 1}).shares(None, (OLD, OTHER)) == [0.5, 0.5]
    assert Split().shares(None, (OLD, OTHER)) == [0.5, 0.5]


@pytest.mark.parametrize(
    ("split", "models"),
    [
        ({"m:2": 1, "m:1": 1}, (OLD, NEW)),
        ({"m:2": 1, "m:1": 1}, (OLD, NEW, ModelId("m", "3"))),
        ({"n": 2, "m:1": 1, "m:2": 1}, (OLD, NEW, OTHER)),
        ({}, (OLD, OTHER)),
    ],
    ids=str,
)
def test_who_met_a_model_meets_it_again_whatever_order_they_come_in(
    split: dict[str, float], models: tuple[ModelId, ...]
) -> None:
    draws = [number / 200 for number in range(200)]
    for policy in (Split(split), Split(dict(reversed(split.items())))):
        met = [policy.select(None, models, draw) for draw in draws]
        assert {one.models[0] for one in met} == {
            model for model in models if not split or str(model) in split or model.name in split
        }
        for order in permutations(models):
            assert [policy.select(None, order, draw) for draw in draws] == met
    named = Split({"m": 1, "n": 1})
    for current in (OLD, NEW, ModelId("m", "10")):
        sides = [named.select(None, (current, OTHER), draw).models[0].name for draw in draws]
        assert sides == ["m"] * 100 + ["n"] * 100


def test_a_new_version_that_has_no_weight_moves_nobody() -> None:
    policy, draws = Split({"m:1": 1, "m:2": 1}), [number / 200 for number in range(200)]
    before = [policy.select(None, (OLD, NEW), draw).models for draw in draws]
    for current in (ModelId("m", "0"), ModelId("m", "3")):  # as it is, once it is made current
        assert [policy.select(None, (current, OLD, NEW), draw).models for draw in draws] == before
        assert [policy.select(None, (NEW, OLD, current), draw).models for draw in draws] == before


def test_who_met_the_candidate_of_a_trial_meets_it_again() -> None:
    policy, draws = Canary("n", share=0.25), [number / 200 for number in range(200)]
    for order in permutations((OLD, OTHER)):
        met = [policy.select(policy.init(), order, draw).models for draw in draws]
        assert met == [(OLD,)] * 150 + [(OTHER,)] * 50


@pytest.mark.parametrize("split", ["m", [1], {"m": 0}, {"m": "half"}])
def test_a_split_that_is_none_is_refused(split: Any) -> None:
    with pytest.raises(InvalidInput, match="ab got split"):
        Split(split)


def test_one_answers_and_the_others_are_shadows() -> None:
    assert Shadow("n").select(None, (OLD, OTHER), 0.9) == Selection((OTHER,), 1.0, (OLD,))
    assert Shadow().select(None, (OLD, OTHER), 0.9) == Selection((OLD,), 1.0, (OTHER,))
    assert Shadow("gone").select(None, (OLD, OTHER), 0.9).models == (OLD,)


def test_shadows_are_judged() -> None:
    policy = Shadow()
    state = policy.observe(policy.init(), (OLD, OTHER), lesson((OLD,), {OLD: 0.0, OTHER: 1.0}))
    assert policy.tally(state, OTHER).mean == 1.0


def trial(
    policy: Canary,
    losses: tuple[float, float],
    rounds: int,
    failing: tuple[float, float] = (0.0, 0.0),
    latency: tuple[float, float] = (0.2, 0.2),
    seed: int = 3,
) -> tuple[CanaryState, int]:
    """Queries until there is a verdict; (old, new) have these chances of a loss and a failure."""
    state, random = policy.init(), Random(seed)
    for number in range(rounds):
        (model,) = policy.select(state, (OLD, NEW), random.random()).models
        which = int(model == NEW)
        failed = random.random() < failing[which]
        spent = 0.0 if failed else min(latency[which] * random.uniform(0.5, 1.5), 1.0)
        state = policy.watch(
            state, (OLD, NEW), {model: Traffic(1, int(failed), spent, spent * spent)}
        )
        loss = float(failed or random.random() < losses[which])
        state = policy.observe(state, (OLD, NEW), lesson((model,), {model: loss}))
        if state.verdict:
            return state, number
    return state, rounds


def test_a_candidate_that_is_better_is_promoted_and_gets_all() -> None:
    policy = Canary("m:2", share=0.5)
    state, _ = trial(policy, (0.2, 0.1), 20_000)
    assert state.verdict == PROMOTED
    assert policy.shares(state, (OLD, NEW)) == [0.0, 1.0]


@pytest.mark.parametrize(
    ("what", "difference"),
    [
        ("loss", {"losses": (0.1, 0.4)}),
        ("failures", {"losses": (0.1, 0.1), "failing": (0.0, 0.3)}),
        ("latency", {"losses": (0.1, 0.1), "latency": (0.1, 0.6)}),
    ],
)
def test_a_candidate_that_is_worse_is_rolled_back_and_gets_nothing(
    what: str, difference: dict[str, Any]
) -> None:
    policy = Canary("m:2", share=0.2)
    state, queries = trial(policy, rounds=10_000, **difference)
    assert state.verdict == ROLLED_BACK
    assert what in state.reason or what == "failures"
    assert queries < 5000
    assert policy.shares(state, (OLD, NEW)) == [1.0, 0.0]


def test_a_candidate_that_is_no_different_is_hardly_ever_rolled_back() -> None:
    policy = Canary("m:2", share=0.3)
    verdicts = Counter(trial(policy, (0.2, 0.2), 3000, seed=seed)[0].verdict for seed in range(20))
    assert verdicts[ROLLED_BACK] <= 1


def test_while_it_is_tried_a_candidate_gets_its_share() -> None:
    policy = Canary("m:2", share=0.05)
    assert policy.shares(policy.init(), (OLD, NEW)) == [0.95, 0.05]
    assert policy.shares(policy.init(), (NEW, OLD)) == [0.05, 0.95]
    assert policy.shares(policy.init(), (OLD,)) == [1.0]


def test_another_candidate_is_tried_anew() -> None:
    state, _ = trial(Canary("m:2", share=0.5), (0.1, 0.6), 5000)
    newer = ModelId("m", "3")
    policy = Canary("m:3")
    assert policy.shares(state, (OLD, newer)) == [0.95, 0.05]
    after = policy.observe(state, (OLD, newer), lesson((OLD,), {OLD: 0.0}))
    assert (after.candidate, after.verdict) == ("m:3", "")


@pytest.mark.parametrize("params", [{"margin": 0.2}, {"failures": 0.1}, {"latency": 0.3}], ids=str)
def test_other_margins_are_another_trial(params: dict[str, Any]) -> None:
    state, _ = trial(Canary("m:2", share=0.5), (0.1, 0.6), 5000)
    assert state.verdict == ROLLED_BACK
    policy = Canary("m:2", share=0.1, **params)
    assert policy.shares(state, (OLD, NEW)) == [0.9, 0.1]
    assert policy.current(state) == policy.init()
    assert policy.tally(state, NEW).pulls == 0
    after = policy.watch(state, (OLD, NEW), {NEW: Traffic(1, 0, 0.2, 0.04)})
    assert (after.verdict, after.candidate, after.traffic["m:2"].asked) == ("", "m:2", 1)


def test_another_share_or_patience_is_the_same_trial() -> None:
    state, _ = trial(Canary("m:2", share=0.5), (0.1, 0.6), 5000)
    policy = Canary("m:2", share=0.1, patience=5)
    assert policy.shares(state, (OLD, NEW)) == [1.0, 0.0]
    assert policy.observe(state, (OLD, NEW), lesson((OLD,), {OLD: 0.0})).verdict == ROLLED_BACK


def test_what_a_trial_compares_has_intervals() -> None:
    policy = Canary("m:2", share=0.5)
    state, _ = trial(policy, (0.1, 0.1), 1500, latency=(0.2, 0.25))
    assert state.verdict == ""
    loss, failures, latency = policy.comparisons(state, (OLD, NEW))
    for one in (loss, failures, latency):
        assert (one.new.model, one.old.model) == (NEW, OLD)
        for mean in (one.new, one.old):
            assert mean.number == pytest.approx(750, rel=0.1)
            assert mean.interval.low <= mean.mean <= mean.interval.high
        low, high = one.difference
        assert low <= one.new.mean - one.old.mean <= high
    assert latency.new.mean == pytest.approx(0.25, abs=0.02)
    assert failures.new.mean == 0
    assert (loss.allowed, failures.allowed, latency.allowed) == (0.05, 0.02, 0.1)
    assert policy.comparisons(state, (OLD,)) == []
    assert Split().comparisons(state, (OLD, NEW)) == ()


def test_of_a_trial_that_has_not_begun_nothing_is_known() -> None:
    policy = Canary("m:2")
    for one in policy.comparisons(policy.init(), (OLD, NEW)):
        assert (one.new.number, one.difference) == (0, (-1.0, 1.0))


@pytest.mark.parametrize(
    "params",
    [{}, {"candidate": 2}, {"candidate": "m", "share": 0}, {"candidate": "m", "margin": 2}],
)
def test_a_trial_that_is_none_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="canary got"):
        Canary(**params)


def test_a_canary_forgets_the_traffic_of_versions_that_are_gone() -> None:
    policy = Canary("m:new")
    state, newcomer = policy.init(), ModelId("m", "new")
    for version in range(300):
        stable = ModelId("m", f"{version:040}")
        seen = {model: Traffic(5, 1, 1.0, 0.5) for model in (stable, newcomer)}
        state = policy.watch(state, (stable, newcomer), seen)
    assert set(state.traffic) == {str(stable), "m:new"}
